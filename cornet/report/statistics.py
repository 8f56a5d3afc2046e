"""Compute means, differences and correlations with confidence intervals and tests."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

__all__ = [
    "CONFIDENCE",
    "Correlation",
    "Difference",
    "Estimate",
    "mean_interval",
    "pair_difference",
    "pearson",
    "share_interval",
    "welch_difference",
]

CONFIDENCE = 0.95

SMALL = 1e-12
"""Relative spread at or below which values differ only by rounding."""


class Estimate(NamedTuple):
    """mean, sd: of `n` seeds (sd with n - 1). low, high: confidence interval of the mean. NaN: undefined."""

    mean: float = math.nan
    sd: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0


class Difference(NamedTuple):
    """mean: other minus base. low, high: its 95 % interval. p: two-sided test of no difference. n: seeds of other and
    base. paired: compared seed by seed. NaN: undefined."""

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: tuple[int, int] = (0, 0)
    paired: bool = False


class Correlation(NamedTuple):
    """r: Pearson's correlation. low, high: its 95 % interval. p: two-sided test of r = 0. n: pairs. NaN: undefined."""

    r: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: int = 0


def mean_interval(values: Iterable[float]) -> Estimate:
    """Return mean, standard deviation, and the interval of the mean by Student's t. values: one per seed.

    It assumes independent seeds and approximately normal values. It covers only the variation over seeds, which share
    images, brain data and splits. NaN and infinities are left out. One value has no interval.
    """
    array = np.asarray(list(values), float)
    array = array[np.isfinite(array)]
    n = len(array)
    if n < 2:
        return Estimate(float(array[0]), n=1) if n else Estimate()
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sd / math.sqrt(n)
    return Estimate(mean, sd, mean - half, mean + half, n)


def share_interval(share: float, n: int) -> tuple[float, float]:
    """Return the interval of a share of `n` independent cases, such as an accuracy over images (Wilson 1927, JASA 22).

    NaN for an unknown share, one outside 0 to 1, or n below 1.
    """
    if not (0 <= share <= 1 and n >= 1):
        return math.nan, math.nan
    z2 = float(ndtri((1 + CONFIDENCE) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def pair_difference(other: ArrayLike, base: ArrayLike) -> Difference:
    """Return the mean difference of pairs with its interval and p by Student's t. Pairs with a NaN are left out.

    One pair has no interval and no p. If all differences are equal, p is NaN.
    """
    from scipy.stats import ttest_1samp  # slow to import

    a, b = np.asarray(other, float), np.asarray(base, float)
    estimate = mean_interval(a - b)
    p = math.nan
    if estimate.n > 1 and estimate.sd > SMALL * max(np.nanmax(np.abs(a)), np.nanmax(np.abs(b))):
        p = float(ttest_1samp(a - b, 0, nan_policy="omit").pvalue)
    return Difference(estimate.mean, estimate.low, estimate.high, p, (estimate.n, estimate.n), True)


def welch_difference(other: ArrayLike, base: ArrayLike) -> Difference:
    """Return the difference of the means of unpaired seeds with unequal variances (Welch 1947, Biometrika 34)."""
    from scipy.stats import ttest_ind

    a, b = mean_interval(np.ravel(other)), mean_interval(np.ravel(base))
    mean, n = a.mean - b.mean, (a.n, b.n)
    if min(n) < 2:
        return Difference(mean, n=n)
    error = math.hypot(a.sd / math.sqrt(a.n), b.sd / math.sqrt(b.n))
    if error <= SMALL * max(abs(a.mean), abs(b.mean)):
        return Difference(mean, mean, mean, n=n)
    test = ttest_ind(np.ravel(other), np.ravel(base), equal_var=False, nan_policy="omit")
    low, high = test.confidence_interval(CONFIDENCE)
    return Difference(mean, float(low), float(high), float(test.pvalue), n)


def pearson(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Return Pearson's r over the finite pairs, with Fisher's interval and Student's p.

    r is NaN for fewer than three pairs or a constant side; the interval is NaN for fewer than four pairs.
    """
    from scipy.stats import pearsonr

    a, b = np.asarray(x, float), np.asarray(y, float)
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    if n < 3 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return Correlation(n=n)
    test = pearsonr(a[both], b[both])
    low, high = test.confidence_interval(CONFIDENCE) if n > 3 else (math.nan, math.nan)
    return Correlation(float(test.statistic), float(low), float(high), float(test.pvalue), n)
