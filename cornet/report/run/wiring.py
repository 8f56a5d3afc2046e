"""Draw the wiring of an olfactory circuit: measures, connection matrices, and numbers of claws."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from cornet.report.style import epoch_axis, epoch_text, grid, gridlines, headline, message, png, style
from cornet.runs.score_tables import NUMBER, TEXT

__all__ = ["CLAWS", "CONNECTIONS", "MEASURES", "draw_claws", "draw_connections", "draw_measures"]

MEASURES = dict.fromkeys(
    ("epoch", "receptors", "glo", "glo_shuffled", "types", "types_chance", "claws", "claws_sd", "no_claws"),
    NUMBER,
)
CONNECTIONS = {"epoch": NUMBER, "layer": TEXT, "to": NUMBER, "from": NUMBER, "weight": NUMBER}
CLAWS = {"epoch": NUMBER, "kind": TEXT, "low": NUMBER, "high": NUMBER, "count": NUMBER, "threshold": NUMBER}

OURS, FLY, CONTROL = "#1b6ca8", "#b07d2b", "0.55"
FLY_TYPES, FLY_CLAWS = 50, 7
LINE: dict[str, Any] = {"color": OURS, "lw": 1.6, "marker": "o", "ms": 3.5}
DASHED: dict[str, Any] = {"color": FLY, "lw": 1.1, "ls": "--"}
DOTTED: dict[str, Any] = {"color": CONTROL, "lw": 1.1, "ls": ":"}
LAYERS = {"glomeruli": ("receptor type", "projection neuron"), "claws": ("projection neuron", "Kenyon cell")}


def draw_measures(table: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG of GloScore, covered types and claws by epoch. None: no evaluation is known."""
    rows = table.replace([np.inf, -np.inf], np.nan).dropna(subset=["epoch", "glo", "types", "claws"])
    rows = rows.sort_values("epoch")
    if rows.empty:
        return None
    last = rows.iloc[-1]
    with style():
        figure, (glo, types, claws) = grid(3, columns, (3.1, 2.7))
        headline(figure, "Wiring by epoch", [False])
        glo.plot(rows["epoch"], rows["glo"], **LINE)
        glo.plot(rows["epoch"], rows["glo_shuffled"], **DOTTED)
        glo.axhline(1, **DASHED)
        glo.set(title=f"GloScore {last['glo']:.2f}")
        types.plot(rows["epoch"], rows["types"], **LINE)
        types.plot(rows["epoch"], rows["types_chance"], **DOTTED)
        known = np.isfinite(last["receptors"])
        if known:
            types.axhline(last["receptors"], **DASHED)
        types.set(
            title=f"types covered {last['types']:.0f}" + (f" of {last['receptors']:.0f}" if known else "")
        )
        claws.plot(rows["epoch"], rows["claws"], **LINE)
        low, high = rows["claws"] - rows["claws_sd"], rows["claws"] + rows["claws_sd"]
        claws.vlines(rows["epoch"], low, high, color=OURS, lw=0.8)
        claws.axhline(FLY_CLAWS, **DASHED)
        none = f", {last['no_claws']:.0%} without" if last["no_claws"] > 0 else ""
        spread = f" +- {last['claws_sd']:.1f}" if np.isfinite(last["claws_sd"]) else ""
        claws.set(title=f"claws {last['claws']:.1f}{spread}{none}")
        for axes in (glo, types, claws):
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
            epoch_axis(axes, float(rows["epoch"].max()), 0.05, 0.05)
            gridlines(axes)
            axes.set_xlabel("epoch", fontsize=8)
            axes.title.set_fontsize(9)
        return png(figure)


def ends(table: pd.DataFrame) -> list[float]:
    """The first and the last epoch of a table, or the only one."""
    epochs = sorted(table["epoch"].dropna().unique())
    return list(dict.fromkeys(epochs[:1] + epochs[-1:]))


