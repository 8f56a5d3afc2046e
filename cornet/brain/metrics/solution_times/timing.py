"""Time bins, the times at which curves first cross a threshold, and correlations of these times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.errors import CornetError

__all__ = ["TimeBins", "bootstrap_spearman", "distinct_bins", "solution_times", "spearman"]

ROWS = 64
"""Images compared at a time, to avoid a mask of the size of the features."""


@dataclass(frozen=True, eq=False)
class TimeBins:
    """states: distinct (image, feature) arrays, in the order of their first bin. of_bin: (time,), the state of each."""

    states: list[NDArray[Any]]
    of_bin: NDArray[np.intp]


def distinct_bins(features: Any, names: str = "(stimulus, feature, time)") -> TimeBins:
    """Group time bins that are identical: the same object, or equal values.

    features: (stimulus, feature, time), array or tensor; or a sequence over time of (stimulus, feature) that may
    repeat an array.

    Raises CornetError for other shapes and for values that are not finite.
    """
    if isinstance(features, Sequence):
        arrays: dict[int, NDArray[Any]] = {}
        for part in features:  # convert each object once, to copy it from the GPU only once
            if id(part) not in arrays:
                arrays[id(part)] = _array(part)
        bins = [arrays[id(part)] for part in features]
        shapes = {part.shape for part in bins}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise CornetError(
                f"features over time have the shapes {', '.join(map(str, sorted(shapes))) or 'none'}, but all must be "
                "(stimulus, feature) of one shape; record the same units in every time bin."
            )
    else:
        whole = _array(features)
        if whole.ndim != 3:
            raise CornetError(
                f"features of shape {whole.shape} must be {names}, or a list over time of (stimulus, feature)."
            )
        bins = [whole[:, :, k] for k in range(whole.shape[2])]
    if not bins or 0 in bins[0].shape:
        raise CornetError("the features are empty; provide at least one stimulus, feature and time bin.")
    states: list[NDArray[Any]] = []
    of_bin = []
    for array in bins:
        known = next((k for k, state in enumerate(states) if _equal(state, array)), None)
        if known is None:
            known = len(states)
            states.append(array)
            _check_finite(array)
        of_bin.append(known)
    return TimeBins(states, np.array(of_bin, np.intp))


def _array(part: Any) -> NDArray[Any]:
    if isinstance(part, torch.Tensor):
        part = part.detach().cpu()
        part = part.float() if part.dtype == torch.bfloat16 else part
        return part.numpy()
    array = np.asarray(part)
    if array.dtype.kind not in "fiub":
        raise CornetError(f"features of type {array.dtype} are not numbers; use floating-point arrays.")
    return array


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a is b:
        return True
    return all(np.array_equal(a[k : k + ROWS], b[k : k + ROWS]) for k in range(0, len(a), ROWS))


def _check_finite(array: NDArray[Any]) -> None:
    finite = sum(int(np.isfinite(array[k : k + ROWS]).sum()) for k in range(0, len(array), ROWS))
    if missing := array.size - finite:
        raise CornetError(
            f"{missing} of {array.size} features in a time bin are NaN or infinite, but must be finite; find where the "
            "network overflows, or drop these units or stimuli."
        )


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
