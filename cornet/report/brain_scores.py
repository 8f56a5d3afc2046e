"""Brain scores against the epoch, and against accuracy: one small panel a benchmark; long curves are `thinned`."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cornet.report.brain_data import series
from cornet.report.brain_style import epoch_text, grid, headline, message, png, region_colour, style, wrapped
from cornet.report.thinning import thinned

__all__ = ["draw_accuracy", "draw_scores", "top_of_scale"]

NEAR = 1 / 3
"""Share of the ceiling from which on the axis reaches up to it; below, the ceiling is only named."""


def draw_scores(scores: pd.DataFrame, columns: int = 3) -> bytes:
    """PNG: each benchmark's value at each evaluation, a band of one standard error, ceiling, untrained start, zero.

    scores: as `cornet.report.brain_data.read_scores` gives them. columns: panels side by side.
    """
    panels = series(scores)
    with style():
        figure, axes = grid(len(panels), columns)
        headline(figure, "Brain scores while training", [bool(rows["simulated"].any()) for _, rows in panels])
        drawn = False
        for one, (name, rows) in zip(axes, panels, strict=True):
            _title(one, name, rows)
            if not np.isfinite(rows["value"]).any():
                message(one, _reason(rows))
                continue
            _curve(one, rows)
            _epoch_axis(one, scores["epoch"])
            told = _incidents(rows)
            one.set_xlabel("epoch" + (f"\n{told}" if told else ""), fontsize=8)
            drawn = True
        if drawn:
            handles = _legend(scores)
            across = min(len(handles), 5) if figure.get_figwidth() > 7 else 1
            figure.legend(handles=handles, loc="outside lower left", ncols=across, frameon=False, fontsize=8)
        return png(figure)


def draw_accuracy(scores: pd.DataFrame, columns: int = 3) -> bytes | None:
    """PNG: each benchmark's value against top-1, joined in the order of epochs. None: no accuracy was measured."""
    if not np.isfinite(scores["top1"]).any():
        return None
    panels = series(scores)
    most = float(np.nanmax(scores["top1"]))
    last = max(float(scores["epoch"].max()), 1e-9)
    with style():
        figure, axes = grid(len(panels), columns)
        headline(figure, "Brain scores against accuracy", [bool(r["simulated"].any()) for _, r in panels])
        points = None
        for one, (name, rows) in zip(axes, panels, strict=True):
            _title(one, name, rows)
            if not np.isfinite(rows["value"]).any():
                message(one, _reason(rows))
                continue
            both = rows[np.isfinite(rows["value"]) & np.isfinite(rows["top1"])]
            if both.empty:
                message(one, "no accuracy was measured when this was scored")
                continue
            kinds = list(both.groupby("weights", sort=False))
            for number, ((_, part), line) in enumerate(zip(kinds, ("-", "--") * 9, strict=False)):
                part = thinned(part, "value", "top1")
                error = part["value_error"].fillna(0.0)
                one.errorbar(
                    part["top1"], part["value"], yerr=error, fmt="none", ecolor="0.8", lw=1, zorder=1
                )
                one.plot(part["top1"], part["value"], color="0.6", lw=1, ls=line, zorder=2)
                points = one.scatter(
                    part["top1"],
                    part["value"],
                    c=part["epoch"],
                    cmap="viridis_r",
                    vmin=0,
                    vmax=last,
                    s=20,
                    lw=0,
                    zorder=3,
                )
                if number == 0:
                    _name_ends(one, part, most)
            _untrained(one, rows)
            _value_axis(one, rows)
            one.set_xlim(-0.04 * most, 1.1 * most or 1)
            one.set_xlabel("top-1 (share of images)", fontsize=8)
        if points is not None and last > 1e-9:
            ticks = MaxNLocator(6, integer=last >= 2)
            where = "right" if figure.get_figwidth() > 5 else "bottom"
            bar = figure.colorbar(
                points, ax=axes, location=where, shrink=0.6, pad=0.01, aspect=30, ticks=ticks
            )
            bar.set_label("epoch", fontsize=8)
        return png(figure)


def top_of_scale(scale: str, ceiling: float) -> float:
    """The value of a perfect model: 1 where the ceiling has been divided by, the ceiling itself on raw values."""
    if not math.isfinite(ceiling):
        return math.nan
    return ceiling if scale in ("raw", "") else 1.0


def _curve(axes: Axes, rows: pd.DataFrame) -> None:
    colour = region_colour(str(rows["region"].iloc[0]))
    kinds = list(rows.groupby("weights", sort=False))
    for (_, part), line in zip(kinds, ("-", "--") * 9, strict=False):
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
    value = _untrained(axes, rows)
    if math.isfinite(value):
        axes.plot([0], [value], "o", ms=5, mfc="white", mec=colour, zorder=4)
    _value_axis(axes, rows)


