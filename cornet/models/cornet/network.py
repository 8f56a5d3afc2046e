"""The CORnet family as one class: areas, an unrolling and a linear decoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.cornet.areas import FeedforwardArea, RecurrentArea, StemArea
from cornet.models.cornet.bottleneck import BottleneckArea, Gate
from cornet.models.cornet.compiling import CompiledNetwork
from cornet.models.cornet.feedback import Feedback, resolve_feedback
from cornet.models.cornet.gabor import GaborArea
from cornet.models.cornet.norm import LaterSteps, NormMode
from cornet.models.cornet.unroll import UNROLLS, Unroll, first_driven_step
from cornet.models.cornet.variants import (
    PUBLISHED_INIT,
    PUBLISHED_NORM,
    AreaSpec,
    Block,
    Init,
    Times,
    V1Kind,
    area_layout,
    check_choices,
    check_feedback_arrives,
    check_max_channels,
    check_off_after,
    check_positive,
    check_positive_int,
    check_v1_options,
    initialise,
    published_steps,
    resolve_steps,
)
from cornet.old_names import accepts_old_arguments

__all__ = ["CORnet"]

Pixels = tuple[Tensor, Tensor]


class CORnet(nn.Module):
    """V1, V2, V4, IT and a linear decoder, for images of any size.

    num_classes: number of outputs of the decoder.
    block: type of the areas: "feedforward" (Z), "recurrent" (R, RT), "bottleneck" (S).
    unroll: "sequential" (Z, S), "cascade" (R) or "synchronous" (RT); see `cornet.models.cornet.unroll`.
    times: steps per area: one number for all recurrent areas, or {"V2": 2, "V4": 4, "IT": 2} (other areas keep
        their published number). All areas of a cascade or synchronous network run for the same number of steps;
        areas of Z, and V1 of S, always run for one.
    width: multiplies the published channels 64, 128, 256, 512.
    bottleneck, gate, loop, convolutions, skip: see `cornet.models.cornet.bottleneck.BottleneckArea`.
    areas: 4, or 5 with V3 between V2 and V4.
    feedback: see `cornet.models.cornet.feedback.resolve_feedback`.
    off_after: number of steps after which the image is replaced by zeros; None: it stays on.
    v1: "gabor" for a fixed Gabor bank as V1; v1_options: see `cornet.models.cornet.gabor.GaborArea`.
    norm: "per_step", "shared", "shared_affine" or "group"; default: as published for the block. Z has none.
    later_steps: what norms do at steps later than the trained ones: "last" or "refuse".
    init: "xavier", "torch", "fan_out" or "kaiming"; default: as published for the block.
    in_channels: channels of the images.

    `steps` is the resolved {area: steps}. In cascade and synchronous networks, norms of steps that never reach the
    logits get no gradient.
    Raises CornetError for an unknown choice, and if there are too few steps for the image to reach the logits.
    Sources: Kubilius et al. 2018 (Z, R, RT), Kubilius, Schrimpf et al. 2019 (S).
    """

    _compiled: CompiledNetwork | None = None

    @accepts_old_arguments
    def __init__(
        self,
        num_classes: int = 1000,
        block: Block = "bottleneck",
        unroll: Unroll = "sequential",
        times: Times | None = None,
        width: float = 1.0,
        bottleneck: float = 4,
        gate: Gate = "hard",
        loop: int | None = None,
        convolutions: int = 3,
        skip: bool = True,
        areas: int = 4,
        feedback: bool | Sequence[str] = False,
        off_after: int | None = None,
        v1: V1Kind | None = None,
        v1_options: Mapping[str, Any] | None = None,
        norm: NormMode | None = None,
        later_steps: LaterSteps = "last",
        init: Init | None = None,
        in_channels: int = 3,
    ):
        super().__init__()
        circuit: dict[str, Any] = {
            "bottleneck": bottleneck,
            "gate": gate,
            "loop": loop,
            "convolutions": convolutions,
            "skip": skip,
        }
        check_choices(block, unroll, norm, v1, circuit)
        check_v1_options(v1, v1_options, GaborArea)
        check_positive_int("num_classes", num_classes)
        check_positive_int("in_channels", in_channels)
        check_positive("width", width)
        check_positive("bottleneck", bottleneck)
        layout = area_layout(areas)
        names = [spec.name for spec in layout]
        self.num_classes = int(num_classes)
        self.in_channels = int(in_channels)
        self.block = block
        self.unroll = unroll
        self.steps = resolve_steps(block, unroll, times, published_steps(block, names))
        check_off_after(off_after, unroll, self.steps)
        self.off_after = off_after
        pairs = resolve_feedback(feedback, names, unroll)
        check_feedback_arrives(pairs, unroll, self.steps)
        norm = norm or PUBLISHED_NORM.get(block, "per_step")
        self.areas = nn.ModuleDict()
        check_max_channels(block, max(spec.channels for spec in layout), width, bottleneck)
        channels = {spec.name: max(1, round(spec.channels * width)) for spec in layout}
        below = self.in_channels

        def make_area(spec: AreaSpec) -> nn.Module:
            own, steps, stride = channels[spec.name], self.steps[spec.name], 2 if spec.halves else 1
            first = spec is layout[0]
            if first and v1 == "gabor":
                return GaborArea(below, own, **(v1_options or {}))
            if block == "feedforward":
                return FeedforwardArea(below, own, 7 if first else 3, 2 if first else 1, stride)
            if block == "recurrent":
                kernel, stride = (7, 4) if first else (3, stride)
                driven = first_driven_step(unroll, len(self.areas))
                return RecurrentArea(below, own, steps, kernel, stride, norm, later_steps, driven)
            if first:
                return StemArea(below, own, norm)
            return BottleneckArea(
                below, own, steps, norm=norm, later_steps=later_steps, stride=stride, **circuit
            )

        for spec in layout:
            self.areas[spec.name] = make_area(spec)
            below = channels[spec.name]
        self.feedback = Feedback(pairs, channels) if pairs else None
        self.decoder = nn.Linear(below, self.num_classes)
        initialise(self, init or PUBLISHED_INIT[block])

    def forward(
        self,
        images: Tensor,
        return_states: bool = False,
        times: Times | None = None,
        readouts: bool = False,
        pixels: Pixels | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Compute logits (batch, class) from normalised images (batch, channel, y, x).

        return_states: also return the output of each area at each step, {area: (time, batch, channel, y, x)}.
        times: run for these steps instead of the trained ones (other areas keep theirs); `later_steps` selects
            the norms of later steps. Raises CornetError for steps that the network cannot run.
        readouts: return logits for every step at which the last area depends on the image, (step, batch, class).
        pixels: mean and standard deviation (channel, 1, 1) of the pixel values, if images are pixel values (usually
            uint8); they are then normalised here, inside the compiled graph.
        """
        steps = self.steps
        if times is not None:
            steps = resolve_steps(self.block, self.unroll, times, steps)
        run = self.run if self._compiled is None else self._compiled
        return run(images, steps, return_states, readouts, pixels)

    def run(
        self,
        images: Tensor,
        steps: Mapping[str, int],
        return_states: bool,
        readouts: bool,
        pixels: Pixels | None,
    ) -> Any:
        """Run all areas over all steps. Returns what `forward` returns; this is the method that is compiled."""
        if pixels is not None:
            images = self.normalise(images, *pixels)
        areas = dict(self.areas.items())
        history = UNROLLS[self.unroll](areas, images, steps, return_states, self.feedback, self.off_after)
        top = next(reversed(areas))
        last = history[top]
        driven = last[self.first_driven_step(top) :] if readouts else last[-1:]
        decoded = [self.decoder(output.mean(dim=(-2, -1))) for output in driven]
        logits = torch.stack(decoded) if readouts else decoded[0]
        if not return_states:
            return logits
        batch = images.shape[0]
        return logits, {
            name: torch.stack([output.expand(batch, -1, -1, -1) for output in outputs])
            for name, outputs in history.items()
        }

    def normalise(self, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(images - mean) / std, computed in the dtype of `mean`.

        Returned in the dtype and layout of the first spatial convolution.
        """
        kernel = next(w for w in self.areas.parameters() if w.ndim == 4 and w.shape[-1] > 1)
        last = kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()
        layout = torch.channels_last if last else torch.contiguous_format
        return ((images.to(mean.dtype, memory_format=layout) - mean) / std).to(kernel.dtype)

    def compile(self, memory_budget: float | None = None, **options: Any) -> None:
        """Compile the network in place, as one graph per image size and mode; see `CompiledNetwork`.

        Weights, state dict and outputs do not change; copies of the network are not compiled.
        memory_budget, options: as in `CompiledNetwork`.
        """
        self._compiled = CompiledNetwork(self, memory_budget, **options)

    @property
    def compiled(self) -> bool:
        """Whether the network runs compiled: `compile` was called and has not failed."""
        return self._compiled is not None and not self._compiled.failed

    def __getstate__(self) -> dict[str, Any]:
        """Exclude the compiled graph, which belongs to this instance and process."""
        return {key: value for key, value in self.__dict__.items() if key != "_compiled"}

    def first_driven_step(self, area: str) -> int:
        """First step (from 0) at which the output of an area depends on the image.

        Raises CornetError for an unknown area.
        """
        if area not in self.areas:
            raise CornetError(f"area {area!r} is unknown; this network has {', '.join(self.areas)}.")
        return first_driven_step(self.unroll, list(self.areas).index(area))
