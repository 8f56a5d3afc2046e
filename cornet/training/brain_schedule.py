"""When brains are compared with a network in training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cornet.errors import CornetError

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """Before training, at fractions of the first epoch, every `every` epochs, and at the end.

    before: score the network with its first weights. fractions: of the first epoch, between 0 and 1, as (.1, .5).
    every: epochs between two scores; 0: none between. end: after the last epoch, whatever `every` says.

    Raises CornetError for a schedule that would never fire.
    """

    before: bool = True
    fractions: Sequence[float] = ()
    every: int = 1
    end: bool = True

    def __post_init__(self) -> None:
        for fraction in self.fractions:
            if not 0 < fraction < 1:
                raise CornetError(
                    f"fractions={list(self.fractions)} of the first epoch must lie between 0 and 1; use for example "
                    "[0.1, 0.5]."
                )
        if self.every < 0 or int(self.every) != self.every:
            raise CornetError(
                f"every={self.every} must be a number of epochs, or 0 for none between start and end."
            )
        if not (self.before or self.fractions or self.every or self.end):
            raise CornetError(
                "the brain schedule never fires: before and end are false, every is 0, fractions is empty; set one of "
                "them, or leave the benchmarks out with brain=none."
            )

    def check(self, epochs: int) -> None:
        """Raise CornetError where no score would be taken in so many epochs."""
        if not (self.before or self.fractions or self.end) and self.every > epochs:
            raise CornetError(
                f"the brain schedule never fires: every={self.every} epochs, and the training has {epochs}; lower "
                "every, or set end=true."
            )

    def after_epoch(self, number: int, epochs: int) -> bool:
        """Whether to score after epoch `number` (1 is the first) of `epochs`."""
        return (self.every > 0 and number % self.every == 0) or (self.end and number == epochs)

    def after_batch(self, number: int, batches: int) -> float | None:
        """The fraction of the first epoch that is reached with batch `number` (1 is the first), if one is."""
        for fraction in sorted(self.fractions):
            if math.ceil(fraction * batches) == number < batches:
                return fraction
        return None