def _untrained(axes: Axes, rows: pd.DataFrame) -> float:
    """A dotted line at the score before training; NaN where there is none."""
    start = rows[(rows["epoch"] == 0) & np.isfinite(rows["value"])]
    value = float(start["value"].iloc[0]) if len(start) else math.nan
    if math.isfinite(value):
        axes.axhline(value, color=region_colour(str(rows["region"].iloc[0])), lw=0.9, ls=":", zorder=1)
    return value


def _legend(scores: pd.DataFrame) -> list[Line2D]:
    """In gray, for a panel's colour tells its region."""
    kinds = list(dict.fromkeys(scores["weights"]))
    names = [f"score, {kind} weights" for kind in kinds] if len(kinds) > 1 else ["score, with standard error"]
    gray: dict[str, Any] = {"color": "0.35"}
    found = [
        Line2D([], [], lw=1.3, ls=line, marker="o", ms=3, label=name, **gray)
        for name, line in zip(names, ("-", "--") * 9, strict=False)
    ]
    if (scores["epoch"] == 0).any():
        start: dict[str, Any] = {"mfc": "white", "marker": "o", "ms": 5, "ls": ":", "lw": 0.9}
        found.append(Line2D([], [], label="untrained start", **start, **gray))
    found.append(Line2D([], [], ls=(0, (6, 3)), lw=0.9, label="ceiling: a perfect model", **gray))
    return [*found, Line2D([], [], lw=0.7, label="zero: no relation", color="0.45")]


def _value_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Zero is always in sight; the ceiling where the scores come near it, else it is named at the top."""
    there = rows[np.isfinite(rows["value"])]
    error = there["value_error"].fillna(0.0)
    low, high = float((there["value"] - error).min()), float((there["value"] + error).max())
    finite = there["ceiling"][np.isfinite(there["ceiling"])]
    top = top_of_scale(str(there["scale"].iloc[-1]), float(finite.iloc[-1]) if len(finite) else math.nan)
    axes.axhline(0, color="0.45", lw=0.7, zorder=0)
    highest = max(high, 0.0)
    if math.isfinite(top) and highest >= NEAR * top > 0:
        axes.axhline(top, color="0.3", lw=0.9, ls=(0, (6, 3)), zorder=0)
        highest = max(highest, top)
    elif math.isfinite(top):
        words = f"ceiling {top:.2f}, above"
        axes.text(0.99, 0.98, words, transform=axes.transAxes, ha="right", va="top", fontsize=7, color="0.35")
        highest += 0.12 * (highest - min(low, 0.0))  # room for the words
    span = (highest - min(low, 0.0)) or 0.1
    axes.set_ylim(min(low, 0.0) - 0.05 * span, highest + 0.08 * span)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.set_ylabel(f"score ({there['scale'].iloc[-1] or 'raw'})", fontsize=8)


def _epoch_axis(axes: Axes, epochs: pd.Series) -> None:
    last = float(epochs.max())
    if last <= 0:
        axes.set(xlim=(-0.5, 0.5), xticks=[0])
        return
    axes.set_xlim(-0.05 * last, 1.05 * last)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=last >= 2))


def _title(axes: Axes, name: str, rows: pd.DataFrame) -> None:
    facts = [str(rows["region"].iloc[0])] if rows["region"].iloc[0] else []
    facts += ["simulated"] if rows["simulated"].any() else []
    shown = wrapped(name) + (f"\n({', '.join(facts)})" if facts else "")
    axes.set_title(shown, fontsize=8.5, loc="left", color=region_colour(str(rows["region"].iloc[0])))


def _name_ends(axes: Axes, part: pd.DataFrame, most: float) -> None:
    """The first and the last epoch, beside their points."""
    ends = [part.iloc[0], part.iloc[-1]] if len(part) > 1 else [part.iloc[0]]
    for k, end in enumerate(ends):
        left = end["top1"] > 0.8 * most
        axes.annotate(
            f"epoch {epoch_text(end['epoch'])}",
            (end["top1"], end["value"]),
            xytext=(-5 if left else 5, -9 if k == 0 else 6),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=7,
            color="0.25",
        )


def _reason(rows: pd.DataFrame) -> str:
    told = [text for text in [*rows["failure"], *rows["notes"]] if text]
    return f"no score: {told[-1]}" if told else "no score: undefined at every evaluation"


def _incidents(rows: pd.DataFrame) -> str:
    """How many evaluations gave no score, and the latest reason."""
    without = rows[~np.isfinite(rows["value"])]
    if without.empty:
        return ""
    told = [text for text in [*without["notes"], *without["failure"]] if text]
    words = f"{len(without)} of {len(rows)} without a score" + (f": {told[-1]}" if told else "")
    return wrapped(words, 40, 3)
