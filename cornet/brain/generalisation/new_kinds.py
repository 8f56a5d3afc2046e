"""Out of distribution: fit on one kind of images, test on another."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cornet.brain.generalisation.neural_case import NeuralCase
from cornet.brain.generalisation.rows import Row
from cornet.brain.metrics.splits import Split
from cornet.errors import CornetError

__all__ = ["kind_pairs", "kind_splits", "kinds_of", "new_kind", "texts"]

FOLDS = 5
MIN_STIMULI = 20
"""Minimum stimuli of a kind: four in each test set, and enough to fit."""
MOST_PAIRS = 4
"""Up to this number of kinds every pair is compared; with more, each kind with all others together."""
OTHERS = "all others"


def new_kind(case: NeuralCase, column: str, fitted: str, tested: str) -> Row:
    """Fit on the stimuli of one kind, and test on those of another. column: names the kind of each stimulus.

    The stimuli of the tested kind are divided into five folds, or fewer if there are fewer images or groups. reference:
    the same test stimuli, predicted by a fit on the other folds of their own kind. Both fits use the same number of
    training stimuli, so the drop is due to the kind alone. Stimuli of the test fold's groups (the benchmark's, such as
    movies), and images equal to one of the fold, are in neither training set. The ceiling is that of the stimuli of the
    tested kind.

    Raises CornetError for a kind with too few stimuli, and as `kind_splits`.
    """
    kinds = kinds_of(case, column)
    groups = case.benchmark._column(case.benchmark.groups)
    both = kind_splits(kinds, fitted, tested, case.keys, groups)
    shown = np.flatnonzero(kinds == tested)
    ceiling = case.ceiling(shown)
    pair = []
    for splits in both:
        score = case.fit(case.features(case.site), case.mean, splits)
        notes = tuple(note for note in score.notes if not note.endswith("not in any split"))
        pair.append(case.measured(dataclasses.replace(score, n=len(shown), notes=notes), ceiling))
    return case.row("new kind", pair[0], reference=pair[1], **texts(column, fitted, tested, both[0]))


def kinds_of(case: NeuralCase, column: str) -> NDArray[np.str_]:
    """The kind of each stimulus, (stimulus,). Raises CornetError for an unknown column."""
    kinds = case.benchmark._column(column)
    assert kinds is not None
    return kinds


def texts(column: str, fitted: str, tested: str, splits: list[Split]) -> dict[str, str]:
    """What a row is fitted and tested on, and its reference, as text."""
    number = f"({round(float(np.mean([len(train) for train, _ in splits])))} stimuli)"
    sides = {"fitted": f"{column} {fitted} {number}", "tested": f"{column} {tested}"}
    return {**sides, "against": f"{column} {tested} {number}"}


def kind_pairs(kinds: NDArray[np.str_], column: str, name: str) -> list[tuple[str, str]]:
    """The ordered pairs of kinds (fitted, tested). With more than four kinds, all others together are fitted.

    Raises CornetError for a column with one value."""
    values = np.unique(kinds)
    if len(values) < 2:
        raise CornetError(
            f"the column {column!r} of {name} has one value, {str(values[0])!r}, but two kinds are needed; use another "
            "column."
        )
    if len(values) > MOST_PAIRS:
        return [(OTHERS, str(value)) for value in values]
    return [(str(a), str(b)) for b in values for a in values if a != b]


def kind_splits(
    kinds: NDArray[np.str_],
    fitted: str,
    tested: str,
    keys: NDArray[np.str_],
    groups: NDArray[np.str_] | None = None,
    seed: int = 0,
) -> tuple[list[Split], list[Split]]:
    """Splits that train on the fitted kind, and on the tested kind, with the same test stimuli and training sizes.

    kinds, keys, groups: (stimulus,): the kind, the image, and what must not be on both sides. Raises CornetError for a
    kind with fewer than 20 stimuli, and if a fold leaves fewer than 2 stimuli on a side.
    """
    rng = np.random.default_rng(seed)
    is_tested = kinds == tested
    is_fitted = ~is_tested if fitted == OTHERS else kinds == fitted
    for name, side in ((fitted, is_fitted), (tested, is_tested)):
        if side.sum() < MIN_STIMULI:
            raise CornetError(
                f"the kind {name!r} has {int(side.sum())} stimuli, but each kind needs at least {MIN_STIMULI}; use "
                "another column."
            )
    units = keys if groups is None else groups
    names = rng.permutation(np.unique(units[is_tested]))
    across: list[Split] = []
    within: list[Split] = []
    for fold in np.array_split(names, min(FOLDS, len(names))):
        held = np.isin(units, fold)
        test = np.flatnonzero(is_tested & held)
        free = ~held & ~np.isin(keys, keys[test])
        sides = [np.flatnonzero(free & side) for side in (is_fitted, is_tested)]
        size = min(map(len, sides))
        if size < 2 or len(test) < 2:
            raise CornetError(
                f"from {fitted} to {tested}, a fold leaves {size} stimuli to fit and {len(test)} to test, but needs 2 "
                "of each; use another column, or smaller groups."
            )
        for side, splits in zip(sides, (across, within), strict=True):
            splits.append((np.sort(rng.choice(side, size, replace=False)), test))
    return across, within
