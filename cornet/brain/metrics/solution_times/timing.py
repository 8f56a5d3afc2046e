"""When a curve over time first crosses a threshold, and rank correlations of such times."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bootstrap_spearman", "solution_times", "spearman"]


def solution_times(
    curves: ArrayLike, threshold: ArrayLike, times: ArrayLike, from_highest: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return solution times (...) in ms, and whether the first bin is already solved, (...) bool.

    curves: (..., time), for instance i1; NaN are skipped. threshold: (...) or a scalar. times: (time,), increasing,
    ms.

    A curve is solved in the first bin in which it reaches its threshold. The time is interpolated linearly between
    that bin and the highest bin before it (the earliest if tied, since the reference replaces its last point below
    the threshold only if the curve rises); with from_highest=False, the last bin before it. If the first bin is
    solved, its time is returned. NaN if never solved, or without a threshold.
    """
    curves = np.asarray(curves, np.float64)
    times = np.asarray(times, np.float64)
    threshold = np.broadcast_to(np.asarray(threshold, np.float64), curves.shape[:-1])
    valid = np.isfinite(curves)
    reached = valid & (np.where(valid, curves, 0.0) >= threshold[..., None])
    solved = reached.any(-1)
    hit = reached.argmax(-1)
    number = np.arange(len(times))
    before = np.where(valid & (number < hit[..., None]), curves, -np.inf)
    low = (before if from_highest else np.where(np.isfinite(before), number, -1)).argmax(-1)
    below = np.take_along_axis(before, low[..., None], -1)[..., 0]
    above = np.take_along_axis(curves, hit[..., None], -1)[..., 0]
    first = solved & ~np.isfinite(below)
    between = solved & ~first
    with np.errstate(invalid="ignore"):
        share = np.where(between, threshold - below, 0.0) / np.where(between, above - below, 1.0)
    crossing = np.where(between, times[low] + share * (times[hit] - times[low]), times[hit])
    return np.where(solved, crossing, np.nan), first


LEVELS = (2.5, 97.5)


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Spearman's correlation over entries finite in both; NaN for fewer than two, or if one is constant."""
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
    """Bootstrap the mean over splits of Spearman's correlation; returns the 2.5th and 97.5th percentile, (2,).

    a, b: (split, entry), paired. images: (split, entry), the index of each entry's image among `number` images. Images
    are drawn with replacement; one drawn k times counts k times in every split that contains it. Splits without a
    correlation are skipped; NaN if there are none.
    """
    if resamples < 1:
        return np.full(2, np.nan)
    draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)
    total, count = np.zeros(resamples), np.zeros(resamples)
    for left, right, which in zip(a, b, images, strict=True):
        both = np.isfinite(left) & np.isfinite(right)
        r = _weighted(left[both], right[both], draws[:, which[both]].astype(float))
        valid = np.isfinite(r)
        total += np.where(valid, r, 0.0)
        count += valid
    means = total[count > 0] / count[count > 0]
    return np.percentile(means, LEVELS) if len(means) else np.full(2, np.nan)


def _weighted(
    a: NDArray[np.float64], b: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Spearman's correlation (resample,) of the pairs, repeated by counts (resample, pair)."""
    if a.size < 2:
        return np.full(len(counts), np.nan)
    number = counts.sum(1, keepdims=True)
    ranks = []
    for side in (a, b):
        # Mean rank of a value: the number of smaller values, plus half of the equal ones (including itself).
        below = (side[None, :] < side[:, None]) + 0.5 * (side[None, :] == side[:, None])
        ranks.append(counts @ below.T - number / 2)  # centred in every resample
    covariance = (counts * ranks[0] * ranks[1]).sum(1)
    spread = (counts * ranks[0] ** 2).sum(1) * (counts * ranks[1] ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, covariance / np.sqrt(spread), np.nan)
