"""Plot brain scores by epoch and against accuracy, one small panel per benchmark; long curves are `thinned`."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cornet.report import style as brain_style
from cornet.report.curves import axis_label
from cornet.report.run.data import latest, series
from cornet.report.style import (
    epoch_axis,
    epoch_text,
    gridlines,
    message,
    panel_title,
    region_colours,
    wrapped,
)
from cornet.report.thinning import thinned

__all__ = ["draw_accuracy", "draw_scores", "near_ceiling", "top_of_scale"]

NEAR = 1 / 3
"""If scores reach this fraction of the ceiling, the axis includes it; otherwise only its value is written."""


def draw_scores(scores: pd.DataFrame, columns: int = 3) -> bytes:
    """Return a PNG of each benchmark's values by epoch, with standard error, ceiling, untrained score and zero.

    scores: from `cornet.report.run.data.read_scores`. columns: maximum number of panels side by side.
    """
    with brain_style.style():
        figure, panels = _panels(scores, columns, "Brain scores during training")
        for axes, rows, colour in panels:
            _curve(axes, rows, colour)
            epoch_axis(axes, float(scores["epoch"].max()), 0.05, 0.05)
            text = _missing_text(rows)
            axes.set_xlabel("epoch" + (f"\n{text}" if text else ""), fontsize=8)
        if panels:
            handles = _legend(scores)
            across = min(len(handles), 5) if figure.get_figwidth() > 7 else 1
            figure.legend(handles=handles, loc="outside lower left", ncols=across, frameon=False, fontsize=8)
        return brain_style.png(figure)


def draw_accuracy(scores: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG of each benchmark's values against the task's metric, in order of epochs. None: it is unknown."""
    if not np.isfinite(scores["task_value"]).any():
        return None
    most = float(np.nanmax(scores["task_value"]))
    last = max(float(scores["epoch"].max()), 1e-9)
    with brain_style.style():
        figure, panels = _panels(scores, columns, "Brain scores against accuracy")
        points = None
        for axes, rows, colour in panels:
            both = rows[np.isfinite(rows["value"]) & np.isfinite(rows["task_value"])]
            if both.empty:
                message(axes, "no accuracy was measured at these evaluations")
                continue
            points = _path(axes, both, most, last)
            _untrained(axes, rows, colour)
            _value_axis(axes, rows)
            axes.set_xlim(-0.04 * most, 1.1 * most or 1)
            axes.set_xlabel(axis_label(str(both["task_metric"].iloc[-1])), fontsize=8)
        if points is not None and last > 1e-9:
            look: dict[str, Any] = {"shrink": 0.6, "pad": 0.01, "aspect": 30}
            look["location"] = "right" if figure.get_figwidth() > 5 else "bottom"
            look["ticks"] = MaxNLocator(6, integer=last >= 2)
            places = figure.axes[: len(series(scores))]
            figure.colorbar(points, ax=places, **look).set_label("epoch", fontsize=8)
        return brain_style.png(figure)


def _panels(
    scores: pd.DataFrame, columns: int, title: str
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame, str]]]:
    """Make a figure with a panel per benchmark. Return it with panel, rows and colour of each benchmark with a value.

    The other panels show the reason why they have none.
    """
    names = series(scores)
    figure, axes = brain_style.grid(len(names), columns)
    brain_style.headline(figure, title, [bool(rows["simulated"].any()) for _, rows in names])
    colours = region_colours(map(str, scores["region"]))
    panels = []
    for one, (name, rows) in zip(axes, names, strict=True):
        region, mark = str(rows["region"].iloc[0]), "simulated" if rows["simulated"].any() else ""
        panel_title(one, name, [region, mark], colours[region])
        if np.isfinite(rows["value"]).any():
            panels.append((one, rows, colours[region]))
        else:
            message(
                one, f"no score: {_last_text(rows, 'failure', 'notes') or 'undefined at every evaluation'}"
            )
    return figure, panels


def _path(axes: Axes, rows: pd.DataFrame, most: float, last: float) -> PathCollection:
    """Plot values against accuracy for each kind of weights. most: highest accuracy. last: last epoch."""
    for number, (part, line) in enumerate(_kinds(rows)):
        part = thinned(part, "value", "task_value")
        x, y, error = part["task_value"], part["value"], part["value_error"].fillna(0.0)
        axes.errorbar(x, y, yerr=error, fmt="none", ecolor="0.8", lw=1, zorder=1)
        axes.plot(x, y, color="0.6", lw=1, ls=line, zorder=2)
        shades: dict[str, Any] = {"c": part["epoch"], "cmap": "viridis_r", "vmin": 0, "vmax": last}
        points = axes.scatter(x, y, s=20, lw=0, zorder=3, **shades)
        if number == 0:
            _label_first_and_last(axes, part, most)
    return points


def _kinds(rows: pd.DataFrame) -> list[tuple[pd.DataFrame, str]]:
    """Return the rows of each kind of weights and its line style."""
    kinds = [part for _, part in rows.groupby("weights", sort=False)]
    return list(zip(kinds, ("-", "--") * 9, strict=False))


def top_of_scale(scale: str, ceiling: float) -> float:
    """Return the score of a perfect model: the ceiling for raw values, 1 for values divided by the ceiling."""
    if not math.isfinite(ceiling):
        return math.nan
    return ceiling if scale in ("raw", "") else 1.0


