"""Plot runs among the published networks, and a run's scores by epoch over the published training."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter
from numpy.typing import ArrayLike

from cornet.report.drawings import Label, drawing, write_labels
from cornet.report.published.comparable import ComparedRun
from cornet.report.published.numbers import (
    CORNET_S,
    CURVE,
    HIGH,
    TITLES,
    Panel,
    published_models,
    published_training,
)
from cornet.report.style import epoch_text, gridlines, style

__all__ = ["COLOURS", "draw_panel", "draw_training", "run_colour", "shown_curves"]

SIZE, TALL, LOW = (4.7, 3.5), (4.7, 4.5), (4.7, 3.1)
"""Sizes in inches of a plot, a plot with an inset, and a plot of a training; legible at the width of a phone."""

COLOURS = PUBLISHED, NETWORK, BASENET = "#d1495b", "#1b6ca8", "#8f979e"
RUNS = ("#111111", "#b07d2b", "#3c8d53", "#6b4c9a", "#0f8b8d", "#7a4419")
MARKERS = "DsP^Xv"
FULL_LABELS = 8
"""Maximum number of runs for labels such as "run 1"; with more runs the label is only the number."""

SCALES = {
    "(r/c)^2": "score, (r / ceiling)^2",
    "r/sqrt(c)": "score, r / sqrt(ceiling)",
    "raw": "score, raw",
    "": "fraction of images",
}


def run_colour(number: int) -> str:
    """Return the colour of a run by its number, from 1."""
    return RUNS[(number - 1) % len(RUNS)]


def _mark(axes: Axes, run: ComparedRun, x: ArrayLike, y: ArrayLike, hollow: bool, **look: Any) -> None:
    """Draw a run's points in its colour and shape."""
    colour, marker = run_colour(run.number), MARKERS[(run.number - 1) % len(MARKERS)]
    look |= {"facecolor": "white" if hollow else colour, "edgecolor": colour, "zorder": 5}
    axes.scatter(x, y, marker=marker, **look)


def draw_panel(panel: Panel, runs: Sequence[ComparedRun], alt: str) -> str:
    """Return an <svg> of a panel. alt: text for screen readers."""
    with style():
        figure = Figure(figsize=TALL if panel.inset else SIZE, layout="constrained")
        axes = figure.subplots()
        names: dict[str, list[str]] = {}
        placed = [run for run in runs if _has(run, panel)]
        labels = _points(axes, panel, published_models(), placed, "p", names)
        _axes(axes, panel, runs, placed)
        if panel.inset:
            _inset(axes, panel, placed, names)
        write_labels(axes, labels)
        return drawing(figure, panel.key, names, alt)


def _has(run: ComparedRun, panel: Panel) -> bool:
    """Return whether a run has both numbers of a panel."""
    return all(math.isfinite(run.values.get(name, math.nan)) for name in (panel.x, panel.y))


def _points(
    axes: Axes,
    panel: Panel,
    models: pd.DataFrame,
    runs: Sequence[ComparedRun],
    prefix: str,
    names: dict[str, list[str]],
) -> list[Label]:
    """Draw published networks and runs, and add each point's tooltip to `names`. Return labels of CORnet-S and runs."""
    known = models[np.isfinite(models[panel.x]) & np.isfinite(models[panel.y])]
    basenet, cornet_s = known["model"].str.startswith("BaseNet"), known["model"] == CORNET_S
    labels = []
    for kind, part, colour, size in (
        ("basenets", known[basenet], BASENET, 13),
        ("networks", known[~basenet & ~cornet_s], NETWORK, 17),
        ("cornet-s", known[cornet_s], PUBLISHED, 42),
    ):
        if part.empty:
            continue
        gid = f"{prefix}-{kind}"
        axes.scatter(part[panel.x], part[panel.y], s=size, color=colour, alpha=0.75, lw=0, gid=gid, zorder=3)
        names[gid] = [
            f"{name}: {_short(panel.x)} {x:.3g}, {_short(panel.y)} {y:.3f}"
            for name, x, y in zip(part["model"], part[panel.x], part[panel.y], strict=True)
        ]
        if kind == "cornet-s":
            labels.append(Label(float(part[panel.x].iloc[0]), float(part[panel.y].iloc[0]), CORNET_S, colour))
    for run in runs:
        x, y, gid = run.values[panel.x], run.values[panel.y], f"{prefix}-run-{run.number}"
        hollow = run.own_images and panel.x == "imagenet"
        _mark(axes, run, [x], [y], hollow, s=46, lw=1.4, gid=gid)
        quantity = "top-1 on its own images" if hollow else _short(panel.x)
        names[gid] = [f"{run.label}, {run.title}: {quantity} {x:.3g}, {_short(panel.y)} {y:.3f}"]
        text = run.label if len(runs) <= FULL_LABELS else str(run.number)
        labels.append(Label(x, y, text + (", own" if hollow else ""), run_colour(run.number)))
    return labels


def _axes(axes: Axes, panel: Panel, runs: Sequence[ComparedRun], placed: Sequence[ComparedRun]) -> None:
    axes.set_xlabel(TITLES[panel.x], fontsize=11)
    axes.set_ylabel(TITLES[panel.y], fontsize=11)
    gridlines(axes, 10)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if panel.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([5, 10, 20, 50, 100, 200]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        _depths(axes, [run for run in runs if run not in placed])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))


