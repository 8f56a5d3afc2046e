"""Weights averaged over training steps: what is validated, scored against brains and handed on."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cornet.errors import CornetError

__all__ = ["AveragedWeights", "check_average"]


class AveragedWeights:
    """An exponential moving average of a network's weights and of its norms' statistics, step by step.

    The averaged statistics describe the averaged weights well, so no pass over the images is needed. Counters are
    copied. net: on its device. decay: share of the average that remains at a step, at most (1 + n) / (10 + n) after n
    steps. `swapped`: whether the network holds the average now, and this object the weights in training.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay = decay
        self.updates = 0
        self.swapped = False
        self.own = dict(net.state_dict())  # they share the network's memory
        self.tensors = {name: tensor.clone() for name, tensor in self.own.items()}

    @torch.no_grad()
    def update(self) -> None:
        """After an optimiser step. Nothing waits for the device."""
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        real = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.tensors[n] for n in real], [self.own[n] for n in real], 1 - keep)
        for name in self.tensors.keys() - set(real):
            self.tensors[name].copy_(self.own[name])

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's weights and the average, in place: what is compiled stays as it is."""
        for name, tensor in self.own.items():
            other = self.tensors[name]
            held = tensor.clone()
            tensor.copy_(other)
            other.copy_(held)
        self.swapped = not self.swapped

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The network holds the average meanwhile, if it did not before."""
        before = self.swapped
        if not before:
            self.swap()
        try:
            yield
        finally:
            if not before:
                self.swap()

    def pack(self, checkpoint: dict[str, Any], prefix: str) -> None:
        """Put the average where a checkpoint's weights are, and what is being trained under `raw_weights`."""
        state = checkpoint["state_dict"]
        own = {name: state[prefix + name] for name in self.tensors}
        averaged, raw = (own, self.tensors) if self.swapped else (self.tensors, own)
        checkpoint["raw_weights"] = {"weights": dict(raw), "updates": self.updates}
        state.update({prefix + name: tensor for name, tensor in averaged.items()})

    @staticmethod
    def unpack(checkpoint: dict[str, Any], prefix: str) -> tuple[dict[str, Tensor], int] | None:
        """The average and its number of updates, replaced by the weights to train on; None if there is no average."""
        if "raw_weights" not in checkpoint:
            return None
        state, raw = checkpoint["state_dict"], checkpoint["raw_weights"]
        averaged = {name: state[prefix + name] for name in raw["weights"]}
        state.update({prefix + name: tensor for name, tensor in raw["weights"].items()})
        return averaged, raw["updates"]

    @torch.no_grad()
    def load(self, averaged: Mapping[str, Tensor], updates: int) -> None:
        """Go on from an average that was unpacked."""
        for name, tensor in averaged.items():
            self.tensors[name].copy_(tensor)
        self.updates = updates


def check_average(decay: Any) -> None:
    """Raise CornetError for what is no decay."""
    if decay is not None and not (isinstance(decay, float | int) and 0 < decay < 1):
        raise CornetError(
            f"recipe.average={decay!r} must be between 0 and 1, the share of the average that a step keeps, such as "
            "0.999; leave it at null for no averaging."
        )
