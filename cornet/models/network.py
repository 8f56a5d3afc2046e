"""The CORnet family as one network: areas, a way to unroll them, a decoder."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.areas import BottleneckArea, FeedforwardArea, RecurrentArea, StemArea
from cornet.models.init import Init, initialise
from cornet.models.norm import Beyond, NormMode
from cornet.models.unroll import UNROLLS, Unroll, first_driven_step

__all__ = ["Block", "CORnet"]

Block = Literal["feedforward", "recurrent", "bottleneck"]
AREAS = ("V1", "V2", "V4", "IT")
CHANNELS = (64, 128, 256, 512)


class CORnet(nn.Module):
    """V1, V2, V4, IT and a linear decoder, for images of any size.

    num_classes: outputs of the decoder.
    block: what an area is made of: "feedforward" (Z), "recurrent" (R, RT), "bottleneck" (S).
    unroll: "sequential" (Z, S), "cascade" (R) or "synchronous" (RT); see `cornet.models.unroll`.
    times: steps per area: one number for all, or {"V2": 2, "V4": 4, "IT": 2} (an area left out keeps its
        published number). Feed-forward areas always take one step.
    width: multiplies the published channels 64, 128, 256, 512.
    bottleneck: inner width of a bottleneck area in units of its channels.
    norm: "per_step", "shared", "shared_affine" or "group"; None for the block's published one.
    beyond: "last" or "refuse": what norms do at steps later than the trained ones.
    init: "xavier", "torch", "fan_out" or "kaiming"; None for the block's published one.
    in_channels: channels of the images.

    Raises CornetError for a choice that does not exist and for too few steps for an image to be seen.
    Sources: Kubilius et al. 2018 (Z, R, RT), Kubilius, Schrimpf et al. 2019 (S).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        block: Block = "bottleneck",
        unroll: Unroll = "sequential",
        times: int | Mapping[str, int] | None = None,
        width: float = 1.0,
        bottleneck: float = 4,
        norm: NormMode | None = None,
        beyond: Beyond = "last",
        init: Init | None = None,
        in_channels: int = 3,
    ):
        super().__init__()
        check(block, unroll, num_classes, width, bottleneck)
        self.num_classes = num_classes
        self.block = block
        self.unroll = unroll
        self.steps = resolve_steps(block, unroll, times)
        channels = [max(1, round(c * width)) for c in CHANNELS]
        norm = norm or ("group" if block == "recurrent" else "per_step")
        self.areas = nn.ModuleDict()
        below = in_channels
        for name, c in zip(AREAS, channels, strict=True):
            first = name == AREAS[0]
            area: nn.Module
            if block == "feedforward":
                area = FeedforwardArea(below, c, 7 if first else 3, 2 if first else 1)
            elif block == "recurrent":
                steps = self.steps[name]
                area = RecurrentArea(below, c, steps, 7 if first else 3, 4 if first else 2, norm, beyond)
            elif first:
                area = StemArea(below, c, norm)
            else:
                area = BottleneckArea(below, c, self.steps[name], bottleneck, norm, beyond)
            self.areas[name] = area
            below = c
        self.decoder = nn.Linear(below, num_classes)
        initialise(self, init or PUBLISHED_INIT[block])

    def forward(
        self, images: Tensor, return_states: bool = False
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Logits (batch, class) of normalised images (batch, channel, y, x).

        With return_states also every area's output at every step: {area: (time, batch, channel, y, x)}.
        Sequential areas have as many steps as `steps` says; in the other unrollings all have the same.
        """
        history = UNROLLS[self.unroll](dict(self.areas.items()), images, self.steps)
        logits = self.decoder(history[AREAS[-1]][-1].mean(dim=(-2, -1)))
        if not return_states:
            return logits
        return logits, {name: torch.stack(outputs) for name, outputs in history.items()}

    def first_driven_step(self, area: str) -> int:
        """The first step (from 0) at which the area's output depends on the image."""
        if area not in self.areas:
            raise CornetError(f"area {area!r} is unknown; this network has {', '.join(self.areas)}.")
        return first_driven_step(self.unroll, list(self.areas).index(area))


PUBLISHED_INIT: dict[str, Init] = {"feedforward": "xavier", "recurrent": "torch", "bottleneck": "fan_out"}


def check(block: str, unroll: str, num_classes: int, width: float, bottleneck: float) -> None:
    """Refuse what no network can be built from."""
    if block not in get_args(Block):
        raise CornetError(f"block={block!r} is unknown; choose one of {', '.join(get_args(Block))}.")
    if unroll not in UNROLLS:
        raise CornetError(f"unroll={unroll!r} is unknown; choose one of {', '.join(UNROLLS)}.")
    if block != "recurrent" and unroll != "sequential":
        raise CornetError(
            f"unroll={unroll!r} does not go with block={block!r}, whose areas see their input once; "
            "choose unroll=sequential, or block=recurrent."
        )
    if num_classes < 1:
        raise CornetError(f"num_classes={num_classes} must be at least 1.")
    if not width > 0 or not bottleneck > 0:
        raise CornetError(f"width={width} and bottleneck={bottleneck} must both be above 0.")


def resolve_steps(block: Block, unroll: Unroll, times: int | Mapping[str, int] | None) -> dict[str, int]:
    """Steps per area, from one number, some areas' numbers, or nothing (the published ones)."""
    published: dict[str, Sequence[int]] = {
        "feedforward": (1, 1, 1, 1),
        "recurrent": (5, 5, 5, 5),
        "bottleneck": (1, 2, 4, 2),
    }
    steps = dict(zip(AREAS, published[block], strict=True))
    given = dict.fromkeys(AREAS, times) if isinstance(times, int) else dict(times or {})
    if unknown := sorted(set(given) - set(AREAS)):
        raise CornetError(f"times names {', '.join(unknown)}, but the areas are {', '.join(AREAS)}.")
    for area, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CornetError(f"times.{area}={value!r} must be a whole number of steps, at least 1.")
    single = set(AREAS if block == "feedforward" else AREAS[:1] if block == "bottleneck" else ())
    for area in single & set(given):
        if isinstance(times, int) and block == "bottleneck":
            del given[area]  # one number for all areas means all that can take steps
        elif given[area] != 1:
            raise CornetError(
                f"times.{area}={given[area]} cannot be: {area} is feed-forward in block={block!r}; leave it at 1."
            )
    steps.update(given)
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
