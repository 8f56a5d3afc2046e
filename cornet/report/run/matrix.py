"""Draw the table of raw scores of each area and step against each brain region."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cornet.brain.regions import in_order
from cornet.report.run.data import is_simulated
from cornet.report.style import epoch_text, grid, headline, message, png, style, wrapped
from cornet.report.terminal_tables import with_error

__all__ = ["draw_matrix"]

PAGE, PHONE = 9.1, 4.2
"""Widths in inches of the page, and of a picture for a phone."""


def draw_matrix(matrix: pd.DataFrame, scores: pd.DataFrame | None = None, columns: int = 2) -> bytes:
    """Return a PNG of tables with areas and steps as rows and benchmarks as columns, at the first and last evaluation.

    matrix: from `cornet.report.run.data.read_matrix`. scores: used to find which benchmarks are simulated. columns:
    maximum number of tables side by side; 1 for a narrow screen. Benchmarks that do not fit get further tables. A box
    marks the best value of each column; shading goes from zero to the column's best value over all tables.
    """
    benchmarks = list(dict.fromkeys(matrix["benchmark"]))
    sites = _sites(matrix)
    epochs = sorted(matrix["epoch"].dropna().unique())
    parts = [
        ("untrained" if e == 0 else f"after epoch {epoch_text(e)}", matrix[matrix["epoch"] == e])
        for e in dict.fromkeys(epochs[:1] + epochs[-1:])
    ]
    headings = dict(zip(benchmarks, _headings(matrix, benchmarks, scores), strict=True))
    tops = matrix.groupby("benchmark")["raw"].max()
    lines = max(text.count("\n") + 1 for text in headings.values())
    named = any(text.split("\n")[0] not in set(matrix["region"]) for text in headings.values())
    cell = 1.05 if named else 0.85
    blocks = _blocks(benchmarks, int(((PAGE if columns > 1 else PHONE) - 1.0) / cell))
    size = (max(3.0, 1.0 + cell * len(blocks[0])), 0.7 + 0.15 * lines + 0.3 * len(sites))
    panels = [(title, part, block) for block in blocks for title, part in parts or [("", matrix)]]
    with style():
        figure, axes = grid(len(panels), min(columns, max(1, int(PAGE / size[0]))), size)
        simulated = [is_simulated(one, scores, matrix) for one in benchmarks]
        headline(figure, "Raw score of each area and step", simulated)
        for one, (title, part, block) in zip(axes, panels, strict=True):
            if title:
                one.set_title(title, fontsize=9, fontweight="bold", loc="left")
            if not np.isfinite(part[part["benchmark"].isin(block)]["raw"]).any():
                message(one, f"no score {title}: every entry is undefined")
                continue
            _heat(one, part, sites, block, tops, len(blocks[0]))
            one.set_xticks(range(len(block)), [headings[name] for name in block], fontsize=7.5)
            one.set_yticks(range(len(sites)), [f"{area}[{step}]" for area, step in sites], fontsize=8)
        return png(figure)


def _blocks(names: list[str], most: int) -> list[list[str]]:
    """Split names into blocks of about equal length, at most `most`."""
    number = -(-len(names) // max(1, most))
    length = -(-len(names) // number)
    return [names[k : k + length] for k in range(0, len(names), length)]


def _sites(matrix: pd.DataFrame) -> list[tuple[str, int]]:
    """Return the (area, step) pairs, the areas named like known regions first, from V1 on, by step."""
    sites = list(dict.fromkeys(zip(matrix["area"], matrix["step"], strict=True)))
    areas = list(dict.fromkeys(area for area, _ in sites))
    areas.sort(key=in_order)
    return sorted(sites, key=lambda site: (areas.index(site[0]), site[1]))


def _headings(matrix: pd.DataFrame, benchmarks: list[str], scores: pd.DataFrame | None) -> list[str]:
    """Return a heading per benchmark: its region, or its name, wrapped to stay unique, if several have the region."""
    regions = [str(matrix.loc[matrix["benchmark"] == one, "region"].iloc[0]) for one in benchmarks]
    for lines in range(3, 13):
        headings = [
            region if region and regions.count(region) == 1 else wrapped(one, 15, lines)
            for one, region in zip(benchmarks, regions, strict=True)
        ]
        if len(set(headings)) == len(headings):
            break
    marks = ["\nsimulated" if is_simulated(one, scores, matrix) else "" for one in benchmarks]
    return [text + mark for text, mark in zip(headings, marks, strict=True)]


def _heat(
    axes: Axes,
    part: pd.DataFrame,
    sites: list[tuple[str, int]],
    names: list[str],
    tops: pd.Series,
    across: int,
) -> None:
    """Draw one table. across: number of columns of the widest table, so that cells have the same width in all."""
    for x, benchmark in enumerate(names):
        rows = part[part["benchmark"] == benchmark].drop_duplicates(["area", "step"], keep="last")
        cells = rows.set_index(["area", "step"])[["raw", "error"]].reindex(sites)
        best = int(np.nanargmax(cells["raw"])) if np.isfinite(cells["raw"]).any() else -1
        for y, (raw, error) in enumerate(cells.to_numpy(float)):
            _cell(axes, x, y, raw, error, tops[benchmark], y == best)
    axes.set(xlim=(-0.5, across - 0.5), ylim=(len(sites) - 0.5, -0.5))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for y in range(1, len(sites)):
        if sites[y][0] != sites[y - 1][0]:
            axes.axhline(y - 0.5, color="white", lw=3, zorder=2)


def _cell(axes: Axes, x: int, y: int, raw: float, error: float, top: float, best: bool) -> None:
    if not math.isfinite(raw):
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc="0.95", ec="white", lw=1))
        axes.text(x, y, "-", ha="center", va="center", color="0.4", fontsize=8)
        return
    depth = min(1.0, max(0.0, raw / top)) if top > 0 else 0.0
    # From white to dark blue, with white text on dark cells.
    colour = tuple(1 - depth * (1 - shade) for shade in (0.10, 0.35, 0.57))
    light = sum(w * s**2.2 for w, s in zip((0.2126, 0.7152, 0.0722), colour, strict=True))
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=colour, ec="white", lw=1, zorder=1))
    ink = "white" if light < 0.2 else "0.1"
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": ink, "fontsize": 7.5}
    axes.text(x, y, with_error(raw, error, 2), fontweight="bold" if best else None, **look)
    if best:
        box = Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, ec="#d1495b", lw=1.8, zorder=3)
        axes.add_patch(box)
