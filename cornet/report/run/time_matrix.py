"""Draw the scores of each area and step against each time bin of the responses."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cornet.brain.regions import in_order
from cornet.report.style import epoch_text, grid, gridlines, headline, message, png, style

__all__ = ["draw_time_matrix"]


def draw_time_matrix(table: pd.DataFrame, columns: int = 2) -> bytes:
    """Return a PNG with bins across and areas and steps down, at the first and last evaluation.

    table: from `cornet.report.run.data.read_time_matrix`. A dot marks the best site of each bin; the curve below has
    the best score of each bin, and the square root of the ceiling, which a perfect model reaches.
    columns: maximum number of panels side by side.
    """
    epochs = sorted(table["epoch"].dropna().unique())
    shown = list(dict.fromkeys(epochs[:1] + epochs[-1:]))
    sites = sites_of(table)
    top = float(np.nanmax([table["raw"].max(), 1e-9]))
    size = 4.4, 2.0 + 0.3 * len(sites)
    with style():
        figure, axes = grid(len(shown), columns, size)
        names = ", ".join(dict.fromkeys(table["benchmark"]))
        headline(figure, f"Raw score by step and time ({names})", [bool(table["simulated"].any())])
        for one, epoch in zip(axes, shown, strict=True):
            part = table[table["epoch"] == epoch]
            one.set_title(
                "untrained" if epoch == 0 else f"after epoch {epoch_text(epoch)}", fontsize=9, loc="left"
            )
            if not np.isfinite(part["raw"]).any():
                message(one, "no score: every entry is undefined")
                continue
            draw_panel(figure, one, part, sites, top)
        return png(figure)


def sites_of(table: pd.DataFrame) -> list[tuple[str, int]]:
    """(area, step), areas in the order of known regions, then by step."""
    sites = list(dict.fromkeys(zip(table["area"], table["step"], strict=True)))
    areas = sorted(dict.fromkeys(area for area, _ in sites), key=in_order)
    return sorted(sites, key=lambda site: (areas.index(site[0]), site[1]))


def draw_panel(
    figure: Figure, place: Axes, part: pd.DataFrame, sites: list[tuple[str, int]], top: float
) -> None:
    """One evaluation, in place of `place`: the matrix, and below it the curve."""
    spec = place.get_subplotspec()
    assert spec is not None
    rows = spec.subgridspec(2, 1, height_ratios=(len(sites), max(3.0, 0.35 * len(sites))))
    axes = figure.add_subplot(rows[0])
    axes.set_title(place.get_title(loc="left"), fontsize=9, loc="left")
    curve = figure.add_subplot(rows[1], sharex=axes)
    place.remove()
    edges = part[["start", "end"]].drop_duplicates().sort_values("start").to_numpy(float)
    cells = part.set_index(["area", "step", "start"])["raw"]
    values = np.array(
        [[cells.get((area, step, start), np.nan) for start, _ in edges] for area, step in sites], float
    )
    x = np.append(edges[:, 0], edges[-1, 1])
    mesh = axes.pcolormesh(x, np.arange(len(sites) + 1) - 0.5, values, cmap="Blues", vmin=0, vmax=top)
    known = np.isfinite(values).any(axis=0)
    best = np.nan_to_num(values, nan=-np.inf).argmax(axis=0)
    centres = edges.mean(axis=1)
    axes.plot(centres[known], best[known], "o", color="#d1495b", ms=3.5)
    for row in range(1, len(sites)):
        if sites[row][0] != sites[row - 1][0]:
            axes.axhline(row - 0.5, color="white", lw=2.5)
    axes.set_yticks(range(len(sites)), [f"{area}[{step}]" for area, step in sites], fontsize=8)
    axes.set_ylim(len(sites) - 0.5, -0.5)
    axes.tick_params(labelsize=8, labelbottom=False)
    figure.colorbar(mesh, ax=[axes, curve], shrink=0.7, pad=0.02).ax.tick_params(labelsize=7)
    curve.plot(centres, np.fmax.reduce(values, axis=0), color="#1b6ca8", lw=1.5)
    text = "best step"
    ceilings = part.drop_duplicates("start").sort_values("start")["ceiling"].to_numpy(float)
    if np.isfinite(ceilings).any():
        curve.plot(centres, np.sqrt(np.clip(ceilings, 0, None)), color="0.5", lw=1, ls="--")
        text += "; dashed: ceiling"
    curve.set_title(text, fontsize=8, loc="left")
    curve.set_xlabel("time after the onset of the image (ms)", fontsize=8)
    gridlines(curve)
    curve.set_ylim(bottom=min(0.0, float(np.nanmin(values))))
