"""Plot a sweep: changes from the base, scores against accuracy and cost with the Pareto front, scores against steps."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from cornet.report.drawings import Label, drawing, write_labels
from cornet.report.seeds.plots import PLAIN
from cornet.report.statistics import Estimate
from cornet.report.style import gridlines, region_colours, style, wrapped
from cornet.report.sweep.changes import Change, PublishedChange, change_text, name_of, published_change
from cornet.report.sweep.variants import Sweep, Variant

__all__ = ["draw_accuracy", "draw_changes", "draw_cost", "draw_steps", "pareto_front"]

SIZE = (4.7, 3.5)
BASE, PUBLISHED, QUIET = "#111111", "#b07d2b", "#9aa0a6"
NUMBERED = 40
"""Maximum number of variants for labelling all points; with more, only those on the front are labelled."""


def pareto_front(gain: ArrayLike, cost: ArrayLike) -> NDArray[np.bool_]:
    """Return which points are on the Pareto front: no other has as much gain at less cost, or more at no more cost.

    Points with a NaN are never on the front. For two gains, pass the negative of one as the cost.
    """
    up, across = np.asarray(gain, float), np.asarray(cost, float)
    finite = np.isfinite(up) & np.isfinite(across)
    front = np.zeros(len(up), bool)
    best = -math.inf
    order = [k for k in np.lexsort((-up, across)) if finite[k]]
    for k in order:
        if up[k] > best:
            best = up[k]
            front[finite & (up == up[k]) & (across == across[k])] = True
    return front


def draw_changes(sweep: Sweep, base: Variant, changes: Sequence[Change], measure: str, key: str) -> str:
    """Return an <svg> of the change of one measure in every variant, as in figure 4; "" if all are undefined."""
    rows = [one for one in changes if one.measure == measure]
    means, lows, highs = 100 * np.array([one.difference[:3] for one in rows]).reshape(-1, 3).T
    finite = np.isfinite(means)
    if not finite.any():
        return ""
    colour, places = _colour(sweep, measure), np.arange(len(rows))
    texts = [change_text(sweep, base, one.variant) for one in rows]
    published = [published_change(sweep, base, one.variant) for one in rows]
    known = np.array([_published(sweep, measure, one) for one in published])
    diamonds = finite & np.isfinite(known)
    names = {"changes": [f"{texts[k]}: {means[k]:+.1f}" for k in np.flatnonzero(finite)]}
    with style():
        figure = Figure(figsize=(SIZE[0], 0.95 + 0.29 * (len(rows) + 1)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=BASE, lw=0.9, zorder=1)
        for place in range(len(rows)):
            if math.isfinite(lows[place]):
                axes.plot([lows[place], highs[place]], [place, place], color=colour, lw=1.6, zorder=2)
            if not finite[place]:
                axes.text(0, place, " undefined", va="center", fontsize=9, color="0.45")
        axes.scatter(means[finite], places[finite], s=26, color=colour, lw=0, zorder=4, gid="changes")
        if diamonds.any():
            prefix = "published, ImageNet, full size:"
            names["published"] = [f"{prefix} {value:+.0f}".replace("+0", "0") for value in known[diamonds]]
            look: dict[str, Any] = {"marker": "D", "facecolor": "none", "edgecolor": PUBLISHED, "lw": 1.4}
            axes.scatter(known[diamonds], places[diamonds], s=34, zorder=3, gid="published", **look)
        axes.set_yticks(places, [wrapped(text, 26) for text in texts])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        _limit(axes, [0, *means, *known[diamonds]], [*lows, *highs])
        left, right = axes.get_xlim()
        for cut_off, edge, marker in ((lows < left, left, "<"), (highs > right, right, ">")):
            for place in places[cut_off]:
                axes.plot([edge], [place], marker, color=colour, ms=6, clip_on=False, zorder=5)
        axes.set_xlabel("change (percentage points)", fontsize=10)
        gridlines(axes, 10, "x")
        alt = f"Change of {measure} from {base.label or 'the base'}, by variant"
        return drawing(figure, key, names, alt)


def draw_accuracy(sweep: Sweep, base: Variant, measure: str, key: str) -> str:
    """Return an <svg> of a score against accuracy, both after the last epoch; "" if no variant has both."""
    found = [next((m for m in one.measures.values() if m.is_task), None) for one in sweep.variants]
    across = [one.final if one else Estimate() for one in found]
    name = next((one.label for one in found if one), "accuracy")
    return _points(sweep, base, measure, key, across, f"{name} after the last epoch", better=-1)


def draw_cost(sweep: Sweep, base: Variant, measure: str, key: str) -> str:
    """Return an <svg> of a measure against MACs; "" if no variant has both."""
    macs = np.array([one.cost.macs for one in sweep.variants])
    unit, word = (1e9, "billion") if (macs >= 1e9).any() else (1e6, "million")
    across = list(map(Estimate, macs / unit))
    return _points(sweep, base, measure, key, across, f"multiply-adds per image ({word})", better=1, log=True)


def draw_steps(sweep: Sweep, base: Variant, measure: str, key: str) -> str:
    """Return an <svg> of a score against the total steps of all areas; "" if no variant has both."""
    across = [Estimate(one.cost.steps) for one in sweep.variants]
    return _points(sweep, base, measure, key, across, "total steps of all areas", better=0)


def _points(
    sweep: Sweep,
    base: Variant,
    measure: str,
    key: str,
    across: Sequence[Estimate],
    title: str,
    better: int,
    log: bool = False,
) -> str:
    """Draw one point per variant. across: x values. better: -1: larger x is better, 1: smaller x, 0: no front."""
    triples = zip(sweep.variants, across, (one.estimate(measure) for one in sweep.variants), strict=True)
    points = [(one, x, y) for one, x, y in triples if math.isfinite(x.mean) and math.isfinite(y.mean)]
    if not points:
        return ""
    xs, ys = np.array([x.mean for _, x, _ in points]), np.array([y.mean for _, _, y in points])
    front = pareto_front(ys, better * xs) if better else np.zeros(len(points), bool)
    colour = _colour(sweep, measure)
    names: dict[str, list[str]] = {}
    with style():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        if front.any():
            order = np.argsort(xs[front], kind="stable")
            line: dict[str, Any] = {"where": "post" if better == 1 else "pre", "alpha": 0.5, "zorder": 1}
            axes.step(xs[front][order], ys[front][order], color=colour, lw=1, **line)
        bars: dict[str, Any] = {"lw": 0.8, "alpha": 0.55, "zorder": 2}
        for place, (_, x, y) in enumerate(points):
            shade = colour if front[place] or not better else QUIET
            axes.plot([x.mean, x.mean], [y.low, y.high], color=shade, **bars)
            axes.plot([x.low, x.high], [y.mean, y.mean], color=shade, **bars)
        for gid, chosen in (("front", front), ("rest", ~front)):
            for is_base in (False, True):
                here = [k for k in np.flatnonzero(chosen) if (points[k][0] is base) == is_base]
                if not here:
                    continue
                name = f"{gid}-{'base' if is_base else 'variants'}"
                fill = colour if gid == "front" or not better else "white"
                edge = BASE if is_base else colour if fill == colour else QUIET
                look: dict[str, Any] = {"s": 44, "marker": "D"} if is_base else {"s": 30, "marker": "o"}
                look |= {"facecolor": fill, "edgecolor": edge, "lw": 1.3, "zorder": 4, "gid": name}
                axes.scatter(xs[here], ys[here], **look)
                names[name] = [_point_name(sweep, base, measure, title, *points[k]) for k in here]
        _limit(axes, ys, [v for _, _, y in points for v in (y.low, y.high)], vertical=True)
        if log and xs.max() >= 2 * xs.min() > 0:
            _log(axes, float(xs.min()), float(xs.max()))
        else:
            _limit(axes, xs, [v for _, x, _ in points for v in (x.low, x.high)])
        axes.set_xlabel(title, fontsize=11)
        axes.set_ylabel(wrapped(measure, 34), fontsize=11)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        gridlines(axes, 10)
        labels = [
            Label(x.mean, y.mean, str(one.number), "0.25")
            for k, (one, x, y) in enumerate(points)
            if len(points) <= NUMBERED or front[k]
        ]
        write_labels(axes, labels, 9)
        return drawing(figure, key, names, f"{measure} against {title}, one point per variant")


def _point_name(
    sweep: Sweep, base: Variant, measure: str, title: str, one: Variant, x: Estimate, y: Estimate
) -> str:
    interval = f" ({y.low:.3f} to {y.high:.3f})" if math.isfinite(y.low) else ""
    return (
        f"{one.number}: {name_of(sweep, base, one)}; {measure} {y.mean:.3f}{interval}, {title} {x.mean:.3g}"
    )


def _published(sweep: Sweep, measure: str, known: PublishedChange | None) -> float:
    """Return the published change to draw beside a measure, NaN for none. Simulated scores have none."""
    one = sweep.measures[measure]
    if known is not None and one.name == "val/top1":
        return known.top1
    return known.brain_score if known and one.name == "brain/mean" and not one.simulated else math.nan


def _colour(sweep: Sweep, measure: str) -> str:
    one = sweep.measures[measure]
    return PLAIN.get(one.kind) or region_colours(m.region for m in sweep.measures.values())[one.region]


def _limit(axes: Axes, values: ArrayLike, ends: Sequence[float], vertical: bool = False) -> None:
    """Set axis limits to include all points, and intervals up to half the range of the points beyond them."""
    array = np.asarray(values, float)
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    reach = (high - low) / 2 or max(abs(high), 0.1) / 4
    known = [end for end in ends if math.isfinite(end)]
    bottom = max(min([low, *known]), low - reach)
    top = min(max([high, *known]), high + reach)
    margin = 0.06 * (top - bottom) or reach
    (axes.set_ylim if vertical else axes.set_xlim)(bottom - margin, top + margin)


def _log(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log")
    margin = (high / low) ** 0.06
    axes.set_xlim(low / margin, high * margin)
    powers = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    ticks = [f * p for p in powers for f in (1, 2, 5) if low / margin <= f * p <= high * margin]
    if len(ticks) > 7:
        ticks = [one for one in ticks if one in powers]
    if len(ticks) < 2:
        ticks = [float(f"{one:.2g}") for one in np.geomspace(low, high, 3)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
