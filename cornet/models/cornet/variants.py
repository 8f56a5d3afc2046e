"""Area layouts, checks of a network's arguments, resolution of steps, and weight initialisation."""

import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args

from torch import nn

from cornet.errors import CornetError, check_choice
from cornet.models.cornet.norm import NormMode
from cornet.models.cornet.unroll import UNROLLS, Unroll, first_driven_step
from cornet.sizes import MAX_CHANNELS, MAX_STEPS

__all__ = [
    "CHANNELS",
    "PUBLISHED_INIT",
    "PUBLISHED_NORM",
    "AreaSpec",
    "Block",
    "Init",
    "Times",
    "V1Kind",
    "area_layout",
    "check_choices",
    "check_feedback_arrives",
    "check_max_channels",
    "check_off_after",
    "check_positive",
    "check_positive_int",
    "check_v1_options",
    "initialise",
    "published_steps",
    "resolve_steps",
]

AREAS = ("V1", "V2", "V4", "IT")
CHANNELS = (64, 128, 256, 512)


class AreaSpec(NamedTuple):
    """Name, channels at width 1, and whether the area halves the map. V1 instead has a total stride of 4."""

    name: str
    channels: int
    halves: bool


FOUR = tuple(AreaSpec(name, channels, True) for name, channels in zip(AREAS, CHANNELS, strict=True))
V3 = AreaSpec("V3", CHANNELS[1], False)
LAYOUTS = {4: FOUR, 5: (*FOUR[:2], V3, *FOUR[2:])}


def area_layout(areas: int) -> tuple[AreaSpec, ...]:
    """Specifications of 4 or 5 areas. Raises CornetError for another number.

    The 2019 paper does not name its fifth area; ours is V3, between V2 and V4, with channels and map size of V2.
    """
    if isinstance(areas, bool) or areas not in LAYOUTS:
        raise CornetError(f"areas={areas!r} is unknown; choose 4, or 5 to add V3 between V2 and V4.")
    return LAYOUTS[areas]


Init = Literal["xavier", "torch", "fan_out", "kaiming"]


def initialise(net: nn.Module, init: Init) -> None:
    """Initialise the weights of all convolutions and linear layers in place.

    "xavier": Xavier-uniform weights and zero biases, convolutions and linear (published Z).
    "torch": PyTorch's default (published R and RT).
    "fan_out": convolutions normal with standard deviation sqrt(2 / (k * k * out_channels)), the rest
        PyTorch's default (published S).
    "kaiming": convolutions normal with standard deviation sqrt(2 / (k * k * in_channels)) and zero biases, so
        that activations keep their scale in a network without norms; the rest PyTorch's default.

    Norms always start with weight 1 and bias 0.
    """
    check_choice("init", init, get_args(Init))
    if next(net.parameters()).is_meta:
        return  # meta tensors have no data
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
V1Kind = Literal["gabor"]
Times = int | Mapping[str, int]
PUBLISHED_INIT: dict[str, Init] = {"feedforward": "xavier", "recurrent": "torch", "bottleneck": "fan_out"}
PUBLISHED_NORM: dict[str, NormMode] = {"recurrent": "group", "bottleneck": "per_step"}
CIRCUIT = {"bottleneck": 4, "gate": "hard", "loop": None, "convolutions": 3, "skip": True}
"""Arguments that only bottlenecks have, and their published values."""


def check_choices(
    block: str, unroll: str, norm: str | None, v1: str | None, circuit: Mapping[str, Any]
) -> None:
    """Raise CornetError for unknown choices and for choices that the block would ignore. circuit: keys of CIRCUIT."""
    check_choice("block", block, get_args(Block))
    check_choice("unroll", unroll, UNROLLS)
    if block != "recurrent" and unroll != "sequential":
        raise CornetError(
            f"unroll={unroll!r} is incompatible with block={block!r}, whose areas read their input once; "
            "choose unroll='sequential', or block='recurrent'."
        )
    if block == "feedforward" and norm is not None:
        raise CornetError(
            f"norm={norm!r} is incompatible with block='feedforward', which has no norms; omit it."
        )
    if v1 is not None and v1 not in get_args(V1Kind):
        raise CornetError(f"v1={v1!r} is unknown; choose {' or '.join(get_args(V1Kind))}, or omit it.")
    if v1 is not None and unroll != "sequential":
        raise CornetError(
            f"v1={v1!r} is incompatible with unroll={unroll!r}, as it requires a V1 that runs once; "
            "choose block='bottleneck' or 'feedforward'."
        )
    for word, value in circuit.items():
        if block == "bottleneck" or value == CIRCUIT[word]:
            continue
        why = ", which has no skip connection" if word == "skip" else ""
        raise CornetError(f"{word}={value!r} is incompatible with block={block!r}{why}; omit it.")


