"""Which areas a network has, what may be chosen of it, and how its weights start."""

import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args

from torch import nn

from cornet.errors import CornetError
from cornet.models.cornet.norm import NormMode
from cornet.models.cornet.unroll import UNROLLS, Unroll, first_driven_step
from cornet.sizes import MAX_CHANNELS, MAX_STEPS

__all__ = [
    "AREAS",
    "CHANNELS",
    "PUBLISHED_INIT",
    "PUBLISHED_NORM",
    "Block",
    "Front",
    "Init",
    "Place",
    "Times",
    "area_layout",
    "check_choices",
    "check_feedback_arrives",
    "check_front_options",
    "check_off_after",
    "check_positive",
    "check_whole",
    "check_widest",
    "initialise",
    "published_steps",
    "resolve_steps",
]

AREAS = ("V1", "V2", "V4", "IT")
CHANNELS = (64, 128, 256, 512)


class Place(NamedTuple):
    """An area's name, channels at width 1, and whether it halves the map. V1 has a stride of its own, 4 in all."""

    name: str
    channels: int
    halves: bool


FOUR = tuple(Place(name, channels, True) for name, channels in zip(AREAS, CHANNELS, strict=True))
V3 = Place("V3", CHANNELS[1], False)
LAYOUTS = {4: FOUR, 5: (*FOUR[:2], V3, *FOUR[2:])}


def area_layout(areas: int) -> tuple[Place, ...]:
    """The places of 4 or 5 areas. Raises CornetError for another number.

    The 2019 paper does not name its fifth area; ours is V3, between V2 and V4, with channels and map size of V2.
    """
    if isinstance(areas, bool) or areas not in LAYOUTS:
        raise CornetError(f"areas={areas!r} is unknown; choose 4, or 5 for one with V3 between V2 and V4.")
    return LAYOUTS[areas]


Init = Literal["xavier", "torch", "fan_out", "kaiming"]


def initialise(net: nn.Module, init: Init) -> None:
    """Set the weights of all convolutions and linear layers in place.

    "xavier": Xavier-uniform weights and zero biases, convolutions and linear (published Z).
    "torch": PyTorch's default (published R and RT).
    "fan_out": convolutions normal with standard deviation sqrt(2 / (k * k * out_channels)), the rest
        PyTorch's default (published S).
    "kaiming": convolutions normal with standard deviation sqrt(2 / (k * k * in_channels)) and zero biases, so
        that activity keeps its size through a network without norms; the rest PyTorch's default.

    Norms always start at weight 1 and bias 0.
    """
    if init not in get_args(Init):
        raise CornetError(f"init={init!r} is unknown; choose one of {', '.join(get_args(Init))}.")
    if next(net.parameters()).is_meta:
        return  # there is nothing to set
    for module in net.modules():
        if init == "xavier" and isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d) and init in ("fan_out", "kaiming"):
            kernel = math.prod(module.kernel_size)
            fan = kernel * (module.out_channels if init == "fan_out" else module.in_channels)
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


Block = Literal["feedforward", "recurrent", "bottleneck"]
Front = Literal["gabor"]
Times = int | Mapping[str, int]
PUBLISHED_INIT: dict[str, Init] = {"feedforward": "xavier", "recurrent": "torch", "bottleneck": "fan_out"}
PUBLISHED_NORM: dict[str, NormMode] = {"recurrent": "group", "bottleneck": "per_step"}
CIRCUIT = {"bottleneck": 4, "gate": "hard", "loop": None, "convolutions": 3, "skip": True}
"""What only a bottleneck has, and its published value."""


def check_choices(
    block: str, unroll: str, norm: str | None, front: str | None, circuit: Mapping[str, Any]
) -> None:
    """Refuse what does not exist, and what a block would leave unused. circuit: as CIRCUIT."""
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
    if front is not None and front not in get_args(Front):
        raise CornetError(
            f"front={front!r} is unknown; choose {' or '.join(get_args(Front))}, or leave it out."
        )
    if front is not None and unroll != "sequential":
        raise CornetError(
            f"front={front!r} does not go with unroll={unroll!r}: it is the V1 of networks whose V1 runs once; "
            "choose block='bottleneck' or 'feedforward'."
        )
    for word, value in circuit.items():
        if block == "bottleneck" or value == CIRCUIT[word]:
            continue
        if word == "skip" or value is True:
            why = "whose input and state differ in shape, so that nothing can skip it"
            raise CornetError(f"skip={value!r} does not go with block={block!r}, {why}; leave it out.")
        raise CornetError(f"{word}={value!r} does not go with block={block!r}; leave it out.")


