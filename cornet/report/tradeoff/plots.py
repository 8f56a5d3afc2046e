"""Plot a score against accuracy, with the fitted lines and their bands."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cornet.report.drawings import drawing
from cornet.report.style import gridlines, region_colours, style, wrapped
from cornet.report.tradeoff.analysis import Analysis
from cornet.report.tradeoff.fit import Trend, band
from cornet.report.tradeoff.points import Point

__all__ = ["HARMONISED", "LINE", "draw_panel"]

SIZE = (4.7, 3.5)
LINE, HARMONISED, POINTS = "#111111", "#0b8f8f", "#1b6ca8"


def draw_panel(one: Analysis, key: str) -> str:
    """Return an <svg> of a panel; epochs of a run are connected. key: prefix of its ids, unique in the page."""
    panel = one.panel
    colour = region_colours([panel.region])[panel.region] if panel.region else POINTS
    names: dict[str, list[str]] = {}
    with style():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        _connections(axes, panel.points, colour)
        _lines(axes, one)
        kinds: tuple[tuple[str, list[Point], dict[str, Any]], ...] = (
            ("fitted", panel.fitted, {"color": colour, "s": 20, "alpha": 0.75, "lw": 0}),
            (
                "harmonised",
                panel.harmonised,
                {"color": HARMONISED, "s": 42, "marker": "D", "ec": LINE, "lw": 0.8},
            ),
        )
        for gid, points, look in kinds:
            if points:
                x, y = ([getattr(p, side) for p in points] for side in ("accuracy", "score"))
                axes.scatter(x, y, gid=gid, zorder=4, **look)
                names[gid] = list(map(_name, points))
        axes.set_xlabel(panel.accuracy, fontsize=11)
        scale = f", {panel.scale}" if panel.scale else ""
        simulated = "simulated " if panel.simulated and "simulated" not in panel.title else ""
        axes.set_ylabel(wrapped(f"{simulated}{panel.title}{scale}", 36), fontsize=11)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        gridlines(axes, 10)
        return drawing(figure, key, names, f"{panel.title} against {panel.accuracy}. {one.reading}")


def _name(point: Point) -> str:
    also = ", harmonised" if point.harmonised else ""
    return f"{point.title}{also}: accuracy {point.accuracy:.3f}, score {point.score:.3f}"


def _connections(axes: Axes, points: tuple[Point, ...], colour: str) -> None:
    for run in dict.fromkeys(one.run for one in points):
        own = sorted((one for one in points if one.run == run), key=lambda one: one.epoch)
        if len(own) > 1:
            shade = HARMONISED if own[0].harmonised else colour
            axes.plot([p.accuracy for p in own], [p.score for p in own], color=shade, lw=0.8, alpha=0.45)


def _lines(axes: Axes, one: Analysis) -> None:
    """Draw the line over all points with its band, or the two lines on the sides of a break."""
    points = one.panel.fitted
    if one.broken is None:
        _line(axes, points, one.whole, "-")
        _residuals(axes, one)
        return
    at = one.broken.at
    axes.axvline(at, color="0.6", lw=0.8, ls=":", zorder=1)
    _line(axes, [p for p in points if p.accuracy < at], one.broken.below, "-")
    _line(axes, [p for p in points if p.accuracy >= at], one.broken.above, "-")
    x = np.array([min(p.accuracy for p in points), max(p.accuracy for p in points)])
    axes.plot(x, [one.whole.at(float(v)) for v in x], color=LINE, lw=0.8, ls="--", alpha=0.6, zorder=2)
    _residuals(axes, one)


def _line(axes: Axes, points: list[Point], fitted: Trend, dashes: str) -> None:
    if not math.isfinite(fitted.slope.value):
        return
    x = np.linspace(min(p.accuracy for p in points), max(p.accuracy for p in points), 25)
    axes.plot(x, [fitted.at(float(v)) for v in x], color=LINE, lw=1.3, ls=dashes, zorder=3)
    columns = [p.accuracy for p in points], [p.score for p in points], [p.variant for p in points]
    low, high = band(*columns, x)
    if np.isfinite(low).all():
        axes.fill_between(x, low, high, color=LINE, alpha=0.1, lw=0, zorder=1)


def _residuals(axes: Axes, one: Analysis) -> None:
    """Draw the distance of each harmonised point from the line over all points."""
    for point, _ in one.distances:
        ends = [one.whole.at(point.accuracy), point.score]
        axes.plot([point.accuracy] * 2, ends, color=HARMONISED, lw=0.9, ls=":", zorder=2)
