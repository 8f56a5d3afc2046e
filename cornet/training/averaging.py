"""An exponential moving average of a network's weights, for validation, brain scores and checkpoints."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cornet.errors import CornetError

__all__ = ["AveragedWeights", "check_average"]


class AveragedWeights:
    """An exponential moving average (EMA) of a network's weights and of its norms' statistics, updated every step.

    The averaged statistics fit the averaged weights well, so they are not recomputed. Counters are copied.
    net: on its device. decay: weight of the average in an update, at most (1 + n) / (10 + n) after n updates.
    `swapped`: whether the network holds the average and this object the weights in training.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay = decay
        self.updates = 0
        self.swapped = False
        self.weights = dict(net.state_dict())  # views of the network's tensors
        self.average = {name: tensor.clone() for name, tensor in self.weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Update the average after an optimiser step, without waiting for the device."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        names = [name for name, tensor in self.average.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in names], [self.weights[n] for n in names], 1 - decay)
        for name in self.average.keys() - set(names):
            self.average[name].copy_(self.weights[name])

    @torch.no_grad()
    def swap(self) -> None:
        """Swap the network's weights and the average in place, so that a compiled network stays valid."""
        for name, tensor in self.weights.items():
            stored = self.average[name]
            copy = tensor.clone()
            tensor.copy_(stored)
            stored.copy_(copy)
        self.swapped = not self.swapped

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """A context in which the network holds the average."""
        was_swapped = self.swapped
        if not was_swapped:
            self.swap()
        try:
            yield
        finally:
            if not was_swapped:
                self.swap()

    def pack(self, checkpoint: dict[str, Any]) -> None:
        """Store the average as the checkpoint's weights, and the weights in training as `raw_weights`."""
        state = checkpoint["state_dict"]
        weights = {name: state[name] for name in self.average}
        averaged, raw = (weights, self.average) if self.swapped else (self.average, weights)
        checkpoint["raw_weights"] = {"weights": dict(raw), "updates": self.updates}
        state.update(averaged)

    @staticmethod
    def unpack(checkpoint: dict[str, Any]) -> tuple[dict[str, Tensor], int] | None:
        """Undo `pack`. Returns the average and its number of updates; None for a checkpoint without an average."""
        if "raw_weights" not in checkpoint:
            return None
        state, raw = checkpoint["state_dict"], dict(checkpoint["raw_weights"]["weights"])
        if not all(name in state for name in raw):  # of a version that left out the prefix of the network
            raw = {f"net.{name}": tensor for name, tensor in raw.items()}
        averaged = {name: state[name] for name in raw}
        state.update(raw)
        return averaged, checkpoint["raw_weights"]["updates"]

    @torch.no_grad()
    def load(self, averaged: Mapping[str, Tensor], updates: int) -> None:
        """Load an average that `unpack` returned."""
        for name, tensor in averaged.items():
            self.average[name].copy_(tensor)
        self.updates = updates


def check_average(decay: Any) -> None:
    """Raise CornetError unless `decay` is None or between 0 and 1."""
    if decay is not None and not (isinstance(decay, float | int) and 0 < decay < 1):
        raise CornetError(
            f"recipe.average={decay!r} must be between 0 and 1, the decay of the average per step, such as 0.999; set "
            "it to null for no averaging."
        )
