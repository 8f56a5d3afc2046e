"""Is one model better than another? A paired bootstrap over the neuroids that both predict."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["Difference", "paired_difference"]

BLOCK = 1 << 22  # values resampled at a time


@dataclass(frozen=True)
class Difference:
    """a's raw score less b's. low, high: the bootstrap's 95 % interval. p: two-sided. neuroids: that both have."""

    value: float
    low: float
    high: float
    p: float
    neuroids: int

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p = {self.p:.3g}, {self.neuroids} neuroids"


def paired_difference(a: Score, b: Score, draws: int = 2000, seed: int = 0) -> Difference:
    """The difference of two models' raw scores on one benchmark.

    a, b: Scores with values (split, neuroid) from the same splits and neuroids. Neuroids are drawn with replacement,
    the same for both models; of each draw the median over neuroids is taken per split, then the mean over splits.
    Splits share stimuli, so they are not drawn. The interval tells of other neuroids of the same animals, not of
    other stimuli or animals. p counts draws on the other side of 0, twice, itself included: at least 2 / (draws + 1).

    Raises CornetError for Scores of other shapes, and where no neuroid has a value with both.
    """
    if a.values.ndim != 2 or a.values.shape != b.values.shape:
        raise CornetError(
            f"scores with values of shapes {a.values.shape} and {b.values.shape} cannot be paired: both must be "
            "(split, neuroid) of the same splits and neuroids."
        )
    both = np.isfinite(a.values).any(axis=0) & np.isfinite(b.values).any(axis=0)
    if not both.any():
        raise CornetError("no neuroid has a value with both models, so there is no difference to be had.")
    shared = np.isfinite(a.values) & np.isfinite(b.values)
    one, other = (np.where(shared, score.values, math.nan)[:, both] for score in (a, b))
    one, other = (side[np.isfinite(side).any(axis=1)] for side in (one, other))
    neuroids = one.shape[1]
    rng = np.random.default_rng(seed)
    each = max(1, BLOCK // one.size)
    samples = np.concatenate(
        [
            difference(one, other, rng.integers(neuroids, size=(min(each, draws - start), neuroids)))
            for start in range(0, draws, each)
        ]
    )
    low, high = np.quantile(samples, [0.025, 0.975])
    beyond = min((samples <= 0).sum(), (samples >= 0).sum())
    value = float(difference(one, other, np.arange(neuroids)[None])[0])
    return Difference(
        value, float(low), float(high), float(min(1.0, 2 * (beyond + 1) / (draws + 1))), neuroids
    )


def difference(
    a: NDArray[np.float64], b: NDArray[np.float64], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Per draw (row of `chosen`): the mean over splits of the median over the drawn neuroids, a less b."""
    middle = np.nanmedian if np.isnan(a).any() else np.median
    return (middle(a[:, chosen], axis=-1) - middle(b[:, chosen], axis=-1)).mean(axis=0)
