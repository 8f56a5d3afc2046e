"""Means, differences and correlations with their intervals and tests."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

__all__ = [
    "CONFIDENCE",
    "Correlation",
    "Difference",
    "Estimate",
    "holm",
    "mean_interval",
    "pair_difference",
    "pearson",
    "welch_difference",
]

CONFIDENCE = 0.95

SMALL = 1e-12
"""Spread, as a share of the values, at and below which they differ by rounding alone."""


class Estimate(NamedTuple):
    """mean, sd: of `n` seeds (sd with n - 1); low, high: the interval of the mean. NaN: undefined."""

    mean: float = math.nan
    sd: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0


class Difference(NamedTuple):
    """mean: other less base; low, high: its 95 % interval; p: of no difference, two-sided; n: seeds of other and base.

    paired: seed by seed. NaN: undefined.
    """

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: tuple[int, int] = (0, 0)
    paired: bool = False


class Correlation(NamedTuple):
    """r: Pearson's; low, high: its 95 % interval; p: of no linear relation, two-sided; n: pairs. NaN: undefined."""

    r: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: int = 0


def mean_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean, standard deviation, and the interval of the mean by Student's t, one value a seed.

    It assumes seeds drawn independently and values that are about normally distributed. It covers seeds alone: all of
    them share the images, the brain data and their splits. NaN and infinities are left out. With one value there is no
    interval.
    """
    array = np.asarray(list(values), float)
    array = array[np.isfinite(array)]
    n = len(array)
    if n < 2:
        return Estimate(float(array[0]), n=1) if n else Estimate()
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n)
    return Estimate(mean, sd, mean - half, mean + half, n)


def pair_difference(other: ArrayLike, base: ArrayLike) -> Difference:
    """Mean difference of pairs with its interval and p by Student's t; pairs with a NaN are left out.

    Without an interval and p for one pair; without p where all differences are the same number.
    """
    from scipy.stats import ttest_1samp  # slow to import

    one, two = np.asarray(other, float), np.asarray(base, float)
    told = mean_interval(one - two)
    p = math.nan
    if told.n > 1 and told.sd > SMALL * max(np.nanmax(np.abs(one)), np.nanmax(np.abs(two))):
        p = float(ttest_1samp(one - two, 0, nan_policy="omit").pvalue)
    return Difference(told.mean, told.low, told.high, p, (told.n, told.n), True)


def welch_difference(other: ArrayLike, base: ArrayLike) -> Difference:
    """Difference of the means of different seeds, whose variances may differ (Welch 1947, Biometrika 34)."""
    from scipy.stats import ttest_ind

    one, two = mean_interval(np.ravel(other)), mean_interval(np.ravel(base))
    mean, n = one.mean - two.mean, (one.n, two.n)
    if min(n) < 2:
        return Difference(mean, n=n)
    error = math.hypot(one.sd / math.sqrt(one.n), two.sd / math.sqrt(two.n))
    if error <= SMALL * max(abs(one.mean), abs(two.mean)):
        return Difference(mean, mean, mean, n=n)
    found = ttest_ind(np.ravel(other), np.ravel(base), equal_var=False, nan_policy="omit")
    low, high = found.confidence_interval(CONFIDENCE)
    return Difference(mean, float(low), float(high), float(found.pvalue), n)


def pearson(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Pearson's r over the pairs that are finite, with Fisher's interval and Student's p.

    NaN: r of fewer than three pairs or where one side is constant, the interval of fewer than four.
    """
    from scipy.stats import pearsonr

    one, two = np.asarray(x, float), np.asarray(y, float)
    both = np.isfinite(one) & np.isfinite(two)
    n = int(both.sum())
    if n < 3 or np.ptp(one[both]) == 0 or np.ptp(two[both]) == 0:
        return Correlation(n=n)
    found = pearsonr(one[both], two[both])
    low, high = found.confidence_interval(CONFIDENCE) if n > 3 else (math.nan, math.nan)
    return Correlation(float(found.statistic), float(low), float(high), float(found.pvalue), n)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p corrected for all of them that are numbers (Holm 1979, Scand J Stat 6:65); NaN stays NaN.

    The k-th smallest of m (from 0) is multiplied by m - k, is at most 1, and at least as large as the one before it.
    """
    found = np.array(ps, float)
    order = np.argsort(found, kind="stable")[: np.isfinite(found).sum()]
    each = np.minimum(1.0, np.arange(len(order), 0, -1) * found[order])
    found[order] = np.maximum.accumulate(each)
    return found.tolist()
