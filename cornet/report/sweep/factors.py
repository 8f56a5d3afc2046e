"""Estimate which factors of a sweep explain accuracy and scores, with a linear model and a random forest."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cornet.report.statistics import CONFIDENCE
from cornet.report.sweep.keys import Factor
from cornet.report.sweep.variants import Sweep

__all__ = ["Column", "Design", "Effect", "Explained", "design_of", "effects", "explain", "held_out_share"]

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

SPAN = 4.0
"""Positive numbers are replaced by their log2 if the largest is at least this many times the smallest."""

PER_COLUMN = 2
"""Minimum number of variants per coefficient of the linear model."""

RELATED = 0.3
"""Columns with at least this absolute correlation are reported as related."""

DRAWS, FOLDS, SPLITS, TREES, SHUFFLES = 1000, 10, 8, 40, 4


class Column(NamedTuple):
    """A column of the linear model: a numeric factor, or the indicator of a category other than the base's."""

    name: str
    factor: str


class Effect(NamedTuple):
    """value: change of the measure for one standard deviation of the column, in standard deviations, with the other
    columns fixed. low, high: 95 % interval."""

    column: Column
    value: float
    low: float
    high: float


class Explained(NamedTuple):
    """effects: by column. share: explained fraction of variance on left-out variants, at most 1; negative: worse than
    the mean of the others. importance: by factor, the increase in a forest's squared error on left-out variants when
    the factor is shuffled, as a fraction of the variance. n: runs. why: reason if there is no analysis.
    """

    measure: str
    effects: tuple[Effect, ...] = ()
    share: float = math.nan
    importance: tuple[tuple[str, float], ...] = ()
    n: int = 0
    why: str = ""


class Design(NamedTuple):
    """The factors of all runs that are not stopped early, as numbers.

    x: (run, column), not standardised. codes: (run, factor), categories as integers. variants, seeds: by run. related:
    pairs of columns and their correlation. why: the reason if there is no analysis, else "".
    """

    x: Numbers
    codes: Numbers
    columns: tuple[Column, ...]
    factors: tuple[str, ...]
    variants: Labels
    seeds: Labels
    related: tuple[tuple[str, str, float], ...]
    why: str


def design_of(sweep: Sweep, base: int = 1) -> Design:
    """Convert the factors of every run to numbers. base: number of the variant with the reference categories."""
    rows = [(one, seed) for one in sweep.variants for seed in one.seeds]
    by_number = {one.number: one.values for one in sweep.variants}
    x, codes, columns = [], [], []
    for factor in sweep.factors:
        values = [one.values[factor.key] for one, _ in rows]
        if len({factor.text(value) for value in values}) < 2:  # it varies only over runs that are left out
            continue
        for name, column in _columns(factor, values, factor.text(by_number[base][factor.key])):
            columns.append(Column(name, factor.name))
            x.append(column)
        ranks = {text: k for k, text in enumerate(dict.fromkeys(map(factor.text, values)))}
        codes.append([float(v) if factor.numeric else float(ranks[factor.text(v)]) for v in values])
    names = tuple(dict.fromkeys(column.factor for column in columns))
    variants = np.array([one.number for one, _ in rows])
    matrix = np.array(x, float).T.reshape(len(rows), len(columns))
    return Design(
        matrix,
        np.array(codes, float).T.reshape(len(rows), len(names)),
        tuple(columns),
        names,
        variants,
        np.array([seed for _, seed in rows]),
        _related(matrix, columns),
        _too_few(matrix, columns, variants),
    )


def explain(sweep: Sweep, design: Design, measure: str, seed: int = 0) -> Explained:
    """Compute linear effects, the fraction of variance explained on left-out variants, and each factor's importance.

    Runs without a value are left out. If too few remain, the result's `why` gives the reason.
    """
    by_run = {one.number: one.by_seed(measure) for one in sweep.variants}
    pairs = zip(design.variants, design.seeds, strict=True)
    y = np.array([float(by_run[v].get(s, math.nan)) for v, s in pairs])
    finite = np.isfinite(y)
    x, y, variants, seeds = design.x[finite], y[finite], design.variants[finite], design.seeds[finite]
    if why := design.why or _too_few(x, design.columns, variants):
        return Explained(measure, n=len(y), why=why)
    if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        why = "it is the same in all runs, so there is nothing to explain."
        return Explained(measure, n=len(y), why=why)
    values = effects(x, y, variants, seeds, seed)
    named = tuple(Effect(c, *map(float, row)) for c, row in zip(design.columns, values, strict=True))
    importance = tuple(zip(design.factors, _importance(design.codes[finite], y, variants, seed), strict=True))
    return Explained(measure, named, held_out_share(x, y, variants), importance, len(y))


