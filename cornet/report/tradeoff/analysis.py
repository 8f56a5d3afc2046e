"""Say in numbers and in words whether a score rises or falls with accuracy, and how far harmonised networks are off."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cornet.errors import CornetError
from cornet.report.published.numbers import CORNET_S
from cornet.report.render import number
from cornet.report.statistics import SMALL
from cornet.report.tradeoff.fit import (
    FEW_GROUPS,
    LEAST_GROUPS,
    LEAST_POINTS,
    Broken,
    Distance,
    Trend,
    broken_trend,
    distance,
    trend,
)
from cornet.report.tradeoff.points import Panel, Point

__all__ = ["Analysis", "Row", "analyse", "short_accuracy", "slope_text"]


@dataclass(frozen=True)
class Row:
    """A line of the table of trends. which: the points that it is of; "" for all."""

    which: str
    trend: Trend


@dataclass(frozen=True)
class Analysis:
    """A panel, its trends, and the words. distances: of the harmonised points. broken: None without a break."""

    panel: Panel
    whole: Trend
    broken: Broken | None
    rows: tuple[Row, ...]
    distances: tuple[tuple[Point, Distance], ...]
    reading: str
    notes: tuple[str, ...]


def analyse(panel: Panel, at: float | None) -> Analysis:
    """Fit a panel. at: the accuracy to break the line at; None for no break.

    Raises CornetError if fewer than three points are fitted, or if all their accuracies are equal.
    """
    points = panel.fitted
    if len(points) < LEAST_POINTS:
        also = ", not counting harmonised ones" if panel.harmonised else ""
        raise CornetError(
            f"{panel.title} and an accuracy are known of {len(points)} point{'' if len(points) == 1 else 's'}{also}, "
            f"and a line needs {LEAST_POINTS}; name more runs."
        )
    accuracies = np.array([one.accuracy for one in points])
    if np.ptp(accuracies) <= SMALL:
        raise CornetError(
            f"all accuracies beside {panel.title} are {accuracies[0]:.3g}, and a line needs different ones; name runs "
            "that differ in accuracy, or use --epochs."
        )
    whole = trend(*_arrays(points))
    rows = [Row("", whole)]
    broken = None
    if at is not None:
        broken = broken_trend(*_arrays(points), at)
        rows += [
            Row(f"below {short_accuracy(at)}", broken.below),
            Row(f"from {short_accuracy(at)} on", broken.above),
        ]
        rest = [one for one in points if one.accuracy >= at and one.name != CORNET_S]
        if panel.kind == "published" and 0 < len(rest) < broken.above.n:
            rows.append(Row(f"from {short_accuracy(at)} on, without {CORNET_S}", trend(*_arrays(rest))))
    distances = tuple((one, distance(*_arrays(points), one.accuracy, one.score)) for one in panel.harmonised)
    notes = tuple(_notes(panel, whole, broken))
    return Analysis(panel, whole, broken, tuple(rows), distances, _reading(whole, broken), notes)


def short_accuracy(accuracy: float) -> str:
    """Format an accuracy: .70."""
    return f"{accuracy:.3f}".removesuffix("0").lstrip("0") if accuracy < 1 else "1"


def slope_text(one: Trend) -> str:
    """Format the change of the score per 10 points of accuracy with its interval: +0.012 (+0.008 to +0.016)."""
    value, low, high = one.slope
    if not math.isfinite(value):
        return "-"
    return f"{value:+.4f}" + (f" ({low:+.4f} to {high:+.4f})" if math.isfinite(low) else "")


def _arrays(points: Sequence[Point]) -> tuple[list[float], list[float], list[str]]:
    return [p.accuracy for p in points], [p.score for p in points], [p.variant for p in points]


def _direction(one: Trend) -> str:
    """Return rises, falls, neither, or unknown: whether the interval of the slope excludes 0."""
    _, low, high = one.slope
    if not math.isfinite(low):
        return "unknown"
    return "rises" if low > 0 else "falls" if high < 0 else "neither"


WORDS = {
    "rises": "the score rises with accuracy",
    "falls": "the score falls with accuracy",
    "neither": "neither a rise nor a fall is shown",
}


def _words(one: Trend) -> str:
    direction = _direction(one)
    if direction != "unknown":
        return WORDS[direction]
    if not math.isfinite(one.slope.value):
        return (
            f"there are only {one.n} points"
            if 0 < one.n < LEAST_POINTS
            else "all accuracies are equal"
            if one.n
            else "there are no points"
        )
    return f"a slope without an interval, which needs {LEAST_GROUPS} variants and has {one.groups}"


def _reading(whole: Trend, broken: Broken | None) -> str:
    """Return a sentence: a rise, a fall or neither, and with a break, whether a rise turns into a fall."""
    if broken is None:
        return f"Over all points {_words(whole)}."
    at = short_accuracy(broken.at)
    text = f"Below {at} {_words(broken.below)}; from {at} on {_words(broken.above)}."
    both = _direction(broken.below), _direction(broken.above)
    if both == ("rises", "falls"):
        return f"{text} So the score rises and then falls: more accurate, but a worse model of the brain."
    low, high = broken.change[1:]
    if "unknown" in both or not math.isfinite(low):
        return text
    if high < 0 and both == ("rises", "neither"):
        return f"{text} The rise ends or flattens there (the slope changes), but a fall is not shown."
    change = (
        "is lower above" if high < 0 else "is higher above" if low > 0 else "may be the same on both sides"
    )
    return f"{text} The slope {change}; a rise that turns into a fall is not shown."


def _notes(panel: Panel, whole: Trend, broken: Broken | None) -> list[str]:
    """Return notes on intervals and on the change of the slope; equal texts of several panels are one note."""
    notes = []
    sides = [whole, *((broken.below, broken.above) if broken else ())]
    few = sorted({one.groups for one in sides if LEAST_GROUPS <= one.groups < FEW_GROUPS})
    if few:
        notes.append(
            f"intervals over {' or '.join(map(str, few))} variants are too narrow, as a bootstrap of fewer than "
            f"{FEW_GROUPS} is"
        )
    if broken and math.isfinite(broken.change.low):
        notes.append(
            f"{panel.title}: the slope above minus that below is {number(broken.change.value, 4)} "
            f"({number(broken.change.low, 4)} to {number(broken.change.high, 4)})"
        )
    return notes
