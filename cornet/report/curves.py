"""Plot learning curves of one or several runs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cornet.files import atomic_write
from cornet.report.style import gridlines, png, style
from cornet.report.thinning import thinned

__all__ = ["axis_label", "label", "plot_curves", "task_metric"]

ACCURACY = "val/top1"
"""The metric of runs of versions without a choice of tasks, whose axis has a label of its own."""

LABELS = {"top1": "top-1", "top5": "top-5", "loss": "validation loss", "r2": "R^2"}

MOST_INSIDE = 4  # lines whose legend stands inside the axes
MOST_BELOW = 13  # entries of a column of a legend beside the axes

COLOURS = ("#1b6ca8", "#d1495b", "#3c8d53", "#b07d2b", "#6b4c9a", "#4d4d4d")


def plot_curves(
    runs: Mapping[str, pd.DataFrame],
    path: Path,
    chance: float | None = None,
    title: str = "",
    metric: str = ACCURACY,
) -> None:
    """Plot the loss and the metric of the task by epoch and save a PNG; long curves are `thinned`.

    runs: {name: metrics}, from `cornet.runs.metrics.read_metrics`. path: the PNG file. chance: the metric of guessing,
    drawn as a line. Raises CornetError if the file cannot be written.
    """
    with style():
        figure = Figure(figsize=(8 if len(runs) == 1 else 9, 3.2), layout="constrained", dpi=150)
        left, right = figure.subplots(1, 2)
        for colour, (name, metrics) in zip(COLOURS * len(runs), runs.items(), strict=False):
            draw_losses(left, metrics, colour)
            draw_metric(right, metrics, metric, colour, name if len(runs) > 1 else "validation")
        for line, what in (("-", "training"), ("--", "validation")):
            left.plot([], [], color=COLOURS[0] if len(runs) == 1 else "0.3", lw=1.2, ls=line, label=what)
        left.set(xlabel="epoch", ylabel="loss (cross-entropy)" if metric == ACCURACY else "loss")
        right.set(xlabel="epoch", ylabel=axis_label(metric))
        if all(np.nanmin(line.get_ydata(), initial=0.0) >= 0 for line in right.lines):
            right.set_ylim(bottom=0)
        if chance is not None:
            right.axhline(chance, color="0.5", lw=0.8, ls=":", label="chance")
        for axes in (left, right):
            axes.set_xlim(left=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if axes.get_legend_handles_labels()[0]:
                outside = axes is right and (len(runs) > 1 or len(axes.lines) > MOST_INSIDE)
                beside: dict[str, Any] = (
                    {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if outside else {}
                )
                if outside and (across := -(-len(axes.lines) // MOST_BELOW)) > 1:
                    beside |= {"ncols": across, "fontsize": 7}
                    figure.set_figwidth(figure.get_figwidth() + 1.1 * across)
                axes.legend(frameon=False, **beside)
            gridlines(axes, 9, "y")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        atomic_write(path, png(figure))


def draw_losses(axes: Axes, metrics: pd.DataFrame, colour: str) -> None:
    """Plot training loss per logged step (faint), its running mean, and validation loss per epoch (dashed)."""
    steps_per_epoch = epoch_length(metrics)
    train = metrics.dropna(subset=["train/loss"]) if "train/loss" in metrics else metrics.iloc[:0]
    if len(train):
        smooth = train["train/loss"].rolling(max(1, len(train) // 20), min_periods=1).mean()
        train = thinned(train[["step", "train/loss"]].assign(smooth=smooth), "train/loss", "smooth")
        x = (train["step"] + 1) / steps_per_epoch
        axes.plot(x, train["train/loss"], color=colour, alpha=0.2, lw=0.6)
        axes.plot(x, train["smooth"], color=colour, lw=1.2)
    if "val/loss" in metrics:
        val = thinned(metrics[["epoch", "val/loss"]].dropna(subset=["val/loss"]), "val/loss")
        axes.plot(val["epoch"] + 1, val["val/loss"], color=colour, lw=1.2, ls="--", marker="o", ms=2.5)


def draw_metric(axes: Axes, metrics: pd.DataFrame, metric: str, colour: str, label: str) -> None:
    """Plot the metric of the task per epoch: of every validation view, or its parts."""
    columns = sorted(name for name in metrics if name.startswith(metric))
    lines = [(line, colour) for line in ("-", "--", ":")]
    parts = len(columns) > len(lines)  # of a metric, such as R^2 of each target
    if parts:
        lines = [("-", "0.2"), *((("--", ":", "-.")[k // 10 % 3], f"C{k}") for k in range(len(columns)))]
    for (line, colour), column in zip(lines, columns, strict=False):
        val = thinned(metrics[["epoch", column]].dropna(subset=[column]), column)
        view = column.removeprefix(metric).lstrip("_").replace("_", " ")
        text = (view or "mean") if parts else f"{label}, {view}" if view else label
        axes.plot(
            val["epoch"] + 1, val[column], color=colour, ls=line, lw=1.4, marker="o", ms=2.5, label=text
        )


def epoch_length(metrics: pd.DataFrame) -> float:
    """Return the number of optimiser steps per epoch."""
    validations = metrics.dropna(subset=["val/loss"]) if "val/loss" in metrics else metrics.iloc[:0]
    if not len(validations):
        return float(max(1, metrics["step"].max() + 1))
    return float(np.median((validations["step"] + 1) / (validations["epoch"] + 1)))


def axis_label(metric: str) -> str:
    """Return the label of an axis of the task's metric."""
    return "top-1 (fraction of images)" if metric == ACCURACY else label(metric) or "the task's metric"


def task_metric(summary: Mapping[str, Any]) -> str:
    """Return the metric of a run's task from its finished.json; top-1 for runs of versions without tasks."""
    name = summary.get("task_metric", ACCURACY)
    return name if isinstance(name, str) and re.fullmatch(r"val/\w+", name) else ACCURACY


def label(name: str) -> str:
    """Return a metric's label.

    val/top1_squash -> top-1, squash; val/category_top1 -> category top-1; brain/IT -> IT; brain/mean -> mean brain
    score; val/segregation/fc6 -> segregation, fc6.
    """
    if name.count("/") > 1:  # of a callback
        return name.removeprefix("val/").replace("/", ", ")
    if name.startswith("brain/"):
        return {"brain/mean": "mean brain score"}.get(name, name.removeprefix("brain/"))
    metric, _, rest = name.removeprefix("val/").partition("_")
    if metric not in LABELS and rest.partition("_")[0] in LABELS:  # of one of several tasks
        return f"{metric} {label(rest)}"
    shown = LABELS.get(metric, metric)
    return f"{shown}, {rest.replace('_', ' ')}" if rest else shown
