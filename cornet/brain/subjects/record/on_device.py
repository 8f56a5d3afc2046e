"""Networks in evaluation mode on a device."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import nn

from cornet.brain.subjects.base import eval_mode

__all__ = ["device_of", "eval_on_device"]


@contextlib.contextmanager
def eval_on_device(
    net: nn.Module, target: torch.device | None, inference: bool = True
) -> Iterator[tuple[nn.Module, torch.device]]:
    """The network in evaluation mode: itself, or a copy if `target` is another device than its own.

    inference: as in `eval_mode`.
    """
    device = device_of(net)
    if target is not None and not is_same_device(target, device):
        net, device = copy.deepcopy(net).to(target), target
    with eval_mode(net, device, inference):
        yield net, device


def is_same_device(target: torch.device, device: torch.device) -> bool:
    """Whether `device` is `target`, where "cuda" without an index matches any GPU."""
    return target.type == device.type and (target.type != "cuda" or target.index in (None, device.index))


def device_of(net: nn.Module) -> torch.device:
    """Device of the first parameter or buffer of a network; the CPU if it has none."""
    for tensors in (net.parameters(), net.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")
