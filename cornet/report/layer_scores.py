"""Plot the scores of all layers of a network by region: which layers go with which areas?"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cornet.brain.subjects.layer_choice import LayerChoice
from cornet.files import atomic_write
from cornet.report.style import grid, gridlines, headline, message, panel_title, png, region_colours, style

__all__ = ["draw_layer_scores"]

NAMED = 26
"""Maximum number of layers that are named on the axis; others are numbered."""


def draw_layer_scores(choices: Sequence[LayerChoice], path: Path, model: str) -> Path:
    """Write a picture with a panel for each bundle: raw score by layer, a line for each region; returns `path`.

    Bands: standard error over splits. Filled points: the chosen layers. path: a PNG, or an SVG if it ends in .svg.
    Raises CornetError if the file cannot be written.
    """
    layers = max(len(sites_of(choice.table)) for choice in choices)
    width = min(11.0, 2.6 + 0.26 * layers)
    longest = max(len(name) for choice in choices for name in sites_of(choice.table))
    height = 2.9 + (0.06 * min(longest, 30) if layers <= NAMED else 0)
    colours = region_colours(dict.fromkeys(region for choice in choices for region in choice.regions))
    with style():
        figure, axes = grid(len(choices), 3 if width < 6 else 1, (width, height))
        headline(figure, f"Layers of {model} and areas", [choice.simulated for choice in choices])
        for one, choice in zip(axes, choices, strict=True):
            draw_panel(one, choice, colours)
        if path.suffix.lower() == ".svg":
            text = io.StringIO()
            figure.savefig(text, format="svg")
            atomic_write(path, text.getvalue())
        else:
            atomic_write(path, png(figure))
    return path


def sites_of(table: pd.DataFrame) -> list[str]:
    """Names of all candidates in their order; the step is named if a layer has several."""
    steps = table.groupby("layer")["step"].nunique()
    return list(dict.fromkeys(site_name(row.layer, row.step, steps[row.layer]) for row in table.itertuples()))


def site_name(layer: str, step: int, steps: int) -> str:
    return f"{layer}[{step}]" if steps > 1 else layer


def draw_panel(axes: Axes, choice: LayerChoice, colours: dict[str, str]) -> None:
    """Draw one bundle."""
    marked = choice.simulated and "simulated" not in choice.bundle
    panel_title(axes, choice.bundle, ["simulated" * marked], "0.2")
    table, names = choice.table, sites_of(choice.table)
    if not np.isfinite(table["score"]).any():
        message(axes, "no layer has a score")
        return
    steps = table.groupby("layer")["step"].nunique()
    for region in choice.regions:
        rows = table[table["region"] == region]
        places = np.array(
            [names.index(site_name(row.layer, row.step, steps[row.layer])) for row in rows.itertuples()]
        )
        score, error = rows["score"].to_numpy(float), rows["error"].fillna(0).to_numpy(float)
        colour = colours[region]
        axes.fill_between(places, score - error, score + error, color=colour, alpha=0.15, lw=0)
        axes.plot(places, score, color=colour, lw=1.5, marker="o", ms=3.5, mfc="white", label=region)
        best = rows["chosen"].to_numpy(bool)
        axes.plot(places[best], score[best], color=colour, ls="", marker="o", ms=7)
    axes.set_xlim(-0.5, len(names) - 0.5)
    turned = sum(map(len, names)) > 30
    if len(names) <= NAMED:
        axes.set_xticks(range(len(names)), names)
        axes.tick_params("x", rotation=45 if turned else 0)
        for label in axes.get_xticklabels():
            label.set(ha="right" if turned else "center", rotation_mode="anchor")
    else:
        axes.set_xlabel("layer and step, in order", fontsize=9)
    axes.set_ylabel("raw score", fontsize=9)
    gridlines(axes, 8, "y")
    axes.legend(frameon=False, fontsize=8, ncols=2 if len(choice.regions) > 3 else 1)
