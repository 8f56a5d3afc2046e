"""Checks of a network's arguments, and weight initialisation."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from torch import nn

from cornet.errors import CornetError, check_choice
from cornet.models.cornet.layout import CHANNELS
from cornet.models.cornet.norm import NormMode
from cornet.models.cornet.unroll import UNROLLS
from cornet.sizes import MAX_CHANNELS

__all__ = [
    "CHANNELS",
    "PUBLISHED_INIT",
    "PUBLISHED_NORM",
    "Block",
    "Init",
    "V1Kind",
    "check_choices",
    "check_max_channels",
    "check_v1_options",
    "initialise",
]

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


def check_max_channels(block: str, channels: int, width: float, bottleneck: float) -> None:
    """Raise CornetError if the widest area would exceed MAX_CHANNELS. channels: its channels at width 1."""
    inner = max(1, bottleneck) if block == "bottleneck" else 1
    if channels * float(width) * inner > MAX_CHANNELS:
        given = f"width={width!r}" + (f" with bottleneck={bottleneck!r}" if inner > 1 else "")
        raise CornetError(
            f"{given} makes an area wider than the maximum of {MAX_CHANNELS:,} channels; choose a smaller number."
        )
