"""Fit a score to accuracy when points depend on each other: seeds of a variant, epochs of a run, checkpoints of a net.

Slopes and correlations are of all points. Their intervals are percentiles of a bootstrap over groups of dependent
points, each drawn as a whole (Cameron, Gelbach & Miller 2008, Rev. Econ. Stat. 90: "pairs cluster bootstrap").
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from cornet.report.statistics import CONFIDENCE, SMALL

__all__ = [
    "FEW_GROUPS",
    "LEAST_GROUPS",
    "LEAST_POINTS",
    "STEP",
    "Broken",
    "Distance",
    "Interval",
    "Trend",
    "band",
    "broken_trend",
    "distance",
    "trend",
]

STEP = 0.1
"""Slopes are changes of the score for this much more accuracy: 10 points."""
LEAST_POINTS = 3
"""For a slope: two points always lie on a line."""
LEAST_GROUPS = 5
"""For an interval: fewer groups have less than 126 different draws."""
FEW_GROUPS = 10
"""Below this the intervals are known to be too narrow."""
DRAWS = 2000
BLOCK = 1 << 22
"""Number of weights in memory at a time."""

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A value and its 95 % interval. NaN: undefined."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


UNKNOWN = Interval()


@dataclass(frozen=True)
class Trend:
    """How a score changes with accuracy. slope: for `STEP` more accuracy. n: points, in `groups` dependent groups."""

    slope: Interval = UNKNOWN
    intercept: float = math.nan
    pearson: Interval = UNKNOWN
    spearman: Interval = UNKNOWN
    n: int = 0
    groups: int = 0

    def at(self, accuracy: float) -> float:
        """Return the score on the line."""
        return self.intercept + self.slope.value / STEP * accuracy


@dataclass(frozen=True)
class Broken:
    """The trends below an accuracy, and from it on. change: slope above minus slope below."""

    at: float
    below: Trend
    above: Trend
    change: Interval


class Distance(NamedTuple):
    """value: a point's score minus that on the line. low, high: where 95 % of such differences of one more point of a
    new group lie. outside: the accuracy is outside the range of the fit."""

    value: float
    low: float
    high: float
    outside: bool


def trend(accuracy: ArrayLike, score: ArrayLike, groups: Sequence[str]) -> Trend:
    """Fit a line by least squares. accuracy, score: (point,), finite. groups: (point,), equal if dependent.

    The slope is NaN for fewer than `LEAST_POINTS` points or equal accuracies; intervals are NaN for fewer than
    `LEAST_GROUPS` groups.
    """
    x, y, member = _checked(accuracy, score, groups)
    return _trend(x, y, member, _draws(x, y, member))


def broken_trend(accuracy: ArrayLike, score: ArrayLike, groups: Sequence[str], at: float) -> Broken:
    """Fit a line on each side of an accuracy; points at it belong to the upper side. Arguments as of `trend`.

    Groups with points on both sides are drawn for both at once, so that the change has an interval of its own.
    """
    x, y, member = _checked(accuracy, score, groups)
    sides = x < at, x >= at
    slopes, trends = [], []
    for side in sides:
        draws = _draws(x, y, member, side)
        slopes.append(draws[0])
        trends.append(_trend(x[side], y[side], member[side], draws))
    below, above = trends
    value = above.slope.value - below.slope.value
    enough = math.isfinite(below.slope.low) and math.isfinite(above.slope.low)
    change = Interval(value, *(_percentiles(STEP * (slopes[1] - slopes[0])) if enough else ()))
    return Broken(at, below, above, change)


def distance(
    accuracy: ArrayLike, score: ArrayLike, groups: Sequence[str], at: float, value: float
) -> Distance:
    """Return how far a new point (at, value) is above the line, with the interval of such distances.

    The variance of a new point is that of the line (from the bootstrap) and that of one point about it (the mean over
    groups of the mean squared residual); the interval is Student's with groups - 2 degrees of freedom. With one point
    in each group it is the classical prediction interval, up to the bootstrap.
    """
    x, y, member = _checked(accuracy, score, groups)
    draws = _draws(x, y, member)
    fitted = _trend(x, y, member, draws)
    above, outside = value - fitted.at(at), not x.min() <= at <= x.max()
    count = fitted.groups
    if count < LEAST_GROUPS:
        return Distance(above, math.nan, math.nan, outside)
    residuals = np.bincount(member, (y - fitted.at(0) - fitted.slope.value / STEP * x) ** 2)
    point = float((residuals / np.bincount(member)).mean()) * count / (count - 2)
    line = float(np.nanvar(_lines(draws, at)))
    half = float(stdtrit(count - 2, (1 + CONFIDENCE) / 2)) * math.sqrt(point + line)
    return Distance(above, -half, half, outside)


def band(accuracy: ArrayLike, score: ArrayLike, groups: Sequence[str], at: ArrayLike) -> tuple[Array, Array]:
    """Return the lower and upper 95 % limits of the line at some accuracies, (accuracy,); NaN as for `trend`."""
    x, y, member = _checked(accuracy, score, groups)
    places = np.asarray(at, float)
    if member.max(initial=-1) + 1 < LEAST_GROUPS or len(x) < LEAST_POINTS:
        return np.full(len(places), math.nan), np.full(len(places), math.nan)
    draws = _draws(x, y, member)
    limits = np.array([_percentiles(_lines(draws, place)) for place in places]).reshape(-1, 2)
    return limits[:, 0], limits[:, 1]


def _checked(
    accuracy: ArrayLike, score: ArrayLike, groups: Sequence[str]
) -> tuple[Array, Array, NDArray[np.int64]]:
    x, y = np.asarray(accuracy, float), np.asarray(score, float)
    _, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return x, y, member.astype(np.int64)


def _trend(x: Array, y: Array, member: NDArray[np.int64], draws: Sequence[Array]) -> Trend:
    """Return the trend of points whose drawn slopes, mean points and correlations are known."""
    groups = len(np.unique(member))
    if len(x) < LEAST_POINTS or np.ptp(x) <= SMALL * max(1.0, float(np.abs(x).max())):
        return Trend(n=len(x), groups=groups)
    slope, middle_x, middle_y, r, rho = (float(one[0]) for one in _moments(x, y, np.ones((1, len(x)))))
    slopes, _, _, pearsons, spearmans = draws
    limits = [
        _percentiles(one) if groups >= LEAST_GROUPS else (math.nan, math.nan)
        for one in (STEP * slopes, pearsons, spearmans)
    ]
    return Trend(
        Interval(STEP * slope, *limits[0]),
        middle_y - slope * middle_x,
        Interval(r, *(limits[1] if math.isfinite(r) else ())),
        Interval(rho, *(limits[2] if math.isfinite(rho) else ())),
        len(x),
        groups,
    )


def _draws(
    x: Array, y: Array, member: NDArray[np.int64], chosen: NDArray[np.bool_] | None = None
) -> list[Array]:
    """Return slopes, means of x and y, Pearson's and Spearman's r of every draw of groups, five arrays (draw,).

    chosen: the points to compute them of, (point,); the draws are of the groups of all points.
    """
    part = slice(None) if chosen is None else chosen
    found = [_moments(x[part], y[part], weights[:, part]) for weights in _weights(member)]
    return [np.concatenate(one) for one in zip(*found, strict=True)]


def _weights(member: NDArray[np.int64]) -> Iterator[Array]:
    """Yield how often each point is drawn, (draws of a block, point)."""
    rng, groups = np.random.default_rng(0), int(member.max(initial=-1)) + 1
    step = max(1, BLOCK // max(1, len(member)))
    for start in range(0, DRAWS, step):
        count = min(step, DRAWS - start)
        times = rng.multinomial(groups, np.full(groups, 1 / max(1, groups)), count)
        yield times[:, member].astype(float)


def _moments(x: Array, y: Array, weights: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return weighted slope, means, Pearson's r and Spearman's r, (draw,). weights: (draw, point), whole numbers."""
    if not len(x):
        return (np.full(len(weights), math.nan),) * 5
    xx, yy, xy, mean_x, mean_y = _second(weights, x, y)
    # A draw of equal accuracies has no slope.
    varied = xx > (SMALL * max(1.0, float(np.abs(x).max()))) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(varied, xy / xx, math.nan)
        pearson = np.where(varied & (yy > 0), xy / np.sqrt(xx * yy), math.nan)
        ranks = _second(weights, _ranks(x, weights), _ranks(y, weights))
        spearman = np.where(varied & (yy > 0), ranks[2] / np.sqrt(ranks[0] * ranks[1]), math.nan)
    return slope, mean_x, mean_y, np.clip(pearson, -1, 1), np.clip(spearman, -1, 1)


def _second(weights: Array, x: Array, y: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return weighted variances, covariance and means, (draw,). x, y: (point,) or (draw, point)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(axis=1)
        mean_x, mean_y = ((weights * values).sum(axis=1) / total for values in (x, y))
        dx, dy = x - mean_x[:, None], y - mean_y[:, None]
        xx, yy, xy = ((weights * values).sum(axis=1) / total for values in (dx * dx, dy * dy, dx * dy))
    return xx, yy, xy, mean_x, mean_y


def _ranks(values: Array, weights: Array) -> Array:
    """Return average ranks, up to a constant, of points that are repeated `weights` times, (draw, point)."""
    order = np.argsort(values, kind="stable")
    _, starts, inverse = np.unique(values[order], return_index=True, return_inverse=True)
    repeated = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(repeated, axis=1) - repeated / 2
    ranks = np.empty_like(weights)
    ranks[:, order] = middle[:, inverse]
    return ranks


def _lines(draws: Sequence[Array], at: float) -> Array:
    """Return the score on every drawn line at an accuracy, (draw,)."""
    slopes, mean_x, mean_y, *_ = draws
    return np.asarray(mean_y + slopes * (at - mean_x))


def _percentiles(values: Array) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return math.nan, math.nan
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)
