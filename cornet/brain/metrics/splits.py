"""Which stimuli a mapping is fitted on and which it is tested on."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from cornet.brain.data.columns import categories
from cornet.errors import CornetError

__all__ = ["Split", "fixed_splits", "half_splits", "make_splits"]

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions of the training and of the test stimuli."""


def make_splits(
    n: int,
    *,
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
) -> list[Split]:
    """Splits of n stimuli.

    stratify: a class per stimulus, of which training and test sets get equal shares (scikit-learn's
        StratifiedShuffleSplit, as the reference); without it ShuffleSplit. n_train = floor(train_fraction n).
    groups: a group per stimulus (the movie a frame is from); no group is on both sides. Groups are shuffled and dealt
        out so that all are tested about equally often: ten splits of ten groups at .9 leave out each once.
    splits: how many, or the splits themselves as pairs of positions.
    seed: the reference draws with random_state=1.

    Raises CornetError for too few stimuli, strata or groups, and for fixed splits that overlap or leave the range.
    """
    if not isinstance(splits, int):
        return fixed_splits(n, splits)
    if splits < 1:
        raise CornetError(f"splits={splits} must be at least 1, or pairs of positions.")
    if not 0 < train_fraction < 1:
        raise CornetError(
            f"train_fraction={train_fraction!r} must lie between 0 and 1; the reference takes .9."
        )
    if stratify is not None and groups is not None:
        raise CornetError(
            "stratify and groups exclude each other: a group cannot be shared out; give one of them."
        )
    if groups is not None:
        return grouped_splits(labels(groups, n, "groups"), splits, train_fraction, seed)
    train = int(np.floor(train_fraction * n))
    if train < 2 or n - train < 2:
        raise CornetError(
            f"{n} stimuli make {train} for training and {n - train} for testing, and at least 2 of each are needed; "
            "give more stimuli or another train_fraction."
        )
    if stratify is None:
        drawn = ShuffleSplit(n_splits=splits, train_size=train_fraction, random_state=seed).split(np.empty(n))
        return list(drawn)
    strata = labels(stratify, n, "stratify")
    names, counts = np.unique(strata, return_counts=True)
    if len(names) > min(train, n - train):
        raise CornetError(
            f"{n} stimuli of {len(names)} strata leave {n - train} for testing, fewer than one of each; give more "
            "stimuli, a smaller train_fraction, another column, or stratify=None (--stratify none)."
        )
    if counts.min() < 2:
        raise CornetError(
            f"the stratum {str(names[counts.argmin()])!r} has a single stimulus, and training and test sets need one "
            "each; leave it out, or give stratify=None (--stratify none)."
        )
    drawn = StratifiedShuffleSplit(n_splits=splits, train_size=train_fraction, random_state=seed)
    return list(drawn.split(np.empty(n), strata))


def half_splits(n: int, splits: int = 10, seed: int = 1) -> list[Split]:
    """Halves of n repetitions, as the ceiling takes them: ShuffleSplit(train_size=.5, random_state=1)."""
    return list(ShuffleSplit(n_splits=splits, train_size=0.5, random_state=seed).split(np.empty(n)))


def grouped_splits(groups: NDArray[np.str_], splits: int, train_fraction: float, seed: int) -> list[Split]:
    """Deal shuffled groups out to the test sets, all as often as can be."""
    names = np.unique(groups)
    tested = max(1, len(names) - int(np.floor(train_fraction * len(names) + 1e-9)))
    if len(names) <= tested:
        raise CornetError(
            f"there are {len(names)} groups, and one is needed on each side of a split; give more "
            "groups, or another column as groups (--groups COLUMN), or groups=None (--groups none)."
        )
    rng = np.random.default_rng(seed)
    waiting: list[str] = []
    result = []
    for _ in range(splits):
        chosen: list[str] = []
        while len(chosen) < tested:
            waiting = waiting or list(rng.permutation(names))
            pick = next((name for name in waiting if name not in chosen), None)
            if pick is None:
                waiting = list(rng.permutation(names))
                continue
            waiting.remove(pick)
            chosen.append(pick)
        test = np.isin(groups, chosen)
        result.append((np.flatnonzero(~test), np.flatnonzero(test)))
    return result


def fixed_splits(n: int, pairs: Iterable[tuple[ArrayLike, ArrayLike]]) -> list[Split]:
    """Check the caller's own splits."""
    result: list[Split] = []
    for number, (train, test) in enumerate(pairs):
        fit, check = np.asarray(train), np.asarray(test)
        for side, word in ((fit, "training"), (check, "test")):
            if side.dtype == bool or side.ndim != 1 or side.size == 0 or side.dtype.kind not in "iu":
                raise CornetError(
                    f"split {number}: the {word} set must be a list of positions, and holds {side.dtype} of shape "
                    f"{side.shape}."
                )
            if side.min() < 0 or side.max() >= n:
                raise CornetError(
                    f"split {number}: the {word} set leaves the {n} stimuli's positions, 0 to {n - 1}."
                )
        if shared := len(np.intersect1d(fit, check)):
            raise CornetError(
                f"split {number}: {shared} stimuli are in the training and in the test set; part them."
            )
        result.append((fit.astype(np.int64), check.astype(np.int64)))
    if not result:
        raise CornetError("splits is empty; give a number, or at least one pair of positions.")
    return result


def labels(values: ArrayLike | Sequence[object], n: int, name: str) -> NDArray[np.str_]:
    """One label a stimulus, as text."""
    array = np.asarray(values)
    if array.shape != (n,):
        raise CornetError(
            f"{name} has the shape {array.shape}, but there are {n} stimuli; give one label for each."
        )
    return categories(array, "value", name)