def check_front_options(front: str | None, options: Mapping[str, Any] | None, area: type) -> None:
    """Refuse options of a front that is not there, and those that it does not take."""
    known = [word for word in inspect.signature(area).parameters if word not in ("in_channels", "channels")]
    if options and front is None:
        raise CornetError(
            f"front_options={dict(options)!r} does not go without a front; add front=gabor, or leave it out."
        )
    if unknown := [word for word in options or {} if word not in known]:
        raise CornetError(
            f"front_options names {unknown[0]!r}, which front={front!r} does not take; choose from {', '.join(known)}."
        )


def check_whole(word: str, value: Any, most: int = MAX_CHANNELS) -> None:
    """Refuse anything but a whole number from 1 to `most`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise CornetError(f"{word}={value!r} must be a whole number, at least 1.")
    if int(value) > most:
        raise CornetError(f"{word}={value} is too large; give at most {most:,}.")


def check_positive(word: str, value: Any) -> None:
    """Refuse anything but a finite number above 0."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise CornetError(f"{word}={value!r} must be a number above 0.")


def check_widest(block: str, channels: int, width: float, bottleneck: float) -> None:
    """Refuse more channels than are built. channels: of the widest area at width 1."""
    inner = max(1, bottleneck) if block == "bottleneck" else 1
    if channels * float(width) * inner > MAX_CHANNELS:
        given = f"width={width!r}" + (f" with bottleneck={bottleneck!r}" if inner > 1 else "")
        raise CornetError(
            f"{given} gives an area more than {MAX_CHANNELS:,} channels; at most that many are built, so choose a "
            "smaller number."
        )


def published_steps(block: str, areas: Sequence[str]) -> dict[str, int]:
    """Steps per area as published; of V3, which was not, as of V2."""
    if block == "bottleneck":
        known = {"V1": 1, "V2": 2, "V3": 2, "V4": 4, "IT": 2}
        return {area: known[area] for area in areas}
    return dict.fromkeys(areas, 5 if block == "recurrent" else 1)


def resolve_steps(
    block: str, unroll: Unroll, times: Times | None, default: Mapping[str, int]
) -> dict[str, int]:
    """Steps per area, from one number, some areas' numbers, or nothing; what is not given is as `default`.

    Raises CornetError for what the block and the unrolling cannot run.
    """
    areas = tuple(default)
    single = {"feedforward": areas, "bottleneck": areas[:1]}.get(block, ())
    if times is None:
        given: dict[str, Any] = {}
    elif isinstance(times, Mapping):
        given = dict(times)
    else:  # one number for all areas means all that can take several
        given = dict.fromkeys([area for area in areas if area not in single] or areas, times)
    if unknown := [str(area) for area in given if area not in areas]:
        raise CornetError(f"times names {', '.join(unknown)}, but the areas are {', '.join(areas)}.")
    for area, value in given.items():
        check_whole(f"times.{area}" if isinstance(times, Mapping) else "times", value, MAX_STEPS)
        if area in single and value != 1:
            raise CornetError(
                f"times.{area}={value} cannot be: {area} is feed-forward in block={block!r}; leave it at 1."
            )
    steps = {area: int(given.get(area, default[area])) for area in areas}
    if unroll != "sequential" and len(set(steps.values())) > 1:
        raise CornetError(
            f"times={steps} differ, but with unroll={unroll!r} all areas advance together; give one number."
        )
    needed = first_driven_step(unroll, len(areas) - 1) + 1
    if steps[areas[-1]] < needed:
        raise CornetError(
            f"times={steps[areas[-1]]} is too few: with unroll={unroll!r} an image reaches {areas[-1]} at step "
            f"{needed}, so the logits would not depend on it; give at least {needed}."
        )
    return steps


def check_off_after(off_after: int | None, unroll: str, steps: Mapping[str, int]) -> None:
    """Refuse a stimulus that goes off where areas do not run together, or never."""
    if off_after is None:
        return
    check_whole("off_after", off_after)
    if unroll == "sequential":
        raise CornetError(
            f"off_after={off_after} does not go with unroll='sequential', where the image is seen once; choose "
            "unroll='synchronous' or 'cascade', as of cornet_rt and cornet_r."
        )
    most = max(steps.values())
    if off_after >= most:
        raise CornetError(
            f"off_after={off_after} is too late: the network runs {most} steps, so that the image would never go off; "
            f"choose at most {most - 1}, or more times."
        )


def check_feedback_arrives(
    pairs: Sequence[tuple[str, str]], unroll: Unroll, steps: Mapping[str, int]
) -> None:
    """Refuse connections over which nothing of the image would come back to the last area in time."""
    areas = tuple(steps)
    for above, to in pairs:
        arrives = first_driven_step(unroll, areas.index(above)) + 1
        lag = len(areas) - 1 - areas.index(to) if unroll == "synchronous" else 0
        if (needed := arrives + lag + 1) > steps[areas[-1]]:
            raise CornetError(
                f"times={steps[areas[-1]]} is too few for feedback {above}-{to}: nothing of the image comes back to "
                f"{areas[-1]} before step {needed}; give at least {needed}."
            )
