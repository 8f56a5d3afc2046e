"""Copies of the areas above a branch point, for tasks that share only the areas up to it."""

import copy
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.cornet.unroll import UNROLLS

__all__ = ["Branch"]


class Branch(nn.Module):
    """Copies of the areas of a CORnet above `area`, in its unrolling. They start with the weights of the network.

    Raises CornetError for an unknown area, the last area, and a network with feedback.
    """

    def __init__(self, net: Any, area: str) -> None:
        super().__init__()
        names = list(net.areas)
        if area not in names[:-1]:
            raise CornetError(
                f"task.branch={area!r} is impossible, because tasks have areas of their own above it; choose one of "
                f"{', '.join(names[:-1])}, or null."
            )
        if net.feedback is not None:
            raise CornetError(
                f"task.branch={area!r} does not go with feedback, because areas of one task would drive areas that all "
                "tasks share; set model.feedback=false."
            )
        self.unroll = net.unroll
        self.point = area
        for name in names[names.index(area) + 1 :]:
            self.add_module(name, copy.deepcopy(net.areas[name]))

    def forward(self, outputs: Sequence[Tensor], steps: Mapping[str, int]) -> dict[str, list[Tensor]]:
        """Compute the copies from the outputs of the branch point at each step, [(batch, channel, y, x), ...].

        outputs: at steps before the image has arrived, with a batch of one. steps: {area: steps} of the whole network.
        Returns {area: [(batch, ...), ...]} of the copies.
        """
        copies = dict(self.named_children())
        areas = {self.point: Recorded(outputs), **copies}
        history = UNROLLS[self.unroll](areas, outputs[0], steps, True, None, None)
        return {name: history[name] for name in copies}


class Recorded:
    """An area whose outputs were computed before; see `cornet.models.cornet.areas` for the methods."""

    norm_input = SimpleNamespace(static=False)

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        self.outputs = outputs
        self.channels = outputs[0].shape[1]

    def drive(self, below: Tensor, step: int) -> Tensor:
        return self.outputs[step]

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        return self.outputs[step]