def near_ceiling(axes: Axes, top: float, reached: float) -> bool:
    """Draw the ceiling if scores come near it, and return whether they do."""
    near = math.isfinite(top) and reached >= NEAR * top > 0
    if near:
        axes.axhline(top, color="0.3", lw=0.9, ls=(0, (6, 3)), zorder=0)
    return near


def _curve(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    for part, line in _kinds(rows):
        part = thinned(part[np.isfinite(part["value"])], "value")
        if part.empty:
            continue
        error = part["value_error"].fillna(0.0)
        axes.plot(part["epoch"], part["value"], color=colour, lw=1.3, ls=line, marker="o", ms=3)
        if len(part) == 1:
            axes.errorbar(part["epoch"], part["value"], yerr=error, color=colour, capsize=3, lw=1)
        else:
            low, high = part["value"] - error, part["value"] + error
            axes.fill_between(part["epoch"], low, high, color=colour, alpha=0.2, lw=0)
    value = _untrained(axes, rows, colour)
    if math.isfinite(value):
        axes.plot([0], [value], "o", ms=5, mfc="white", mec=colour, zorder=4)
    _value_axis(axes, rows)


def _untrained(axes: Axes, rows: pd.DataFrame, colour: str) -> float:
    """Draw a dotted line at the score before training and return the score, NaN if there is none."""
    start = rows[(rows["epoch"] == 0) & np.isfinite(rows["value"])]
    value = float(start["value"].iloc[0]) if len(start) else math.nan
    if math.isfinite(value):
        axes.axhline(value, color=colour, lw=0.9, ls=":", zorder=1)
    return value


def _legend(scores: pd.DataFrame) -> list[Line2D]:
    """Return legend entries in gray, because panels are coloured by region."""
    kinds = list(dict.fromkeys(scores["weights"]))
    names = [f"score, {kind} weights" for kind in kinds] if len(kinds) > 1 else ["score, with standard error"]
    gray: dict[str, Any] = {"color": "0.35"}
    handles = [
        Line2D([], [], lw=1.3, ls=line, marker="o", ms=3, label=name, **gray)
        for name, line in zip(names, ("-", "--") * 9, strict=False)
    ]
    if (scores["epoch"] == 0).any():
        start: dict[str, Any] = {"mfc": "white", "marker": "o", "ms": 5, "ls": ":", "lw": 0.9}
        handles.append(Line2D([], [], label="untrained", **start, **gray))
    handles.append(Line2D([], [], ls=(0, (6, 3)), lw=0.9, label="ceiling: a perfect model", **gray))
    return [*handles, Line2D([], [], lw=0.7, label="zero: no relation", color="0.45")]


def _value_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Set a y axis that includes zero, and the ceiling if scores come near it; else write the ceiling at the top."""
    defined = rows[np.isfinite(rows["value"])]
    error = defined["value_error"].fillna(0.0)
    low, high = float((defined["value"] - error).min()), float((defined["value"] + error).max())
    top = top_of_scale(str(defined["scale"].iloc[-1]), latest(defined["ceiling"]))
    axes.axhline(0, color="0.45", lw=0.7, zorder=0)
    highest = max(high, 0.0)
    if near_ceiling(axes, top, highest):
        highest = max(highest, top)
    elif math.isfinite(top):
        text = f"ceiling {top:.2f}, above"
        axes.text(0.99, 0.98, text, transform=axes.transAxes, ha="right", va="top", fontsize=7, color="0.35")
        highest += 0.12 * (highest - min(low, 0.0))  # space for the text
    span = (highest - min(low, 0.0)) or 0.1
    axes.set_ylim(min(low, 0.0) - 0.05 * span, highest + 0.08 * span)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    gridlines(axes, along="y")
    axes.set_ylabel(f"score ({defined['scale'].iloc[-1] or 'raw'})", fontsize=8)


def _label_first_and_last(axes: Axes, part: pd.DataFrame, most: float) -> None:
    """Label the points of the first and the last epoch."""
    for k, (_, row) in enumerate(part.iloc[[0, -1] if len(part) > 1 else [0]].iterrows()):
        left = row["task_value"] > 0.8 * most
        place: dict[str, Any] = {"xytext": (-5 if left else 5, -9 if k == 0 else 6)}
        place |= {"textcoords": "offset points", "ha": "right" if left else "left"}
        text = f"epoch {epoch_text(row['epoch'])}"
        axes.annotate(text, (row["task_value"], row["value"]), fontsize=7, color="0.25", **place)


def _missing_text(rows: pd.DataFrame) -> str:
    """Return how many evaluations have no score, with the latest reason; "" if none is missing."""
    missing = rows[~np.isfinite(rows["value"])]
    if missing.empty:
        return ""
    reason = _last_text(missing, "notes", "failure")
    text = f"{len(missing)} of {len(rows)} without a score" + (f": {reason}" if reason else "")
    return wrapped(text, 40, 3)


def _last_text(rows: pd.DataFrame, *columns: str) -> str:
    """Return the last text of the last of these columns that has any; "" if there is none."""
    return next((text for name in reversed(columns) for text in rows[name].iloc[::-1] if text), "")
