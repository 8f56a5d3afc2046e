"""When a curve over time first reaches a threshold: the solution time of an image or an object.

Kar et al. (2019), Nat. Neurosci. 22, 974, as brainscore-vision 2.4.2 interpolates.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["solution_times"]


def solution_times(
    curves: ArrayLike, threshold: ArrayLike, times: ArrayLike, from_highest: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Solution times and which of them lie in the first bin.

    curves: (..., time), for instance i1; NaN are passed over. threshold: (...), or one for all. times: (time,),
    increasing; ms.

    A curve is solved in the first bin in which it is at or above its threshold. The time is interpolated linearly
    between that bin and the highest of the bins before it (of equal ones the earliest, as the reference replaces
    its last point below the threshold only when the curve strictly rises). Solved in its first bin: that bin's
    time. Never, or no threshold: NaN.

    Returns (...) ms and (...) bool.
    """
    curves = np.asarray(curves, np.float64)
    times = np.asarray(times, np.float64)
    threshold = np.broadcast_to(np.asarray(threshold, np.float64), curves.shape[:-1])
    there = np.isfinite(curves)
    reached = there & (np.where(there, curves, 0.0) >= threshold[..., None])
    solved = reached.any(-1)
    hit = reached.argmax(-1)
    number = np.arange(len(times))
    before = np.where(there & (number < hit[..., None]), curves, -np.inf)
    low = (before if from_highest else np.where(np.isfinite(before), number, -1)).argmax(-1)
    below = np.take_along_axis(before, low[..., None], -1)[..., 0]
    above = np.take_along_axis(curves, hit[..., None], -1)[..., 0]
    first = solved & ~np.isfinite(below)
    between = solved & ~first
    with np.errstate(invalid="ignore"):
        share = np.where(between, threshold - below, 0.0) / np.where(between, above - below, 1.0)
    found = np.where(between, times[low] + share * (times[hit] - times[low]), times[hit])
    return np.where(solved, found, np.nan), first
