"""Connections of Kenyon cells: how many projection neurons each one reads.

In the fly, a Kenyon cell reads about seven of the 50 projection neurons (Caron, Ruta, Abbott, Axel 2013).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.brain.wiring.threshold import infer_threshold

__all__ = ["ClawCount", "count_claws", "has_peak"]

BINS = 1000
ABOVE = 0.01
HIGHER = 1.3


@dataclass(frozen=True, eq=False)
class ClawCount:
    """counts: connections of each Kenyon cell, (KC,). threshold: the weight above which a connection exists.

    inferred: whether the threshold was inferred from the weights.
    """

    counts: NDArray[np.int64]
    threshold: float
    inferred: bool

    @property
    def mean(self) -> float:
        """K: the mean over cells with at least one connection; NaN without any."""
        connected = self.counts[self.counts > 0]
        return float(connected.mean()) if len(connected) else float("nan")

    @property
    def sd(self) -> float:
        """Standard deviation over cells with at least one connection."""
        connected = self.counts[self.counts > 0]
        return float(connected.std()) if len(connected) else float("nan")

    @property
    def none(self) -> float:
        """Share of cells without any connection ("bad KC"). K says little where it is large."""
        return float((self.counts == 0).mean())


def count_claws(claws: ArrayLike, threshold: float | None = None) -> ClawCount:
    """Count the connections (KC, PN) above the threshold; None: infer it from the weights."""
    weights = np.abs(np.asarray(claws, np.float64))
    used = infer_threshold(weights) if threshold is None else threshold
    return ClawCount((weights > used).sum(axis=1), used, threshold is None)


def has_peak(claws: ArrayLike, threshold: float) -> bool:
    """Whether the weights above the threshold have a peak of their own, as connections do.

    The histogram (1,000 bins from 0 to 1.01 times the largest weight) above the threshold + .01 must peak more than 2 /
    PN above the threshold, and be at least 1.3 times as high there as at its start. Networks without such a peak are
    left out where claws are compared over numbers of receptors.
    """
    weights = np.abs(np.asarray(claws, np.float64))
    counts, edges = np.histogram(weights, BINS, (0, 1.01 * max(weights.max(), 1e-12)))
    above = edges[:-1] > threshold + ABOVE
    if not above.any() or not counts[above].any():
        return False
    place = edges[:-1][above][counts[above].argmax()]
    far = place > threshold + 2 / weights.shape[1]
    return bool(far and counts[above].max() >= HIGHER * max(1, counts[above][0]))
