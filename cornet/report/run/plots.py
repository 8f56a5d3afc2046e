"""Draw the plots of a run's brain scores from the tables in its folder."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cornet.brain.metrics.solution_times.timing import spearman
from cornet.report.run.alignment import draw_alignment
from cornet.report.run.data import (
    read_alignment,
    read_matrix,
    read_scores,
    read_time_matrix,
    read_times,
    series,
)
from cornet.report.run.matrix import draw_matrix
from cornet.report.run.panels import PANELS, read_panels
from cornet.report.run.score_panels import draw_accuracy, draw_scores
from cornet.report.run.time_matrix import draw_time_matrix
from cornet.report.style import grid, gridlines, headline, message, png, style, wrapped

__all__ = ["BrainTables", "Picture", "draw_pictures", "draw_times", "read_brain_tables"]


@dataclass(frozen=True, eq=False)
class BrainTables:
    """The tables that scoring wrote to a run's folder; None: missing. panels: those of `PANELS`, by name."""

    scores: pd.DataFrame | None = None
    matrix: pd.DataFrame | None = None
    times: pd.DataFrame | None = None
    over_time: pd.DataFrame | None = None
    alignment: pd.DataFrame | None = None
    panels: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A PNG and its file name. narrow: a version one panel wide, for phones. heading, caption: "": see run.html."""

    name: str
    wide: bytes
    narrow: bytes | None = None
    heading: str = ""
    caption: str = ""


def read_brain_tables(folder: Path | str) -> BrainTables:
    """Read all tables of brain scores in a run's folder. Raises CornetError if one is not a valid table."""
    folder = Path(folder)
    tables = read_scores(folder), read_matrix(folder), read_times(folder), read_time_matrix(folder)
    return BrainTables(*tables, alignment=read_alignment(folder), panels=read_panels(folder))


def draw_pictures(tables: BrainTables, narrow: bool = False) -> list[Picture]:
    """Draw all pictures for which there are numbers. narrow: also draw versions one panel wide."""
    scores, matrix, times = tables.scores, tables.matrix, tables.times
    drawings: dict[str, Callable[[int], bytes | None]] = {}
    if scores is not None:
        drawings["brain_scores.png"] = lambda columns: draw_scores(scores, columns)
        drawings["brain_accuracy.png"] = lambda columns: draw_accuracy(scores, columns)
    if matrix is not None and len(matrix):
        drawings["step_matrix.png"] = lambda columns: draw_matrix(matrix, scores, min(columns, 2))
    over_time = tables.over_time
    if over_time is not None and len(over_time):
        drawings["time_matrix.png"] = lambda columns: draw_time_matrix(over_time, min(columns, 2))
    alignment = tables.alignment
    if alignment is not None:
        drawings["alignment.png"] = lambda columns: draw_alignment(alignment, columns)
    if times is not None:
        drawings["solution_times.png"] = lambda columns: draw_times(times, columns)
    pictures = []
    for name, draw in drawings.items():
        wide = draw(3)
        if wide is not None:
            pictures.append(Picture(name, wide, draw(1) if narrow else None))
    for panel in PANELS:
        table = tables.panels.get(panel.name)
        wide = None if table is None else panel.draw(table, 3)
        if table is not None and wide is not None:
            text = panel.heading, panel.caption
            pictures.append(
                Picture(f"{panel.name}.png", wide, panel.draw(table, 1) if narrow else None, *text)
            )
    return pictures


NETWORK, BRAIN = "#1b6ca8", "#b07d2b"


def draw_times(times: pd.DataFrame, columns: int = 3) -> bytes:
    """Return a PNG of predicted against target times, with Spearman's correlation and the fraction solved.

    times: from `cornet.report.run.data.read_times`. Images that no split tested have no predicted time; they are left
    out if the table marks them. For a simulated brain, a second panel shows target times against the true times.
    """
    panels = []
    for name, rows in series(times):
        panels.append((name, rows, False))
        if np.isfinite(rows["truth_ms"]).any():
            panels.append((name, rows, True))
    with style():
        figure, axes = grid(len(panels), columns, (3.4, 3.5))
        headline(figure, "Object solution times", [bool(rows["simulated"].any()) for _, rows, _ in panels])
        for one, (name, rows, truth) in zip(axes, panels, strict=True):
            mark = " (simulated)" if rows["simulated"].any() else ""
            one.set_box_aspect(1)
            if truth:
                text = _scatter(one, rows["truth_ms"], rows["target_ms"], BRAIN, "with a target: ")
                one.set_xlabel("true time in the simulation (ms)", fontsize=8)
                one.set_ylabel("target: decoded from its responses (ms)", fontsize=8)
            else:
                tested = rows[rows["tested"] != 0]
                verb = "with a time: " if tested["tested"].isna().any() else "solved when tested: "
                text = _scatter(one, tested["target_ms"], tested["predicted_ms"], NETWORK, verb)
                one.set_xlabel("target: when the brain solves it (ms)", fontsize=8)
                one.set_ylabel("predicted: when the network does (ms)", fontsize=8)
            one.set_title(wrapped(name + mark, 38) + text, fontsize=8.5, loc="left", pad=8)
        return png(figure)


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, colour: str, verb: str) -> str:
    """Plot y against x, with images that have no y as ticks along the upper edge. Return lines for the title."""
    across, up = x.to_numpy(float), y.to_numpy(float)
    has_target = np.isfinite(across)
    both = has_target & np.isfinite(up)
    if not both.any():
        why = "no image has a target time"
        if has_target.any():
            why = f"none of {has_target.sum():,} images is solved"
        message(axes, f"nothing to compare: {why}")
        return ""
    low, high = (float(f(across[both].tolist() + up[both].tolist())) for f in (min, max))
    margin = 0.06 * (high - low) or 10.0
    low, high = low - margin, high + margin
    axes.plot([low, high], [low, high], color="0.55", lw=0.9, ls="--", zorder=1)
    alpha = min(0.7, max(0.25, 120 / both.sum()))
    axes.plot(across[both], up[both], "o", color=colour, ms=3.2, mew=0, alpha=alpha, zorder=2)
    missed = across[has_target & ~both]
    ticks: dict[str, Any] = {"color": "#d1495b", "ms": 7, "alpha": 0.6, "clip_on": False, "zorder": 3}
    axes.plot(missed, np.full(len(missed), high), "|", in_layout=False, **ticks)
    r = spearman(across, up)
    shown = "undefined" if math.isnan(r) else f"{r:.2f}"
    axes.set(xlim=(low, high), ylim=(low, high))
    gridlines(axes)
    solved, total = both.sum(), has_target.sum()
    return f"\nSpearman {shown}\n{verb}{solved:,} of {total:,} ({solved / total:.0%})"
