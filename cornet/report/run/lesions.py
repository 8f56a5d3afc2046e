"""Plot what lesions cost each of two tasks, and how segregated their units are (lesions.csv)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cornet.report import style as brain_style
from cornet.report.style import gridlines, message
from cornet.runs.score_tables import NUMBER, TEXT

__all__ = ["COLUMNS", "draw_lesions"]

COLUMNS: Mapping[str, str] = {
    "grouping": TEXT,
    "place": TEXT,
    "layer": TEXT,
    "step": NUMBER,
    "share": NUMBER,
    "ranked_by": TEXT,
    "group": TEXT,
    "accuracy_before": NUMBER,
    "drop": NUMBER,
    "drop_low": NUMBER,
    "drop_high": NUMBER,
    "segregation": NUMBER,
    "segregation_low": NUMBER,
    "segregation_high": NUMBER,
}

TASKS, RANDOM = "tasks", "random"
OWN, OTHER, CHANCE, CONTROL = "#d1495b", "#1b6ca8", "0.45", "0.6"
MOST = 40  # places side by side


def draw_lesions(table: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG: a panel for each task with its drops at each place, and one of the segregation.

    table: with COLUMNS; the largest share is shown. columns: maximum number of panels side by side. None: there is no
    row of two tasks.
    """
    shown = table[np.isfinite(table["share"]) & (table["share"] == table["share"].max())]
    tasks = shown[shown["grouping"] == TASKS]
    names = list(dict.fromkeys(tasks["group"]))
    if len(names) != 2:
        return None
    places = list(dict.fromkeys(tasks["place"]))[:MOST]
    areas = dict(tasks.drop_duplicates("place").set_index("place")["layer"])
    with brain_style.style():
        width = max(3.4, 1.2 + 0.24 * len(places))
        figure, axes = brain_style.grid(3, columns, (width, 3.2) if columns > 1 else (3.6, 3.2))
        figure.suptitle(
            f"{100 * float(tasks['share'].iloc[0]):g} % of the units silenced",
            x=0.01, ha="left", fontsize=10, fontweight="bold",
        )  # fmt: skip
        for place, name, other in zip(axes, names, reversed(names), strict=False):
            draw_drops(place, tasks[tasks["group"] == name], name, other, places)
        draw_segregation(axes[2], shown, places)
        for one in axes:
            one.set_xticks(range(len(places)), places, rotation=45, ha="right")
            separate_areas(one, [areas[place] for place in places], places)
            gridlines(one, 7.5, "y")
        drawn = [one.get_legend_handles_labels() for one in axes[1:]]
        handles, labels = (
            [entry for one in drawn for entry in one[0]],
            [text for one in drawn for text in one[1]],
        )
        figure.legend(
            handles,
            labels,
            loc="outside lower left",
            ncols=4 if columns > 1 else 2,
            frameon=False,
            fontsize=8,
        )
        return brain_style.png(figure)


def draw_drops(axes: Axes, rows: pd.DataFrame, name: str, other: str, places: Sequence[str]) -> None:
    """The accuracy that one task loses with its own units, those of the other task, and random units."""
    for by, colour, line in ((name, OWN, "-"), (other, OTHER, "-"), (RANDOM, CHANCE, ":")):
        part = rows[rows["ranked_by"] == by].drop_duplicates("place").set_index("place").reindex(places)
        label = {name: "its own units", other: "units of the other task"}.get(by, "random units")
        bars(axes, part, ("drop", "drop_low", "drop_high"), label=label, color=colour, ls=line)
    axes.axhline(0, color="0.6", lw=0.8)
    before = rows["accuracy_before"].dropna()
    title = f"{name}: accuracy lost" + (f" (of {before.iloc[0]:.3f})" if len(before) else "")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_ylabel("% of the accuracy", fontsize=8)


def draw_segregation(axes: Axes, shown: pd.DataFrame, places: Sequence[str]) -> None:
    """The segregation of the tasks, and of random halves of the classes."""
    if not np.isfinite(shown["segregation"]).any():
        message(axes, "undefined: all drops are too small")
        return
    columns = ("segregation", "segregation_low", "segregation_high")
    for grouping, rows in shown.groupby("grouping", sort=False):
        part = rows.drop_duplicates("place").set_index("place").reindex(places)
        tasks = grouping == TASKS
        first = str(grouping).endswith(" 0")
        style: dict[str, Any] = (
            {"color": OWN, "ls": "-"} if tasks else {"color": CONTROL, "ls": "--", "mfc": "none"}
        )
        style["label"] = "random halves of the classes" if first else None
        bars(axes, part, columns, aside=0.0 if tasks else 0.1, **style)
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set_ylim(-1.05, 1.05)
    axes.set_title("segregation of the two tasks", fontsize=9, loc="left")


def bars(axes: Axes, part: pd.DataFrame, columns: Sequence[str], aside: float = 0.0, **style: Any) -> None:
    """A line with intervals over the places of a table; places without a value are left out of the line."""
    values, low, high = part[list(columns)].to_numpy(float).T
    sides = np.nan_to_num(np.stack([values - low, high - values])).clip(0)
    x = np.arange(len(values)) + aside
    axes.errorbar(x, values, sides, marker="o", ms=3.5, lw=1.2, elinewidth=0.9, **style)


def separate_areas(axes: Axes, layers: Sequence[str], places: Sequence[str]) -> None:
    """Faint lines between areas of several steps."""
    if len(set(layers)) < len(places):
        for k in range(1, len(places)):
            if layers[k] != layers[k - 1]:
                axes.axvline(k - 0.5, color="0.85", lw=0.8)
