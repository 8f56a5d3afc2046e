"""Out of distribution: fit on one kind of images, test on another."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cornet.brain.generalisation.neural_case import NeuralCase
from cornet.brain.generalisation.rows import Row
from cornet.brain.metrics.splits import Split
from cornet.errors import CornetError

__all__ = ["kind_pairs", "kind_splits", "new_kinds"]

FOLDS = 5
MIN_STIMULI = 20
"""Minimum stimuli of a kind: four in each test set, and enough to fit."""
MOST_PAIRS = 4
"""Up to this number of kinds every pair is compared; with more, each kind with all others together."""
OTHERS = "all others"


def new_kinds(case: NeuralCase, column: str) -> list[Row]:
    """Fit on the stimuli of one kind, test on those of another, for every ordered pair of values of `column`.

    The stimuli of the tested kind are divided into five folds. reference: the same test stimuli, predicted by a fit on
    the other folds of their own kind. Both fits use the same number of training stimuli, so the drop is due to the kind
    alone. Stimuli of the test fold's groups (the benchmark's, such as movies), and images equal to one of the fold, are
    in neither training set. With more than four kinds, each is predicted from all others together. The ceiling is that
    of the stimuli of the tested kind.

    Raises CornetError for an unknown column, a column with one value, and a kind with fewer than 20 stimuli.
    """
    kinds = case.benchmark._column(column)
    assert kinds is not None
    groups = case.benchmark._column(case.benchmark.groups)
    rows = []
    for fitted, tested in kind_pairs(kinds, column, case.benchmark.name):
        across, within = kind_splits(kinds, fitted, tested, case.keys, groups)
        ceiling = case.ceiling(np.flatnonzero(kinds == tested))
        features = case.features(case.site)
        pair = []
        for splits in (across, within):
            score = case.fit(features, case.mean, splits)
            notes = tuple(note for note in score.notes if not note.endswith("not in any split"))
            shown = int((kinds == tested).sum())
            pair.append(case.measured(dataclasses.replace(score, n=shown, notes=notes), ceiling))
        number = round(np.mean([len(train) for train, _ in across]))
        rows.append(
            case.row(
                "new kind",
                pair[0],
                fitted=f"{column} {fitted} ({number} stimuli)",
                tested=f"{column} {tested}",
                against=f"{column} {tested} ({number} stimuli)",
                reference=pair[1],
            )
        )
    return rows


def kind_pairs(kinds: NDArray[np.str_], column: str, name: str) -> list[tuple[str, str]]:
    """The ordered pairs (fitted, tested). Raises CornetError as `new_kinds`."""
    values, counts = np.unique(kinds, return_counts=True)
    if len(values) < 2:
        raise CornetError(
            f"the column {column!r} of {name} has one value, {str(values[0])!r}, but two kinds are needed; use another "
            "column."
        )
    if counts.min() < MIN_STIMULI:
        raise CornetError(
            f"{column} {str(values[counts.argmin()])!r} of {name} has {counts.min()} stimuli, but each kind needs at "
            f"least {MIN_STIMULI}; use another column."
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

    kinds, keys, groups: (stimulus,): the kind, the image, and what must not be on both sides. Raises CornetError if a
    fold leaves fewer than 2 stimuli on a side.
    """
    rng = np.random.default_rng(seed)
    is_tested = kinds == tested
    is_fitted = ~is_tested if fitted == OTHERS else kinds == fitted
    units = keys if groups is None else groups
    names = rng.permutation(np.unique(units[is_tested]))
    across: list[Split] = []
    within: list[Split] = []
    for fold in np.array_split(names, FOLDS):
        held = np.isin(units, fold)
        test = np.flatnonzero(is_tested & held)
        free = ~held & ~np.isin(keys, keys[test])
        sides = [np.flatnonzero(free & side) for side in (is_fitted, is_tested)]
        size = min(map(len, sides))
        if size < 2 or len(test) < 2:
            raise CornetError(
                f"a fold of {tested} leaves {size} stimuli to fit and {len(test)} to test, but needs 2 of each; use "
                "another column, or smaller groups."
            )
        for side, splits in zip(sides, (across, within), strict=True):
            splits.append((np.sort(rng.choice(side, size, replace=False)), test))
    return across, within
