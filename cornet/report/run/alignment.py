"""Plot the alignment of saliency with maps of what people find important, by epoch."""

from typing import Any

import pandas as pd

from cornet.report import style as brain_style
from cornet.report.style import epoch_axis, gridlines

__all__ = ["LINES", "draw_alignment"]

LINES: dict[str, dict[str, Any]] = {
    "network": {"color": "#1b6ca8", "lw": 1.8, "marker": "o", "ms": 4},
    "network, image-specific": {"color": "#1b6ca8", "lw": 1.3, "ls": "--"},
    "network, other images": {"color": "#d1495b", "lw": 1.3, "ls": ":"},
    "centred blob": {"color": "0.35", "lw": 1.1},
    "mean map": {"color": "0.6", "lw": 1.1, "ls": "-."},
}
"""Rows of alignment.csv that are drawn, and their lines."""


def draw_alignment(table: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG of the network and its controls. table: from `read_alignment`. None: nothing is known."""
    known = table[table["maps"].isin(LINES) & table["value"].notna()]
    if known.empty:
        return None
    with brain_style.style():
        figure, (axes,) = brain_style.grid(1, 1, (5.2, 3.2) if columns > 1 else (3.4, 3.4))
        brain_style.headline(figure, "Alignment with maps of what is important", [False])
        for name, line in LINES.items():
            rows = known[known["maps"] == name].sort_values("epoch")
            if rows.empty:
                continue
            label = f"{name} {rows['value'].iloc[-1]:.2f}"
            axes.plot(rows["epoch"], rows["value"], label=label, **line)
            if name == "network":
                low, high = rows["value"] - rows["error"], rows["value"] + rows["error"]
                axes.fill_between(rows["epoch"], low, high, color=line["color"], alpha=0.15, lw=0)
        epoch_axis(axes, float(known["epoch"].max()), 0.05, 0.05)
        gridlines(axes)
        divided = bool((known["ceiling"] != 1).any())
        axes.set_ylabel("Spearman" + (" / human ceiling" if divided else ""), fontsize=8)
        axes.set_xlabel("epoch", fontsize=8)
        figure.legend(loc="outside lower left", ncols=2 if columns > 1 else 1, frameon=False, fontsize=8)
        return brain_style.png(figure)