def effects(x: Numbers, y: Numbers, variants: Labels, seeds: Labels, seed: int = 0) -> Numbers:
    """Return (column, 3): least-squares effects on standardised columns and values, and their 95 % intervals.

    The intervals are from a bootstrap that resamples variants and seeds; a run's weight is the product of the draws of
    its variant and of its seed (the pigeonhole bootstrap of Owen 2007, Ann Appl Stat 1:386, which is conservative).
    With one seed, only variants are resampled. Draws with a singular design are left out.
    """
    z, t = _standard(x), _standard(y[:, None])[:, 0]
    matrix = np.column_stack([np.ones(len(z)), z])
    best = np.linalg.lstsq(matrix, t, rcond=None)[0][1:]
    rng = np.random.default_rng(seed)
    weights = np.ones((DRAWS, len(t)))
    for labels in (variants, seeds):
        kinds, indices = np.unique(labels, return_inverse=True)
        if len(kinds) > 1:
            counts = rng.multinomial(len(kinds), np.full(len(kinds), 1 / len(kinds)), DRAWS)
            weights *= counts[:, indices]
    squares = np.einsum("dr,ri,rj->dij", weights, matrix, matrix)
    products = np.einsum("dr,ri,r->di", weights, matrix, t)
    eigenvalues = np.linalg.eigvalsh(squares)
    regular = eigenvalues[:, 0] > 1e-9 * eigenvalues[:, -1]
    estimates = np.linalg.solve(squares[regular], products[regular][:, :, None])[:, 1:, 0]
    tails = (1 - CONFIDENCE) / 2
    low = high = np.full(len(best), math.nan)
    if len(estimates) >= DRAWS / 4:
        low, high = np.quantile(estimates, (tails, 1 - tails), axis=0)
    return np.column_stack([best, low, high])


def held_out_share(x: Numbers, y: Numbers, variants: Labels) -> float:
    """Return 1 - squared error of the linear model / squared error of the training mean, on left-out variants.

    Whole variants are left out (`GroupKFold`), because other seeds of a variant would reveal its value. Negative if
    the model predicts left-out variants worse than the mean of the others does.
    """
    from sklearn.model_selection import GroupKFold

    error = spread = 0.0
    folds = GroupKFold(min(FOLDS, len(np.unique(variants))))
    for train, test in folds.split(x, y, variants):
        centre, scale = x[train].mean(axis=0), x[train].std(axis=0)
        z = (x - centre) / np.where(scale > 0, scale, 1.0)
        fitted = np.linalg.lstsq(np.column_stack([np.ones(len(train)), z[train]]), y[train], rcond=1e-9)[0]
        predicted = fitted[0] + z[test] @ fitted[1:]
        error += float(((y[test] - predicted) ** 2).sum())
        spread += float(((y[test] - y[train].mean()) ** 2).sum())
    return 1 - error / spread if spread > 0 else math.nan


def _importance(codes: Numbers, y: Numbers, variants: Labels, seed: int) -> list[float]:
    """Return each factor's permutation importance on the half of the variants left out of a forest's fit.

    The mean over several random halvings.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import GroupShuffleSplit

    importances = []
    halves = GroupShuffleSplit(SPLITS, test_size=0.5, random_state=seed)
    for train, test in halves.split(codes, y, variants):
        forest = RandomForestRegressor(TREES, random_state=seed, n_jobs=1).fit(codes[train], y[train])
        options = {"scoring": "neg_mean_squared_error", "n_repeats": SHUFFLES, "random_state": seed}
        result = permutation_importance(forest, codes[test], y[test], n_jobs=1, **options)
        importances.append(result.importances_mean / y.var())
    return [float(value) for value in np.mean(importances, axis=0)]


def _columns(factor: Factor, values: Sequence[object], base: str) -> list[tuple[str, Numbers]]:
    """Return (name, column): numbers or their log2, or one indicator per category other than the base's."""
    if factor.numeric:
        numbers = np.array(values, float)
        if numbers.min() > 0 and numbers.max() >= SPAN * numbers.min():
            return [(f"log2 {factor.name}", np.log2(numbers))]
        return [(factor.name, numbers)]
    texts = [factor.text(value) for value in values]
    kinds = list(dict.fromkeys(texts))
    reference = base if base in kinds else max(kinds, key=texts.count)
    return [
        (f"{factor.name}: {kind}", np.array([float(text == kind) for text in texts]))
        for kind in kinds
        if kind != reference
    ]


def _standard(x: Numbers) -> Numbers:
    scale = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0)


def _related(x: Numbers, columns: Sequence[Column]) -> tuple[tuple[str, str, float], ...]:
    """Return correlated pairs of columns, without categories of one factor, which are always correlated."""
    related, z = [], _standard(x)
    for a, b in sorted(combinations(range(len(columns)), 2), key=lambda pair: pair[1]):
        r = float((z[:, a] * z[:, b]).mean())
        if abs(r) >= RELATED and columns[a].factor != columns[b].factor:
            related.append((columns[a].name, columns[b].name, r))
    return tuple(sorted(related, key=lambda pair: -abs(pair[2])))


def _too_few(x: Numbers, columns: Sequence[Column], variants: Labels) -> str:
    number, needed = len(np.unique(variants)), PER_COLUMN * (len(columns) + 1)
    if number < needed:
        return (
            f"{number} variants are too few to separate {len(columns)} factor{'s' if len(columns) != 1 else ''} or "
            f"categories: this analysis needs at least {needed}, so it is not shown."
        )
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), _standard(x)])) <= len(columns):
        return "some factors vary only together, so their effects cannot be separated, and the analysis is not shown."
    return ""
