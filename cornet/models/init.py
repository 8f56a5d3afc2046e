"""How fresh networks start."""

import math
from typing import Literal, get_args

from torch import nn

from cornet.errors import CornetError

__all__ = ["Init", "initialise"]

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