def check_v1_options(v1: str | None, options: Mapping[str, Any] | None, area: type) -> None:
    """Raise CornetError for options without v1, and for unknown options."""
    known = [word for word in inspect.signature(area).parameters if word not in ("in_channels", "channels")]
    if options and v1 is None:
        raise CornetError(f"v1_options={dict(options)!r} needs v1=gabor; add that, or omit v1_options.")
    if unknown := [word for word in options or {} if word not in known]:
        raise CornetError(
            f"v1_options has the unknown key {unknown[0]!r} for v1={v1!r}; choose from {', '.join(known)}."
        )


def check_positive_int(word: str, value: Any, most: int = MAX_CHANNELS) -> None:
    """Raise CornetError unless the value is an integer from 1 to `most`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise CornetError(f"{word}={value!r} must be a whole number, at least 1.")
    if int(value) > most:
        raise CornetError(f"{word}={value} is too large; give at most {most:,}.")


def check_positive(word: str, value: Any) -> None:
    """Raise CornetError unless the value is a finite number above 0."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise CornetError(f"{word}={value!r} must be a number above 0.")


def check_max_channels(block: str, channels: int, width: float, bottleneck: float) -> None:
    """Raise CornetError if the widest area would exceed MAX_CHANNELS. channels: its channels at width 1."""
    inner = max(1, bottleneck) if block == "bottleneck" else 1
    if channels * float(width) * inner > MAX_CHANNELS:
        given = f"width={width!r}" + (f" with bottleneck={bottleneck!r}" if inner > 1 else "")
        raise CornetError(
            f"{given} makes an area wider than the maximum of {MAX_CHANNELS:,} channels; choose a smaller number."
        )


def published_steps(block: str, areas: Sequence[str]) -> dict[str, int]:
    """Published steps per area. V3, which was not published, has the steps of V2."""
    if block == "bottleneck":
        known = {"V1": 1, "V2": 2, "V3": 2, "V4": 4, "IT": 2}
        return {area: known[area] for area in areas}
    return dict.fromkeys(areas, 5 if block == "recurrent" else 1)


def resolve_steps(
    block: str, unroll: Unroll, times: Times | None, default: Mapping[str, int]
) -> dict[str, int]:
    """Resolve `times` (one number, {area: number}, or None for the default) to steps per area.

    Raises CornetError for unknown areas, and for steps that the block and the unrolling cannot run.
    """
    areas = tuple(default)
    single = {"feedforward": areas, "bottleneck": areas[:1]}.get(block, ())
    if times is None:
        given: dict[str, Any] = {}
    elif isinstance(times, Mapping):
        given = dict(times)
    else:  # one number applies to the areas that can run several steps
        given = dict.fromkeys([area for area in areas if area not in single] or areas, times)
    if unknown := [str(area) for area in given if area not in areas]:
        raise CornetError(f"times names {', '.join(unknown)}, but the areas are {', '.join(areas)}.")
    for area, value in given.items():
        check_positive_int(f"times.{area}" if isinstance(times, Mapping) else "times", value, MAX_STEPS)
        if area in single and value != 1:
            raise CornetError(
                f"times.{area}={value} is impossible: {area} is feed-forward in block={block!r}; leave it at 1."
            )
    steps = {area: int(given.get(area, default[area])) for area in areas}
    if unroll != "sequential" and len(set(steps.values())) > 1:
        raise CornetError(
            f"times={steps} must be equal, as all areas advance in lockstep with unroll={unroll!r}; give one number."
        )
    needed = first_driven_step(unroll, len(areas) - 1) + 1
    if steps[areas[-1]] < needed:
        raise CornetError(
            f"times={steps[areas[-1]]} is too few: with unroll={unroll!r} the image reaches {areas[-1]} at step "
            f"{needed}, so the logits would not depend on it; give at least {needed}."
        )
    return steps


def check_off_after(off_after: int | None, unroll: str, steps: Mapping[str, int]) -> None:
    """Raise CornetError if `off_after` has no effect: sequential unrolling, or too late."""
    if off_after is None:
        return
    check_positive_int("off_after", off_after)
    if unroll == "sequential":
        raise CornetError(
            f"off_after={off_after} is incompatible with unroll='sequential', where V1 reads the image once; choose "
            "unroll='synchronous' or 'cascade', as in cornet_rt and cornet_r."
        )
    most = max(steps.values())
    if off_after >= most:
        raise CornetError(
            f"off_after={off_after} is too late: the network runs {most} steps, so the image would never go off; "
            f"choose at most {most - 1}, or increase times."
        )


def check_feedback_arrives(
    pairs: Sequence[tuple[str, str]], unroll: Unroll, steps: Mapping[str, int]
) -> None:
    """Raise CornetError for a connection whose signal would not reach the last area in time."""
    areas = tuple(steps)
    for above, to in pairs:
        arrives = first_driven_step(unroll, areas.index(above)) + 1
        lag = len(areas) - 1 - areas.index(to) if unroll == "synchronous" else 0
        if (needed := arrives + lag + 1) > steps[areas[-1]]:
            raise CornetError(
                f"times={steps[areas[-1]]} is too few for feedback {above}-{to}: its signal reaches "
                f"{areas[-1]} at step {needed}; give at least {needed}."
            )
