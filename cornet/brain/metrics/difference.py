"""Test whether one model predicts better than another: a paired bootstrap over neuroids, and Holm's correction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["Difference", "holm", "paired_difference"]

BLOCK = 1 << 22  # values resampled at a time


@dataclass(frozen=True)
class Difference:
    """value: a's raw score minus b's. low, high: 95 % bootstrap interval. p: two-sided. neuroids: number compared."""

    value: float
    low: float
    high: float
    p: float
    neuroids: int

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p = {self.p:.3g}, {self.neuroids} neuroids"


def paired_difference(a: Score, b: Score, draws: int = 2000, seed: int = 0) -> Difference:
    """Bootstrap the difference between two models' raw scores on one benchmark.

    a, b: Scores with values (split, neuroid) from the same splits and neuroids. Neuroids are drawn with replacement,
    the same for both models. Each draw is scored by the median over neuroids, averaged over splits. Splits share
    stimuli, so they are not resampled. The interval generalises to other neuroids of the same animals, not to other
    stimuli or animals. p is twice the share of draws on the other side of 0, and at least 2 / (draws + 1).

    Raises CornetError for shapes that do not match, and if no neuroid has values in both Scores.
    """
    if a.values.ndim != 2 or a.values.shape != b.values.shape:
        raise CornetError(
            f"scores with values of shapes {a.values.shape} and {b.values.shape} cannot be paired; both must be "
            "(split, neuroid) with the same splits and neuroids."
        )
    both = np.isfinite(a.values).any(axis=0) & np.isfinite(b.values).any(axis=0)
    if not both.any():
        raise CornetError(
            "no neuroid has a value in both scores; compare scores that are defined for the same neuroids."
        )
    shared = np.isfinite(a.values) & np.isfinite(b.values)
    values_a, values_b = (np.where(shared, score.values, math.nan)[:, both] for score in (a, b))
    values_a, values_b = (values[np.isfinite(values).any(axis=1)] for values in (values_a, values_b))
    neuroids = values_a.shape[1]
    rng = np.random.default_rng(seed)
    batch = max(1, BLOCK // values_a.size)
    samples = np.concatenate(
        [
            difference(values_a, values_b, rng.integers(neuroids, size=(min(batch, draws - start), neuroids)))
            for start in range(0, draws, batch)
        ]
    )
    low, high = np.quantile(samples, [0.025, 0.975])
    opposite = min((samples <= 0).sum(), (samples >= 0).sum())
    value = float(difference(values_a, values_b, np.arange(neuroids)[None])[0])
    return Difference(
        value, float(low), float(high), float(min(1.0, 2 * (opposite + 1) / (draws + 1))), neuroids
    )


def difference(
    a: NDArray[np.float64], b: NDArray[np.float64], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return a minus b for each draw (row of `chosen`): the median over drawn neuroids, averaged over splits."""
    median = np.nanmedian if np.isnan(a).any() else np.median
    return (median(a[:, chosen], axis=-1) - median(b[:, chosen], axis=-1)).mean(axis=0)


def holm(ps: Sequence[float]) -> list[float]:
    """Correct the p values for multiple tests (Holm 1979, Scand J Stat 6:65). NaN stays NaN and does not count.

    The k-th smallest of m (from 0) is multiplied by m - k, limited to 1, and at least as large as the previous one.
    """
    corrected = np.array(ps, float)
    order = np.argsort(corrected, kind="stable")[: np.isfinite(corrected).sum()]
    each = np.minimum(1.0, np.arange(len(order), 0, -1) * corrected[order])
    corrected[order] = np.maximum.accumulate(each)
    return corrected.tolist()
