"""The CORnet family as one network: areas, a way to unroll them, a decoder."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.areas import BottleneckArea, FeedforwardArea, RecurrentArea, StemArea
from cornet.models.compiling import CompiledNetwork
from cornet.models.init import Init, initialise
from cornet.models.norm import Beyond, NormMode
from cornet.models.unroll import UNROLLS, Unroll, first_driven_step

__all__ = ["AREAS", "CHANNELS", "Block", "CORnet", "Times"]

Block = Literal["feedforward", "recurrent", "bottleneck"]
Times = int | Mapping[str, int]
Pixels = tuple[Tensor, Tensor]
AREAS = ("V1", "V2", "V4", "IT")
CHANNELS = (64, 128, 256, 512)
PUBLISHED_STEPS = {"feedforward": (1, 1, 1, 1), "recurrent": (5, 5, 5, 5), "bottleneck": (1, 2, 4, 2)}
PUBLISHED_INIT: dict[str, Init] = {"feedforward": "xavier", "recurrent": "torch", "bottleneck": "fan_out"}
PUBLISHED_NORM: dict[str, NormMode] = {"recurrent": "group", "bottleneck": "per_step"}


class CORnet(nn.Module):
    """V1, V2, V4, IT and a linear decoder, for images of any size.

    num_classes: outputs of the decoder.
    block: what an area is made of: "feedforward" (Z), "recurrent" (R, RT), "bottleneck" (S).
    unroll: "sequential" (Z, S), "cascade" (R) or "synchronous" (RT); see `cornet.models.unroll`.
    times: steps per area: one number for all areas that can take several, or {"V2": 2, "V4": 4, "IT": 2}
        (an area left out keeps its published number). Cascade and synchronous areas advance together and
        so share one number; Z's areas, and S's V1, always take one step.
    width: multiplies the published channels 64, 128, 256, 512.
    bottleneck: inner width of a bottleneck area in units of its channels.
    norm: "per_step", "shared", "shared_affine" or "group"; None for the block's published one. Z has none.
    beyond: "last" or "refuse": what norms do at steps later than the trained ones.
    init: "xavier", "torch", "fan_out" or "kaiming"; None for the block's published one.
    in_channels: channels of the images.

    `steps` holds the resolved {area: steps}. Norms per step in cascade or synchronous areas include some of
    steps that never reach the logits; these get no gradient.
    Raises CornetError for a choice that does not exist and for too few steps for an image to be seen.
    Sources: Kubilius et al. 2018 (Z, R, RT), Kubilius, Schrimpf et al. 2019 (S).
    """

    _compiled: CompiledNetwork | None = None

    def __init__(
        self,
        num_classes: int = 1000,
        block: Block = "bottleneck",
        unroll: Unroll = "sequential",
        times: Times | None = None,
        width: float = 1.0,
        bottleneck: float = 4,
        norm: NormMode | None = None,
        beyond: Beyond = "last",
        init: Init | None = None,
        in_channels: int = 3,
    ):
        super().__init__()
        check_block(block, unroll, norm, bottleneck)
        check_whole("num_classes", num_classes)
        check_whole("in_channels", in_channels)
        check_positive("width", width)
        check_positive("bottleneck", bottleneck)
        self.num_classes = int(num_classes)
        self.in_channels = int(in_channels)
        self.block = block
        self.unroll = unroll
        published = dict(zip(AREAS, PUBLISHED_STEPS[block], strict=True))
        self.steps = resolve_steps(block, unroll, times, published)
        norm = norm or PUBLISHED_NORM.get(block, "per_step")
        self.areas = nn.ModuleDict()
        below = self.in_channels
        for name, published_channels in zip(AREAS, CHANNELS, strict=True):
            channels = max(1, round(published_channels * width))
            steps = self.steps[name]
            first = name == AREAS[0]
            area: nn.Module
            if block == "feedforward":
                area = FeedforwardArea(below, channels, 7 if first else 3, 2 if first else 1)
            elif block == "recurrent":
                kernel, stride = (7, 4) if first else (3, 2)
                driven = first_driven_step(unroll, len(self.areas))
                area = RecurrentArea(below, channels, steps, kernel, stride, norm, beyond, driven)
            elif first:
                area = StemArea(below, channels, norm)
            else:
                area = BottleneckArea(below, channels, steps, bottleneck, norm, beyond)
            self.areas[name] = area
            below = channels
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
        times: run these steps instead of the trained ones (an area left out keeps its own); `beyond` says
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
        history = UNROLLS[self.unroll](dict(self.areas.items()), images, steps, return_states)
        last = history[AREAS[-1]]
        driven = last[self.first_driven_step(AREAS[-1]) :] if readouts else last[-1:]
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
        """(images - mean) / std, in the type of `mean` and in the memory layout of the first convolution."""
        kernel = next(weight for weight in self.areas[AREAS[0]].parameters() if weight.ndim == 4)
        last = kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()
        layout = torch.channels_last if last else torch.contiguous_format
        return (images.to(mean.dtype, memory_format=layout) - mean) / std

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


def check_block(block: str, unroll: str, norm: str | None, bottleneck: Any) -> None:
    """Refuse what does not exist, and what a block would leave unused."""
    if block not in get_args(Block):
        raise CornetError(f"block={block!r} is unknown; choose one of {', '.join(get_args(Block))}.")
    if unroll not in UNROLLS:
        raise CornetError(f"unroll={unroll!r} is unknown; choose one of {', '.join(UNROLLS)}.")
    if block != "recurrent" and unroll != "sequential":
        raise CornetError(
            f"unroll={unroll!r} does not go with block={block!r}, whose areas see their input once; "
            "choose unroll='sequential', or block='recurrent'."
        )
    if block == "feedforward" and norm is not None:
        raise CornetError(
            f"norm={norm!r} does not go with block='feedforward', which has no norms; leave it out."
        )
    if block != "bottleneck" and bottleneck != 4:
        raise CornetError(f"bottleneck={bottleneck!r} does not go with block={block!r}; leave it out.")


def check_whole(word: str, value: Any) -> None:
    """Refuse anything but a whole number of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise CornetError(f"{word}={value!r} must be a whole number, at least 1.")