def epoch_name(epoch: float) -> str:
    return "untrained" if epoch == 0 else f"after epoch {epoch_text(epoch)}"


def draw_connections(table: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG of both matrices at the first and the last evaluation. None: no weight is known."""
    known = table[np.isfinite(table[["epoch", "to", "from", "weight"]]).all(axis=1)]
    panels = [(layer, epoch) for layer in LAYERS for epoch in ends(known)]
    if known.empty:
        return None
    with style():
        figure, axes = grid(len(panels), min(columns, 2), (4.3, 3.9))
        headline(figure, "Connections, sorted by their largest input", [False])
        for one, (layer, epoch) in zip(axes, panels, strict=True):
            part = known[(known["layer"] == layer) & (known["epoch"] == epoch)]
            draw_matrix(one, part, layer, epoch_name(epoch))
        return png(figure)


def draw_matrix(axes: Axes, part: pd.DataFrame, layer: str, when: str) -> None:
    """One matrix, rows sorted by the column of their largest weight."""
    below, above = LAYERS[layer]
    axes.set_title(f"{below}s to {above}s, {when}", fontsize=9, loc="left")
    if part.empty:
        message(axes, "no connections are known")
        return
    matrix = part.pivot_table(index="to", columns="from", values="weight", aggfunc="last").to_numpy(float)
    matrix = np.nan_to_num(matrix)
    order = np.lexsort((-matrix.max(axis=1), matrix.argmax(axis=1)))
    top = max(float(np.percentile(matrix, 99)), 1e-12)
    image = axes.imshow(matrix[order], cmap="Blues", vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    axes.set_xlabel(below, fontsize=8)
    axes.set_ylabel(f"{above}, sorted", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02).ax.tick_params(labelsize=7)


def draw_claws(table: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG of the weights with their threshold, and of the claws, first and last. None: nothing is known."""
    known = table[np.isfinite(table[["epoch", "low", "high", "count"]]).all(axis=1)]
    known = known[(known["high"] > known["low"]) & ((known["kind"] != "weights") | (known["low"] > 0))]
    if known.empty:
        return None
    with style():
        figure, (weights, claws) = grid(2, min(columns, 2), (4.3, 2.9))
        headline(figure, "Weights onto Kenyon cells, and claws", [False])
        epochs = ends(known)
        for epoch in epochs:
            first = epoch == epochs[0] and len(epochs) > 1
            look: dict[str, Any] = {"color": "0.75"} if first else {"color": OURS, "alpha": 0.75}
            look["label"] = epoch_name(epoch)
            part = known[known["epoch"] == epoch]
            draw_histogram(weights, part[part["kind"] == "weights"], look)
            draw_histogram(claws, part[part["kind"] == "claws"], look)
        threshold = float(known["threshold"].iloc[-1])
        if (known[known["kind"] == "weights"]["low"] > 0).any():
            weights.set_xscale("log")
        weights.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        weights.xaxis.set_minor_formatter(NullFormatter())
        weights.xaxis.set_major_locator(LogLocator(numticks=6))
        if threshold > 0:
            weights.axvline(threshold, **DASHED)
        weights.set_title(f"weights; threshold {threshold:.3g}", fontsize=9, loc="left")
        weights.set_xlabel("weight", fontsize=8)
        claws.axvline(FLY_CLAWS, **{**DASHED, "ls": ":"})
        claws.set_title("Kenyon cells by number of claws", fontsize=9, loc="left")
        claws.set_xlabel("claws", fontsize=8)
        claws.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        for axes in (weights, claws):
            gridlines(axes, along="y")
        claws.legend(frameon=False, fontsize=8)
        return png(figure)


def draw_histogram(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Bars of a histogram, heights as shares."""
    low, high, count = (rows[name].to_numpy(float) for name in ("low", "high", "count"))
    share: NDArray[np.float64] = count / max(count.sum(), 1)
    axes.bar(low, share, high - low, align="edge", **look)