def _depths(axes: Axes, runs: Sequence[ComparedRun]) -> None:
    """Draw a dotted vertical line for runs that have a depth but no Brain-Score."""
    for depth in dict.fromkeys(run.values["depth"] for run in runs):
        same = [run for run in runs if run.values["depth"] == depth]
        if not same:  # depth is NaN
            continue
        colour = run_colour(same[0].number) if len(same) == 1 else "0.25"
        axes.axvline(depth, color=colour, lw=1.1, ls=":", zorder=1)
        text = same[0].label if len(same) == 1 else "runs " + _ranges([run.number for run in same])
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "va": "bottom"}
        axes.text(depth, 0.02, f" {text}: no score", color=colour, fontsize=9, **place)


def _inset(axes: Axes, panel: Panel, runs: Sequence[ComparedRun], names: dict[str, list[str]]) -> None:
    """Draw an inset of the networks above `HIGH`, in the empty upper left corner of the plot."""
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator([one for one in axes.get_yticks() if low <= one <= high]))
    axes.set_ylim(low, high + 0.85 * (high - low))
    models = published_models()
    inside = axes.inset_axes((0.13, 0.60, 0.60, 0.335))
    near = [run for run in runs if run.values[panel.x] >= HIGH and not run.own_images]
    labels = _points(inside, panel, models[models[panel.x] >= HIGH], near, "i", names)
    inside.tick_params(labelsize=9, length=2, pad=1.5)
    inside.xaxis.set_major_locator(MaxNLocator(4))
    inside.yaxis.set_major_locator(MaxNLocator(4))
    inside.set_facecolor("#fafafa")
    for side in inside.spines.values():
        side.set(visible=True, color="0.6", lw=0.7)
    inside.margins(y=0.2)
    write_labels(inside, labels, 9, (0.48, 0.27))
    inside.set_title("top-1 of .70 and more", fontsize=9, loc="left", pad=3, color="0.3")


def _short(name: str) -> str:
    return TITLES[name].partition(" (")[0]


def _ranges(numbers: Sequence[int]) -> str:
    """Format numbers as ranges: 1, 2, 3, 5 as "1-3, 5"."""
    pairs = enumerate(sorted(numbers))
    parts = [[number for _, number in part] for _, part in groupby(pairs, lambda pair: pair[1] - pair[0])]
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def shown_curves(runs: Sequence[ComparedRun]) -> tuple[list[str], bool]:
    """Return the columns of the published training to show, and whether any run has a benchmark of them.

    The columns are accuracy and those that a run also has; if no run has one, all columns.
    """
    both = [name for name, one in CURVE.items() if one.benchmark and any(name in run.curves for run in runs)]
    return ["top1", *both] if both else list(CURVE), bool(both)


def draw_training(name: str, runs: Sequence[ComparedRun], alt: str) -> str:
    """Return an <svg> of a column of the published training and the runs that have it. alt: text for screen readers."""
    published = published_training()
    curve = published.loc[np.isfinite(published[name]), ["epoch", name]]
    with style():
        figure = Figure(figsize=LOW, layout="constrained")
        axes = figure.subplots()
        names = {"published": _names(CORNET_S, curve["epoch"], curve[name])}
        axes.plot(curve["epoch"], curve[name], color=PUBLISHED, lw=1.2, zorder=2)
        axes.scatter(curve["epoch"], curve[name], s=16, color=PUBLISHED, lw=0, gid="published", zorder=3)
        labels = [Label(float(curve["epoch"].iloc[-1]), float(curve[name].iloc[-1]), CORNET_S, PUBLISHED)]
        for run in (run for run in runs if name in run.curves):
            labels.append(_run(axes, run, name, names))
        _training_axes(axes, name)
        write_labels(axes, labels)
        return drawing(figure, f"training-{name}", names, alt)


def _run(axes: Axes, run: ComparedRun, name: str, names: dict[str, list[str]]) -> Label:
    values, colour, gid = run.curves[name], run_colour(run.number), f"run-{run.number}"
    own = name == "top1" and run.own_images
    axes.plot(values.index, values, color=colour, lw=1.2, ls="--" if own else "-", zorder=4)
    _mark(axes, run, values.index, values, own, s=20, lw=1.1, gid=gid)
    title = f"{run.label}, {run.title}" + (", its own images" if own else "")
    names[gid] = _names(title, values.index, values)
    text = run.label + (", own" if own else "")
    return Label(float(values.index[-1]), float(values.iloc[-1]), text, colour)


def _training_axes(axes: Axes, name: str) -> None:
    last = axes.dataLim.x1
    axes.set_xscale("symlog", linthresh=1, linscale=0.7)
    ticks = [one for one in (0, 0.5, 1, 3, 10, 40, 100, 300) if one <= 1.2 * last]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: epoch_text(value))
    axes.set_xlim(-0.06, last * 5)  # space for labels
    low, high = min(axes.dataLim.y0, 0.0), axes.dataLim.y1
    axes.set_ylim(low - 0.04 * (high - low), high + 0.1 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.axhline(0, color="0.6", lw=0.6, zorder=0)
    gridlines(axes, 10)
    axes.set_xlabel("epoch (linear to 1, then logarithmic)", fontsize=11)
    axes.set_ylabel(SCALES[CURVE[name].scale], fontsize=11)


def _names(name: str, epochs: Sequence[float], values: Sequence[float]) -> list[str]:
    return [
        f"{name}, epoch {epoch_text(float(epoch))}: {float(value):.3f}"
        for epoch, value in zip(epochs, values, strict=True)
    ]