def check_positive(word: str, value: Any) -> None:
    """Refuse anything but a finite number above 0."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise CornetError(f"{word}={value!r} must be a number above 0.")


def resolve_steps(
    block: str, unroll: Unroll, times: Times | None, default: Mapping[str, int]
) -> dict[str, int]:
    """Steps per area, from one number, some areas' numbers, or nothing; what is not given is as `default`.

    Raises CornetError for what the block and the unrolling cannot run.
    """
    single = {"feedforward": AREAS, "bottleneck": AREAS[:1]}.get(block, ())
    if times is None:
        given: dict[str, Any] = {}
    elif isinstance(times, Mapping):
        given = dict(times)
    else:  # one number for all areas means all that can take several
        given = dict.fromkeys([area for area in AREAS if area not in single] or AREAS, times)
    if unknown := [str(area) for area in given if area not in AREAS]:
        raise CornetError(f"times names {', '.join(unknown)}, but the areas are {', '.join(AREAS)}.")
    for area, value in given.items():
        check_whole(f"times.{area}" if isinstance(times, Mapping) else "times", value)
        if area in single and value != 1:
            raise CornetError(
                f"times.{area}={value} cannot be: {area} is feed-forward in block={block!r}; leave it at 1."
            )
    steps = {area: int(given.get(area, default[area])) for area in AREAS}
    if unroll != "sequential" and len(set(steps.values())) > 1:
        raise CornetError(
            f"times={steps} differ, but with unroll={unroll!r} all areas advance together; give one number."
        )
    needed = first_driven_step(unroll, len(AREAS) - 1) + 1
    if steps[AREAS[-1]] < needed:
        raise CornetError(
            f"times={steps[AREAS[-1]]} is too few: with unroll={unroll!r} an image reaches {AREAS[-1]} at step "
            f"{needed}, so the logits would not depend on it; give at least {needed}."
        )
    return steps
