"""Base class of loss terms beside that of the task."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from cornet.brain.benchmarks import Benchmark
from cornet.errors import CornetError
from cornet.stimuli.samples import Batch
from cornet.tasks.base import Outputs, Task

__all__ = ["Loss"]


class Loss(nn.Module, ABC):
    """A term that is added to the loss of the task, `weight` times.

    needs_readouts, needs_states: whether the outputs must hold the read-outs of every step, or the states of the areas.
    needs_gradients: whether the outputs must hold the normalised images, with gradients of any order; the network then
    trains uncompiled and without mixed precision.
    Raises CornetError for a weight that is not a number, 0 or more.
    """

    needs_readouts = False
    needs_states = False
    needs_gradients = False
    position = 0
    """Training batches before this one; set before each."""

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

    def attach(self, net: Any, source: Any) -> None:
        """Fit the loss to a network and its images, once, before the training.

        source: has size, mean and std of the images. Raises CornetError if either does not fit the loss.
        """

    def start_epoch(self) -> None:
        """Called before the first batch of each training epoch, or of what is left of one that is resumed."""

    def end_epoch(self) -> None:
        """Called after each training epoch. Raises CornetError if the loss had nothing to learn from."""

    def benchmarks(self) -> Sequence[Benchmark[Any]]:
        """Benchmarks that measure what the loss asks for on data that it does not use; scored with those of the run."""
        return ()
