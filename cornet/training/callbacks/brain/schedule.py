"""The schedule of brain scores during training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cornet.errors import CornetError

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """When to score: before training, within the first epoch, every `every` epochs, and at the end.

    before: score the untrained network. fractions: points within the first epoch, between 0 and 1, such as (.1, .5).
    every: epochs between two scores; 0: no scores between start and end. end: score after the last epoch.

    Raises CornetError for a schedule without any score.
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
                f"every={self.every} must be a whole number of epochs, or 0 to score at start and end only."
            )
        if not (self.before or self.fractions or self.every or self.end):
            raise CornetError(
                "the brain schedule never fires: before and end are false, every is 0, fractions is empty; set one of "
                "them, or choose brain=none."
            )

    def check(self, epochs: float) -> None:
        """Raise CornetError if there would be no score within `epochs` epochs (infinite if unknown)."""
        if not (self.before or self.fractions or self.end) and self.every > epochs:
            raise CornetError(
                f"the brain schedule never fires: every={self.every} epochs, and the training has {epochs:g}; lower "
                "every, or set end=true."
            )

    def after_epoch(self, number: int, epochs: float) -> bool:
        """Return whether to score after epoch `number` (from 1) of `epochs`."""
        return (self.every > 0 and number % self.every == 0) or (self.end and number == epochs)

    def evaluations(self, epochs: int) -> int:
        """Return the number of evaluations in a training of `epochs` epochs."""
        after = sum(self.after_epoch(epoch, epochs) for epoch in range(1, epochs + 1))
        return self.before + len(self.fractions) + after

    def after_batch(self, number: int, batches: float) -> float | None:
        """Return the fraction of the first epoch that batch `number` (from 1) reaches, or None.

        batches: in the epoch; infinite if unknown, then there are no scores within it.
        """
        if not math.isfinite(batches):
            return None
        for fraction in sorted(self.fractions):
            if math.ceil(fraction * batches) == number < batches:
                return fraction
        return None
