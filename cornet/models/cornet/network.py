"""The CORnet family as one network: areas, a way to unroll them, a decoder."""

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
    AREAS,
    CHANNELS,
    PUBLISHED_INIT,
    PUBLISHED_NORM,
    Block,
    Init,
    Place,
    Times,
    V1Kind,
    area_layout,
    check_choices,
    check_feedback_arrives,
    check_off_after,
    check_positive,
    check_v1_options,
    check_whole,
    check_widest,
    initialise,
    published_steps,
    resolve_steps,
)
from cornet.old_names import accepts_old_arguments

__all__ = ["AREAS", "CHANNELS", "Block", "CORnet", "Times"]

Pixels = tuple[Tensor, Tensor]


class CORnet(nn.Module):
    """V1, V2, V4, IT and a linear decoder, for images of any size.

    num_classes: outputs of the decoder.
    block: what an area is made of: "feedforward" (Z), "recurrent" (R, RT), "bottleneck" (S).
    unroll: "sequential" (Z, S), "cascade" (R) or "synchronous" (RT); see `cornet.models.cornet.unroll`.
    times: steps per area: one number for all areas that can take several, or {"V2": 2, "V4": 4, "IT": 2}
        (an area left out keeps its published number). Cascade and synchronous areas advance together and
        so share one number; Z's areas, and S's V1, always take one step.
    width: multiplies the published channels 64, 128, 256, 512.
    bottleneck: inner width of a bottleneck area in units of its channels.
    norm: "per_step", "shared", "shared_affine" or "group"; None for the block's published one. Z has none.
    later_steps: "last" or "refuse": what norms do at steps later than the trained ones.
    init: "xavier", "torch", "fan_out" or "kaiming"; None for the block's published one.
    in_channels: channels of the images.

    `steps` holds the resolved {area: steps}. Norms per step in cascade or synchronous areas include some of
    steps that never reach the logits; these get no gradient.
    Raises CornetError for a choice that does not exist and for too few steps for an image to be seen.
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
        check_whole("num_classes", num_classes)
        check_whole("in_channels", in_channels)
        check_positive("width", width)
        check_positive("bottleneck", bottleneck)
        places = area_layout(areas)
        names = [place.name for place in places]
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
        check_widest(block, max(place.channels for place in places), width, bottleneck)
        channels = {place.name: max(1, round(place.channels * width)) for place in places}
        below = self.in_channels

        def area(place: Place) -> nn.Module:
            own, steps, stride = channels[place.name], self.steps[place.name], 2 if place.halves else 1
            first = place is places[0]
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

        for place in places:
            self.areas[place.name] = area(place)
            below = channels[place.name]
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
        """Logits (batch, class) of normalised images (batch, channel, y, x).

        return_states: give also every area's output at every step, {area: (time, batch, channel, y, x)};
            sequential areas have the steps of their own, in the other unrollings all have the same.
        times: run these steps instead of the trained ones (an area left out keeps its own); `later_steps` says
            what the norms of later steps are. Raises CornetError for what the network cannot run.
        readouts: give the logits of every step of the last area that the image reaches, (step, batch, class).
        pixels: mean and standard deviation (channel, 1, 1) of images that come as pixel values, mostly uint8:
            they are normalised here, inside what is compiled.
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
        """All areas over all steps: what `forward` gives, and what is compiled as one graph."""
        if pixels is not None:
            images = self.normalised(images, *pixels)
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

    def normalised(self, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(images - mean) / std, computed in the type of `mean`, in the type and layout of the first convolution."""
        kernel = next(w for w in self.areas.parameters() if w.ndim == 4 and w.shape[-1] > 1)
        last = kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()
        layout = torch.channels_last if last else torch.contiguous_format
        return ((images.to(mean.dtype, memory_format=layout) - mean) / std).to(kernel.dtype)

    def compile(self, memory_budget: float | None = None, **options: Any) -> None:
        """From now on, run as one compiled graph per image size and mode; see `CompiledNetwork`.

        Weights, state dict and what the network computes stay; a copy of the network is not compiled.
        memory_budget, options: as of `CompiledNetwork`.
        """
        self._compiled = CompiledNetwork(self, memory_budget, **options)

    @property
    def compiled(self) -> bool:
        """Whether it runs compiled: not where compiling was never asked for, and not where it failed."""
        return self._compiled is not None and not self._compiled.failed

    def __getstate__(self) -> dict[str, Any]:
        """Without what was compiled, which belongs to this network and to this process."""
        return {key: value for key, value in self.__dict__.items() if key != "_compiled"}

    def first_driven_step(self, area: str) -> int:
        """The first step (from 0) at which the area's output depends on the image.

        Raises CornetError for an area that the network does not have.
        """
        if area not in self.areas:
            raise CornetError(f"area {area!r} is unknown; this network has {', '.join(self.areas)}.")
        return first_driven_step(self.unroll, list(self.areas).index(area))
