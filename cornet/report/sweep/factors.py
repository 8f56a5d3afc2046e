"""Which factor of a sweep explains accuracy and scores: a linear model, and a forest as a second opinion."""

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
"""Positive numbers whose largest is at least this many times the smallest enter as log2."""

PER_COLUMN = 2
"""Variants there must be for each number that the linear model estimates."""

RELATED = 0.3
"""Two columns whose correlation is at least this are reported as related."""

DRAWS, FOLDS, SPLITS, TREES, SHUFFLES = 1000, 10, 8, 40, 4


class Column(NamedTuple):
    """A column of the linear model: a factor, or one of its categories against the base's."""

    name: str
    factor: str


class Effect(NamedTuple):
    """value: standard deviations of the measure for one of the column, the others held; low, high: 95 % interval."""

    column: Column
    value: float
    low: float
    high: float


class Explained(NamedTuple):
    """effects: by column. share: of the variance on held-out variants, 1 at best; negative: worse than their mean.

    importance: by factor, by how much of the variance the squared error of a forest grows on held-out variants when
    that factor is shuffled among them. n: runs. why: nothing could be had, for that.
    """

    measure: str
    effects: tuple[Effect, ...] = ()
    share: float = math.nan
    importance: tuple[tuple[str, float], ...] = ()
    n: int = 0
    why: str = ""


class Design(NamedTuple):
    """A row for each run that is averaged.

    x: (run, column), not standardised. codes: (run, factor), categories as whole numbers. variants, seeds: by run.
    related: pairs of columns and their correlation. why: "" or the sentence why there is no analysis.
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
    """The factors of every run as numbers. base: the variant against whose values categories are counted."""
    rows = [(one, seed) for one in sweep.variants for seed in one.seeds]
    held = {one.number: one.values for one in sweep.variants}
    x, codes, columns = [], [], []
    for factor in sweep.factors:
        values = [one.values[factor.key] for one, _ in rows]
        if len({factor.text(value) for value in values}) < 2:  # it varied only among runs that are left out
            continue
        for name, column in _columns(factor, values, factor.text(held[base][factor.key])):
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
    """Linear effects, the share explained on variants held out, and the importance of each factor.

    Runs without a value are left out. With too little left, `why` says so.
    """
    by_run = {one.number: one.by_seed(measure) for one in sweep.variants}
    pairs = zip(design.variants, design.seeds, strict=True)
    y = np.array([float(by_run[v].get(s, math.nan)) for v, s in pairs])
    there = np.isfinite(y)
    x, y, variants, seeds = design.x[there], y[there], design.variants[there], design.seeds[there]
    if why := design.why or _too_few(x, design.columns, variants):
        return Explained(measure, n=len(y), why=why)
    if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        why = "it is the same in all runs, so that there is nothing to explain."
        return Explained(measure, n=len(y), why=why)
    found = effects(x, y, variants, seeds, seed)
    named = tuple(Effect(c, *map(float, row)) for c, row in zip(design.columns, found, strict=True))
    importance = _importance(design.codes[there], y, variants, seed)
    shown = tuple(zip(design.factors, importance, strict=True))
    return Explained(measure, named, held_out_share(x, y, variants), shown, len(y))


def effects(
    x: Numbers, y: Numbers, variants: Labels, seeds: Labels, seed: int = 0, draws: int = DRAWS
) -> Numbers:
    """(column, 3): least squares on standardised columns and values, and the 95 % interval of each.

    The interval is from a bootstrap that draws variants and seeds anew, both with replacement; a run counts as often as
    its variant was drawn times as often as its seed was (the pigeonhole bootstrap of Owen 2007, Ann Appl Stat 1:386,
    which errs on the wide side). With one seed only variants are drawn. Draws in which the columns cannot be told apart
    are left out.
    """
    z, t = _standard(x), _standard(y[:, None])[:, 0]
    whole = np.column_stack([np.ones(len(z)), z])
    best = np.linalg.lstsq(whole, t, rcond=None)[0][1:]
    rng = np.random.default_rng(seed)
    weights = np.ones((draws, len(t)))
    for labels in (variants, seeds):
        kinds, places = np.unique(labels, return_inverse=True)
        if len(kinds) > 1:
            counts = rng.multinomial(len(kinds), np.full(len(kinds), 1 / len(kinds)), draws)
            weights *= counts[:, places]
    squares = np.einsum("dr,ri,rj->dij", weights, whole, whole)
    products = np.einsum("dr,ri,r->di", weights, whole, t)
    spread = np.linalg.eigvalsh(squares)
    good = spread[:, 0] > 1e-9 * spread[:, -1]
    found = np.linalg.solve(squares[good], products[good][:, :, None])[:, 1:, 0]
    tails = (1 - CONFIDENCE) / 2
    low = high = np.full(len(best), math.nan)
    if len(found) >= draws / 4:
        low, high = np.quantile(found, (tails, 1 - tails), axis=0)
    return np.column_stack([best, low, high])


def held_out_share(x: Numbers, y: Numbers, variants: Labels) -> float:
    """1 - squared error of the linear model over that of the mean, both of variants that neither was fitted to.

    Whole variants are left out (`GroupKFold`): another seed of a variant would tell of it. Below 0 where the model
    foretells new variants worse than the mean of the others does.
    """
    from sklearn.model_selection import GroupKFold

    wrong = spread = 0.0
    folds = GroupKFold(min(FOLDS, len(np.unique(variants))))
    for train, test in folds.split(x, y, variants):
        centre, scale = x[train].mean(axis=0), x[train].std(axis=0)
        z = (x - centre) / np.where(scale > 0, scale, 1.0)
        fitted = np.linalg.lstsq(np.column_stack([np.ones(len(train)), z[train]]), y[train], rcond=1e-9)[0]
        told = fitted[0] + z[test] @ fitted[1:]
        wrong += float(((y[test] - told) ** 2).sum())
        spread += float(((y[test] - y[train].mean()) ** 2).sum())
    return 1 - wrong / spread if spread > 0 else math.nan


def _importance(codes: Numbers, y: Numbers, variants: Labels, seed: int) -> list[float]:
    """Of each factor, on the half of the variants that a forest has not seen; mean over several halvings."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import GroupShuffleSplit

    found = []
    halves = GroupShuffleSplit(SPLITS, test_size=0.5, random_state=seed)
    for train, test in halves.split(codes, y, variants):
        forest = RandomForestRegressor(TREES, random_state=seed, n_jobs=1).fit(codes[train], y[train])
        options = {"scoring": "neg_mean_squared_error", "n_repeats": SHUFFLES, "random_state": seed}
        told = permutation_importance(forest, codes[test], y[test], n_jobs=1, **options)
        found.append(told.importances_mean / y.var())
    return [float(one) for one in np.mean(found, axis=0)]


