"""Plot how far neuroids are driven: a row for each condition, a point for each neuroid."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cornet.report.drawings import drawing
from cornet.report.style import gridlines, style, wrapped

__all__ = ["Row", "draw_rows"]

WIDTH = 6.2
IMAGES, OTHER, LIMIT = "#1b6ca8", "#8f979e", "#3c8d53"
NAMED = 26
"""Maximum length of a row's name."""


class Row(NamedTuple):
    """name: of a condition. values: (neuroid,). main: whether it is the result and not a control."""

    name: str
    values: NDArray[np.float64]
    main: bool = False


def draw_rows(
    rows: Sequence[Row], neuroids: NDArray[np.str_], axis: str, label: str, key: str, limit: float | None
) -> str:
    """Return an <svg> with all neuroids of each row and their median. limit: a line, such as 1 or 0; None for none."""
    with style():
        figure = Figure(figsize=(WIDTH, 0.9 + 0.5 * len(rows)), layout="constrained")
        axes = figure.subplots()
        names = {}
        for place, row in enumerate(rows):
            shown = np.flatnonzero(np.isfinite(row.values))
            # Neighbouring values are spread over the height of a row, the same on every drawing.
            order = np.argsort(np.argsort(row.values[shown]))
            heights = place + 0.24 * ((order % 5) - 2) / 2
            colour = IMAGES if row.main else OTHER
            look: dict[str, Any] = {"s": 17, "color": colour, "alpha": 0.6, "lw": 0, "zorder": 3}
            axes.scatter(row.values[shown], heights, gid=f"{key}-{place}", **look)
            names[f"{key}-{place}"] = [f"{neuroids[k]}: {row.values[k]:.3g}" for k in shown]
            if len(shown):
                axes.vlines(
                    np.median(row.values[shown]), place - 0.38, place + 0.38, color="0.15", lw=1.8, zorder=4
                )
        if limit is not None:
            axes.axvline(limit, color=LIMIT, lw=1.2, zorder=1)
        axes.set_yticks(range(len(rows)), [wrapped(row.name, NAMED, 2) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(axis, fontsize=10)
        gridlines(axes, 9, "x")
        return drawing(figure, key, names, label)
