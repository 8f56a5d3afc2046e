"""What lesions cost each task, and how segregated the units of two tasks are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.lesions.ranking import Units

__all__ = ["LEAST", "ByClass", "Interval", "interval", "proportional_drop", "resampled", "segregation"]

LEAST = 1.0
"""Drops below this, in percent of the accuracy, are too small to compare."""

DRAWS = 1000
Numbers = NDArray[np.float64]


class Interval(NamedTuple):
    """A value and its 95 % interval. NaN: undefined."""

    value: float
    low: float
    high: float


class ByClass(NamedTuple):
    """Hits of two tasks by class, for each lesion.

    right: (lesion, class) number of images that are right. images: (class,) number of images. task: (class,) 0 or 1.
    """

    right: Numbers
    images: Numbers
    task: NDArray[np.int64]

    @classmethod
    def from_hits(cls, hits: ArrayLike, labels: Units, groups: Sequence[Sequence[int]]) -> "ByClass":
        """Count hits (lesion, image) of images with these labels (image,). Classes without images are left out."""
        known = [
            (label, task) for task, group in enumerate(groups) for label in group if (labels == label).any()
        ]
        right = np.asarray(hits, float)
        return cls(
            np.stack([right[:, labels == label].sum(1) for label, _ in known], axis=1),
            np.array([(labels == label).sum() for label, _ in known], float),
            np.array([task for _, task in known], np.int64),
        )

    def accuracy(self, task: int, weights: Numbers | None = None) -> Numbers:
        """Share of a task's images that are right, (lesion,), or (draw, lesion) for weights (draw, class)."""
        here = self.task == task
        if weights is None:
            return np.asarray(self.right[:, here].sum(1) / self.images[here].sum(), float)
        chosen = weights[:, here]
        return np.asarray(chosen @ self.right[:, here].T / (chosen @ self.images[here])[:, None], float)


def proportional_drop(before: ArrayLike, after: ArrayLike) -> Numbers:
    """100 (before - after) / before: percent of the accuracy that a lesion costs. NaN where `before` is 0."""
    base, left = np.asarray(before, float), np.asarray(after, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(base > 0, 100 * (base - left) / base, np.nan), float)


def segregation(drops: ArrayLike) -> Numbers:
    """How much more a task loses with the units that it needs most than with those that the other needs most.

    drops: (..., task, ranked by task), in percent of the accuracy: of task T when the units that R needs most are
    silenced. Returns (...): the mean over tasks of (own - other) / (own + other), from -1 to 1; 0: the tasks share
    their units; 1: each task has its own. A drop below 0 counts as 0. NaN where both drops of a task are below 1 %, or
    any is NaN.
    """
    each = np.asarray(drops, float)
    own = np.stack([each[..., 0, 0], each[..., 1, 1]], axis=-1)
    other = np.stack([each[..., 0, 1], each[..., 1, 0]], axis=-1)
    small = ~(np.maximum(own, other) >= LEAST) | np.isnan(own) | np.isnan(other)
    own, other = own.clip(min=0), other.clip(min=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (own - other) / (own + other)
    return np.asarray(np.where(small, np.nan, ratio).mean(axis=-1), float)


def resampled(counts: ByClass, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Weights (draw, class) of a bootstrap over the classes of each task: how often each class is drawn."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((draws, len(counts.task)))
    for task in (0, 1):
        here = np.flatnonzero(counts.task == task)
        weights[:, here] = rng.multinomial(len(here), np.full(len(here), 1 / len(here)), size=draws)
    return weights


def interval(value: float, drawn: Numbers) -> Interval:
    """A value with the 2.5 and 97.5 percentiles of draws of it. NaN where more than half of the draws are undefined."""
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(known) < len(drawn) / 2:
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
