"""The error of a statistic of many stimuli, by leaving out groups of them: the grouped jackknife."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["GROUPS", "jackknife_error", "jackknife_groups", "leave_out"]

GROUPS = 10


def jackknife_groups(
    stimuli: int, labels: NDArray[np.str_] | None = None, groups: int = GROUPS, seed: int = 1
) -> NDArray[np.int64]:
    """Distribute stimuli at random over groups of about equal size: the group of each stimulus, (stimulus,).

    labels: (stimulus,); stimuli with the same label stay in one group. There are at most as many groups as labels, or
    as stimuli. With labels, the largest are distributed first, each to the smallest group.
    """
    rng = np.random.default_rng(seed)
    names, members = np.unique(np.arange(stimuli) if labels is None else labels, return_inverse=True)
    sizes = np.bincount(members)
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    totals = np.zeros(min(groups, len(names)), int)
    group_of = np.empty(len(names), np.int64)
    for name in order:
        group_of[name] = totals.argmin()
        totals[group_of[name]] += sizes[name]
    return group_of[members]


def leave_out(
    statistic: Callable[[NDArray[np.bool_]], float], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute a statistic without each group in turn, (group,). statistic: of a mask of the stimuli to use."""
    return np.array([statistic(groups != group) for group in np.unique(groups)])


def jackknife_error(values: NDArray[np.float64]) -> float:
    """Standard error of a statistic from its values without each of g groups: sqrt((g - 1) / g sum (v - mean)^2).

    Efron & Tibshirani (1993), An Introduction to the Bootstrap, equation 11.5, with groups in place of single
    observations. NaN for fewer than two groups, or if a value is NaN.
    """
    if len(values) < 2:
        return math.nan
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))
