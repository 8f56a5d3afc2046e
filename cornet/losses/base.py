"""Base class of loss terms beside that of the task."""

import math
from abc import ABC, abstractmethod

from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.stimuli.samples import Batch
from cornet.tasks.base import Outputs, Task

__all__ = ["Loss"]


class Loss(nn.Module, ABC):
    """A term that is added to the loss of the task, `weight` times.

    needs_readouts, needs_states: whether the outputs must hold the read-outs of every step, or the states of the areas.
    Raises CornetError for a weight that is not a number, 0 or more.
    """

    needs_readouts = False
    needs_states = False

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if not (isinstance(weight, int | float) and weight >= 0 and math.isfinite(weight)):
            raise CornetError(
                f"the weight {weight!r} of the loss {type(self).__name__} must be a number, at least 0."
            )
        self.weight = float(weight)

    @abstractmethod
    def forward(self, net: nn.Module, task: Task, batch: Batch, outputs: Outputs) -> Tensor:
        """Return the term for a training batch, before it is weighted, a scalar.

        batch: inputs (batch, channel, y, x) uint8, and targets. outputs: of the network and the heads of the task.
        """
