"""Spearman's correlation where both sides are there, and its bootstrap over images that several splits share."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["bootstrap_spearman", "spearman"]

LEVELS = (2.5, 97.5)


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Over the entries in which both are finite; NaN for fewer than two of them, or where either side is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    return float(_weighted(a[both], b[both], np.ones((1, int(both.sum()))))[0])


def bootstrap_spearman(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    images: NDArray[np.intp],
    number: int,
    resamples: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """The 2.5th and 97.5th percentile of the mean over splits of Spearman's correlation, (2,).

    a, b: (split, entry), taken in pairs. images: (split, entry), which of `number` images each belongs to. Images
    are drawn with replacement, and one that is drawn k times counts k times in every split that holds it. Splits
    without a correlation are skipped; NaN where there is none at all.
    """
    if resamples < 1:
        return np.full(2, np.nan)
    draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)
    total, count = np.zeros(resamples), np.zeros(resamples)
    for left, right, which in zip(a, b, images, strict=True):
        both = np.isfinite(left) & np.isfinite(right)
        r = _weighted(left[both], right[both], draws[:, which[both]].astype(float))
        there = np.isfinite(r)
        total += np.where(there, r, 0.0)
        count += there
    means = total[count > 0] / count[count > 0]
    return np.percentile(means, LEVELS) if len(means) else np.full(2, np.nan)


def _weighted(
    a: NDArray[np.float64], b: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Spearman's correlation (resample,) of the pairs repeated by counts (resample, pair)."""
    if a.size < 2:
        return np.full(len(counts), np.nan)
    number = counts.sum(1, keepdims=True)
    ranks = []
    for side in (a, b):
        # A value's mean rank: how many lie below it, and half of those that equal it (and itself).
        below = (side[None, :] < side[:, None]) + 0.5 * (side[None, :] == side[:, None])
        ranks.append(counts @ below.T - number / 2)  # their mean is now 0 in every resample
    covariance = (counts * ranks[0] * ranks[1]).sum(1)
    spread = (counts * ranks[0] ** 2).sum(1) * (counts * ranks[1] ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, covariance / np.sqrt(spread), np.nan)
