"""Split stimuli into training and test sets, and repetitions into halves."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from cornet.brain.data.columns import categories
from cornet.errors import CornetError

__all__ = ["Split", "fixed_splits", "half_splits", "make_folds", "make_splits"]

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions of the training stimuli and of the test stimuli."""


def make_splits(
    n: int,
    *,
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
) -> list[Split]:
    """Split n stimuli into training and test sets.

    stratify: a class per stimulus, balanced between training and test sets (scikit-learn's StratifiedShuffleSplit, as
        in the reference); None: ShuffleSplit. n_train = floor(train_fraction n).
    groups: a group per stimulus (such as the movie of a frame). Groups are never divided. They are shuffled and
        distributed so that all are tested about equally often: ten splits of ten groups at .9 test each once.
    splits: the number of splits, or the splits as pairs of positions.
    seed: the reference uses random_state=1.

    Raises CornetError for too few stimuli, strata or groups, and for fixed splits that overlap or are out of range.
    """
    if not isinstance(splits, int):
        return fixed_splits(n, splits)
    if splits < 1:
        raise CornetError(f"splits={splits} must be at least 1, or pairs of positions.")
    if not 0 < train_fraction < 1:
        raise CornetError(
            f"train_fraction={train_fraction!r} must be between 0 and 1; the reference uses .9."
        )
    if stratify is not None and groups is not None:
        raise CornetError(
            "stratify and groups are mutually exclusive, since a group cannot be divided between strata; set one."
        )
    if groups is not None:
        return grouped_splits(labels(groups, n, "groups"), splits, train_fraction, seed)
    train = int(np.floor(train_fraction * n))
    if train < 2 or n - train < 2:
        raise CornetError(
            f"{n} stimuli give {train} for training and {n - train} for testing, but at least 2 of each are needed; "
            "use more stimuli or another train_fraction."
        )
    if stratify is None:
        drawn = ShuffleSplit(n_splits=splits, train_size=train_fraction, random_state=seed).split(np.empty(n))
        return list(drawn)
    strata = labels(stratify, n, "stratify")
    names, counts = np.unique(strata, return_counts=True)
    if len(names) > min(train, n - train):
        raise CornetError(
            f"{n} stimuli of {len(names)} strata leave {n - train} for testing, fewer than one per stratum; use more "
            "stimuli, a smaller train_fraction, another column, or stratify=None (--stratify none)."
        )
    if counts.min() < 2:
        raise CornetError(
            f"the stratum {str(names[counts.argmin()])!r} has a single stimulus, but training and test sets need one "
            "each; drop it, or use stratify=None (--stratify none)."
        )
    drawn = StratifiedShuffleSplit(n_splits=splits, train_size=train_fraction, random_state=seed)
    return list(drawn.split(np.empty(n), strata))


def half_splits(n: int, splits: int = 10, seed: int = 1) -> list[Split]:
    """Split n repetitions into halves for the ceiling: ShuffleSplit(train_size=.5, random_state=seed)."""
    return list(ShuffleSplit(n_splits=splits, train_size=0.5, random_state=seed).split(np.empty(n)))


def make_folds(n: int, folds: int = 10, groups: ArrayLike | None = None, seed: int = 1) -> NDArray[np.int64]:
    """Return the number of the fold of each of n stimuli, (stimulus,): every stimulus is tested once.

    Stimuli are shuffled with the seed and dealt out. groups: a group per stimulus; shuffled groups are placed one after
    another in the fold that has the fewest stimuli, large groups first.

    Raises CornetError for fewer than two stimuli per fold, and for fewer groups than folds.
    """
    if folds < 2:
        raise CornetError(f"folds={folds} must be at least 2; the default is 10.")
    if n < 2 * folds:
        raise CornetError(
            f"{n} {'stimulus is' if n == 1 else 'stimuli are'} too few for {folds} folds of at least 2; use more "
            "stimuli, or fewer folds."
        )
    rng = np.random.default_rng(seed)
    number = np.empty(n, np.int64)
    if groups is None:
        number[rng.permutation(n)] = np.arange(n) % folds
        return number
    names, members, sizes = np.unique(labels(groups, n, "groups"), return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise CornetError(
            f"{len(names)} groups are too few for {folds} folds; use fewer folds, another column (--groups COLUMN), "
            "or no groups (--groups none)."
        )
    order = rng.permutation(len(names))
    filled = np.zeros(folds, np.int64)
    place = np.empty(len(names), np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        place[group] = filled.argmin()
        filled[place[group]] += sizes[group]
    return place[members]


def grouped_splits(groups: NDArray[np.str_], splits: int, train_fraction: float, seed: int) -> list[Split]:
    """Distribute shuffled groups over the test sets, each about equally often."""
    names = np.unique(groups)
    tested = max(1, len(names) - int(np.floor(train_fraction * len(names) + 1e-9)))
    if len(names) <= tested:
        raise CornetError(
            f"{len(names)} groups are too few to put one on each side of a split; use more groups, another column "
            "(--groups COLUMN), or groups=None (--groups none)."
        )
    rng = np.random.default_rng(seed)
    queue: list[str] = []
    result = []
    for _ in range(splits):
        chosen: list[str] = []
        while len(chosen) < tested:
            queue = queue or list(rng.permutation(names))
            pick = next((name for name in queue if name not in chosen), None)
            if pick is None:
                queue = list(rng.permutation(names))
                continue
            queue.remove(pick)
            chosen.append(pick)
        test = np.isin(groups, chosen)
        result.append((np.flatnonzero(~test), np.flatnonzero(test)))
    return result


def fixed_splits(n: int, pairs: Iterable[tuple[ArrayLike, ArrayLike]]) -> list[Split]:
    """Check and convert splits given as pairs of positions."""
    result: list[Split] = []
    for number, (train, test) in enumerate(pairs):
        fit, check = np.asarray(train), np.asarray(test)
        for side, word in ((fit, "training"), (check, "test")):
            if side.dtype == bool or side.ndim != 1 or side.size == 0 or side.dtype.kind not in "iu":
                raise CornetError(
                    f"split {number}: the {word} set is {side.dtype} of shape {side.shape}, but must be a list of "
                    "positions."
                )
            if side.min() < 0 or side.max() >= n:
                raise CornetError(
                    f"split {number}: the {word} set has positions outside 0 to {n - 1}; correct them."
                )
        if shared := len(np.intersect1d(fit, check)):
            raise CornetError(
                f"split {number}: {shared} stimuli are in both the training and the test set; keep each in one."
            )
        if len(check) < 2:
            raise CornetError(
                f"split {number}: the test set has 1 stimulus, but a correlation needs at least 2; give more."
            )
        result.append((fit.astype(np.int64), check.astype(np.int64)))
    if not result:
        raise CornetError("splits is empty; use a number, or at least one pair of positions.")
    return result


def labels(values: ArrayLike | Sequence[object], n: int, name: str) -> NDArray[np.str_]:
    """Check labels and return them as text, one per stimulus."""
    array = np.asarray(values)
    if array.shape != (n,):
        raise CornetError(
            f"{name} has the shape {array.shape}, but there are {n} stimuli; provide one label per stimulus."
        )
    return categories(array, "value", name)
