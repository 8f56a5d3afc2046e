"""Plot how much of a network's similarities follows view, mirror image and identity (view_structure.csv)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cornet.brain.regions import REGIONS, in_order
from cornet.report import style as brain_style
from cornet.report.style import epoch_text, gridlines
from cornet.runs.score_tables import NUMBER, TEXT

__all__ = ["COLUMNS", "draw_view_structure"]

COLUMNS: Mapping[str, str] = {
    "epoch": NUMBER,
    "kind": TEXT,
    "area": TEXT,
    "step": NUMBER,
    "measure": TEXT,
    "structure": TEXT,
    "value": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
}

COLOURS = {"view": "#1b6ca8", "mirror": "#b07d2b", "identity": "#d1495b", "image": "0.45"}
MEASURES = {"coefficient": "coefficient", "correlation": "Pearson's r of similarities"}
FIRST, LAST = "image", "output"
MOST = 48  # sites side by side


def draw_view_structure(table: pd.DataFrame, columns: int = 3) -> bytes | None:
    """Return a PNG: a panel each for coefficients and correlations, and one of the simulated patches.

    table: with COLUMNS. columns: maximum number of panels side by side. None: there are no finite values.
    """
    table = table.assign(step=table["step"].fillna(0))
    known = table[np.isfinite(table[["value", "step"]]).all(axis=1)]
    network = known[(known["kind"] == "network") & np.isfinite(known["epoch"])]
    pixels = known[known["kind"] == "pixels"]
    if network.empty:
        return None
    first, last = network["epoch"].min(), network["epoch"].max()
    shown = pd.concat([pixels, network[network["epoch"] == last]])
    before = network[network["epoch"] == 0] if first == 0 < last else network.iloc[:0]
    simulated = known[(known["kind"] == "simulated") & (known["measure"] == "coefficient")]
    with brain_style.style():
        wide = (4.4, 3.1) if columns > 1 else (3.6, 3.1)
        figure, axes = brain_style.grid(2 + (not simulated.empty), columns, wide)
        figure.suptitle(
            f"Similarities of heads {after(last)}", x=0.01, ha="left", fontsize=10, fontweight="bold"
        )
        for place, (measure, label) in zip(axes, MEASURES.items(), strict=False):
            draw_panel(
                place,
                shown[shown["measure"] == measure],
                before[before["measure"] == measure],
            )
            place.set_ylabel(label, fontsize=8)
        if not simulated.empty:
            draw_panel(axes[2], simulated, simulated.iloc[:0])
            axes[2].set_ylabel("coefficient", fontsize=8)
            axes[2].set_title("published order of patches (simulated)", fontsize=8.5, loc="left")
        handles, labels = axes[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=6, frameon=False, fontsize=8)
        return brain_style.png(figure)


def draw_panel(axes: Axes, shown: pd.DataFrame, before: pd.DataFrame) -> None:
    """Values of every site with their intervals, and open marks of the untrained network."""
    sites = sites_of(shown)
    names = [site_text(area, step, sites) for area, step in sites]
    structures = [one for one in COLOURS if (shown["structure"] == one).any()]
    for k, structure in enumerate(structures):
        aside = 0.12 * (k - (len(structures) - 1) / 2)
        style: dict[str, Any] = {"color": COLOURS[structure], "ms": 4}
        values, low, high = values_of(shown, sites, structure)
        x = np.arange(len(sites)) + aside
        bars = np.stack([values - low, high - values]).clip(0)
        axes.errorbar(x, values, np.nan_to_num(bars), fmt="o", lw=1.1, label=label_of(structure), **style)
        if not before.empty:
            axes.plot(x, values_of(before, sites, structure)[0], "o", mfc="none", mew=0.8, **style)
    if not before.empty:
        axes.plot([], [], "o", mfc="none", mew=0.8, color="0.3", ms=4, label="untrained")
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set_xticks(range(len(sites)), names, rotation=45, ha="right")
    gridlines(axes, 7.5, "y")


def values_of(table: pd.DataFrame, sites: list[tuple[str, int]], structure: str) -> Any:
    """Value, low and high of each site, (site,) each; NaN where the table has none."""
    rows = table[table["structure"] == structure].drop_duplicates(["area", "step"], keep="last")
    return rows.set_index(["area", "step"])[["value", "low", "high"]].reindex(sites).to_numpy(float).T


def sites_of(table: pd.DataFrame) -> list[tuple[str, int]]:
    """(area, step): the pixels, areas in their order, outputs; of many, some at equal distances."""
    sites = list(dict.fromkeys(zip(table["area"], table["step"].astype(int), strict=True)))
    seen = {area: place for place, area in reversed(list(enumerate(area for area, _ in sites)))}

    def key(site: tuple[str, int]) -> tuple[int, int, int, int]:
        area, step = site
        group = 0 if area == FIRST else 2 if area.startswith(LAST) else 1
        return group, in_order(area), seen[area], step

    return sorted(sites, key=key)[:: -(-len(sites) // MOST)]


def site_text(area: str, step: int, sites: list[tuple[str, int]]) -> str:
    """V4[2]; without a step where none of the sites has several."""
    if area == FIRST:
        return "pixels"
    return f"{area}[{step}]" if area in REGIONS or sum(one == area for one, _ in sites) > 1 else area


def label_of(structure: str) -> str:
    return "pixels" if structure == FIRST else structure


def after(epoch: float) -> str:
    return "of the untrained network" if epoch == 0 else f"after epoch {epoch_text(epoch)}"