def _columns(factor: Factor, values: Sequence[object], base: str) -> list[tuple[str, Numbers]]:
    """A number as it is or as its log2; categories as indicators of all but the base's."""
    if factor.numeric:
        numbers = np.array(values, float)
        if numbers.min() > 0 and numbers.max() >= SPAN * numbers.min():
            return [(f"log2 {factor.name}", np.log2(numbers))]
        return [(factor.name, numbers)]
    texts = [factor.text(value) for value in values]
    kinds = list(dict.fromkeys(texts))
    against = base if base in kinds else max(kinds, key=texts.count)
    return [
        (f"{factor.name}: {kind}", np.array([float(text == kind) for text in texts]))
        for kind in kinds
        if kind != against
    ]


def _standard(x: Numbers) -> Numbers:
    scale = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0)


def _related(x: Numbers, columns: Sequence[Column]) -> tuple[tuple[str, str, float], ...]:
    """Pairs that vary together; categories of one factor do so by their nature and are not told."""
    found, z = [], _standard(x)
    for one, two in sorted(combinations(range(len(columns)), 2), key=lambda pair: pair[1]):
        r = float((z[:, one] * z[:, two]).mean())
        if abs(r) >= RELATED and columns[one].factor != columns[two].factor:
            found.append((columns[one].name, columns[two].name, r))
    return tuple(sorted(found, key=lambda pair: -abs(pair[2])))


def _too_few(x: Numbers, columns: Sequence[Column], variants: Labels) -> str:
    number, needed = len(np.unique(variants)), PER_COLUMN * (len(columns) + 1)
    if number < needed:
        return (
            f"{number} variants are too few to tell {len(columns)} factor{'s' if len(columns) != 1 else ''} or "
            f"categories apart: {needed} are the fewest for this analysis, so that none is shown."
        )
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), _standard(x)])) <= len(columns):
        return (
            "some factors vary only together, so that their effects cannot be told apart, and none is shown."
        )
    return ""
