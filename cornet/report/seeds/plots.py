"""Plot several seeds by epoch: each seed thin, their mean thick, and the interval of the mean as a band."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cornet.report import style as brain_style
from cornet.report.run.score_panels import near_ceiling, top_of_scale
from cornet.report.seeds.measures import Measure
from cornet.report.seeds.read import Seeds
from cornet.report.style import PANEL, epoch_axis, gridlines, message, panel_title, region_colours
from cornet.report.thinning import thinned

__all__ = ["draw_seeds"]

PLAIN = {"accuracy": "#1b6ca8", "loss": "#4d4d4d"}
REACH = 1.5
"""Maximum distance of the band from the values of all seeds and epochs, as a multiple of their range."""


def draw_seeds(seeds: Seeds, brain: bool, columns: int = 3) -> bytes | None:
    """Return a PNG with a panel for each measure by epoch. None: there is nothing to draw.

    brain: draw brain scores and their mean; otherwise top-1 of every view, and the loss. columns: maximum number of
    panels side by side.
    """
    panels = [one for one in seeds.measures if (one.kind == "brain") == brain and _shown(one)]
    if not panels:
        return None
    with brain_style.style():
        figure, axes = brain_style.grid(len(panels), columns)
        what = "Brain scores during training" if brain else "Accuracy and loss"
        brain_style.headline(figure, what, [one.simulated for one in panels] if brain else [])
        colours = region_colours(one.region for one in seeds.measures)
        for one, measure in zip(axes, panels, strict=True):
            colour = PLAIN.get(measure.kind) or colours[measure.region]
            _panel(one, measure, seeds.runs[0].summary, colour)
        averaged = any(not one.incomparable for one in panels)
        handles = _legend(len(seeds.runs) > 1 and averaged, brain)
        across = {1: 1, 2: 2}.get(round(figure.get_figwidth() / PANEL[0]), len(handles))
        figure.legend(handles=handles, loc="outside lower left", ncols=across, frameon=False, fontsize=8)
        return brain_style.png(figure)


def _shown(one: Measure) -> bool:
    return one.of_task or one.name in ("val/loss", "brain/mean") or bool(one.region)


def _panel(axes: Axes, one: Measure, summary: Mapping[str, Any], colour: str) -> None:
    facts = [one.region, "simulated" * one.simulated, "not averaged" * bool(one.incomparable)]
    panel_title(axes, one.label, facts, colour)
    if not np.isfinite(one.curves.to_numpy(float)).any():
        message(axes, one.notes[0] if one.notes else "undefined at every evaluation")
        return
    few = len(one.curves) <= 30
    for seed in one.curves:
        curve = thinned(one.curves[[seed]].dropna(), seed)[seed]
        axes.plot(curve.index, curve, color=colour, lw=0.7, alpha=0.55, marker="o" if few else "", ms=1.8)
    mean = one.by_epoch
    defined = thinned(mean[np.isfinite(mean["mean"])], "mean")
    wide = False
    if len(defined):
        axes.plot(defined.index, defined["mean"], color=colour, lw=1.8, marker="o" if few else "", ms=3)
        wide = _band(axes, mean, colour)
    _axes(axes, one, summary)
    text = "epoch\nthe interval extends beyond this panel" if wide else "epoch"
    axes.set_xlabel(text, fontsize=8)


def _band(axes: Axes, mean: Any, colour: str) -> bool:
    """Draw the intervals and return whether one is cut off."""
    known = mean[np.isfinite(mean["low"])]
    if known.empty:
        return False
    values = np.concatenate([line.get_ydata() for line in axes.get_lines()]).astype(float)
    low, high = float(values.min()), float(values.max())
    reach = REACH * ((high - low) or 0.1)
    bottom, top = known["low"].clip(lower=low - reach), known["high"].clip(upper=high + reach)
    if len(known) == 1:
        x, y = known.index[0], float(known["mean"].iloc[0])
        error = [[y - float(bottom.iloc[0])], [float(top.iloc[0]) - y]]
        axes.errorbar([x], [y], yerr=error, color=colour, capsize=4, lw=1.2)
    else:
        epochs = mean.index  # all of them, so that the band has gaps
        edges = bottom.reindex(epochs).to_numpy(float), top.reindex(epochs).to_numpy(float)
        axes.fill_between(epochs, *edges, color=colour, alpha=0.18, lw=0)
    return bool((known["low"] < low - reach).any() or (known["high"] > high + reach).any())


def _axes(axes: Axes, one: Measure, summary: Mapping[str, Any]) -> None:
    """Set the axes: include zero, the ceiling if scores come near it, and chance for accuracy."""
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if one.kind == "brain":
        low, high = min(low, 0.0), max(high, 0.0)
        axes.axhline(0, color="0.45", lw=0.7, zorder=0)
        top = top_of_scale(one.scale, one.ceiling)
        if near_ceiling(axes, top, float(np.nanmax(one.curves.to_numpy(float)))):
            high = max(high, top)
        axes.set_ylabel(f"score ({one.scale})" if one.scale else "score", fontsize=8)
    elif one.kind == "accuracy":
        low = min(low, 0.0)
        chance = summary.get("chance")
        if isinstance(chance, float) and one.of_task:
            axes.axhline(chance, color="0.5", lw=0.8, ls=":", zorder=0)
        axes.set_ylabel("fraction of images" if "top" in one.name else one.label, fontsize=8)
    else:
        axes.set_ylabel(
            "cross-entropy" if summary.get("task", "Classification") == "Classification" else "loss",
            fontsize=8,
        )
    span = (high - low) or 0.1
    axes.set_ylim(low - 0.04 * span, high + 0.06 * span)
    epoch_axis(axes, float(one.curves.index.max()), 0.03, 0.04)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    gridlines(axes, along="y")


def _legend(averaged: bool, brain: bool) -> Sequence[Line2D | Patch]:
    gray: dict[str, Any] = {"color": "0.35"}
    seed = Line2D([], [], lw=0.7, alpha=0.7, marker="o", ms=1.8, label="a seed", **gray)
    handles: list[Line2D | Patch] = [seed]
    if averaged:
        handles.append(Line2D([], [], lw=1.8, marker="o", ms=3, label="mean over seeds", **gray))
        handles.append(Patch(alpha=0.18, lw=0, label="95 % interval of the mean", **gray))
    if brain:
        handles.append(Line2D([], [], ls=(0, (6, 3)), lw=0.9, label="ceiling: a perfect model", **gray))
    else:
        handles.append(Line2D([], [], ls=":", lw=0.8, label="chance", color="0.5"))
    return handles
