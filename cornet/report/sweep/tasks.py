"""Plot the metrics of several tasks against a numeric factor of a sweep."""

import math

import numpy as np
from matplotlib.figure import Figure

from cornet.errors import CornetError
from cornet.report.curves import COLOURS
from cornet.report.drawings import drawing
from cornet.report.style import gridlines, style
from cornet.report.sweep.keys import Factor
from cornet.report.sweep.variants import Sweep
from cornet.runs.metrics import read_metrics

__all__ = ["draw_tasks"]

SIZE = (4.7, 3.5)


def draw_tasks(sweep: Sweep, factor: Factor, key: str) -> str:
    """Return an <svg> of the metric of each task against a factor; "" without several tasks or for other factors.

    Only variants that share all other factors with another value of this one are connected by a line.
    """
    names = [name for name, one in sweep.measures.items() if one.of_part]
    if len(names) < 2 or not factor.numeric:
        return ""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(sweep.variants):
        rest = str([one.values[other.key] for other in sweep.factors if other.key != factor.key])
        groups.setdefault(rest, []).append(place)
    if all(len(places) < 2 for places in groups.values()):
        return ""
    points: dict[str, list[str]] = {}
    levels: list[float] = []  # of seeds and read-outs, which set the limits
    with style():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        for colour, name in zip(COLOURS * len(names), names, strict=False):
            shown = f"task-{names.index(name)}"
            across, means, texts = [], [], []
            for places in groups.values():
                variants = [sweep.variants[place] for place in places]
                xs = np.array([float(one.values[factor.key]) for one in variants])
                found = [one.estimate(name) for one in variants]
                axes.plot(xs, [one.mean for one in found], color=colour, lw=1.2, alpha=0.7, zorder=2)
                for x, one, value in zip(xs, variants, found, strict=True):
                    seeds = one.by_seed(name).to_numpy(float)
                    levels += seeds[np.isfinite(seeds)].tolist()
                    axes.scatter(np.full(len(seeds), x), seeds, s=9, color=colour, alpha=0.35, lw=0, zorder=1)
                    if not math.isfinite(value.mean):
                        continue
                    axes.plot([x, x], [value.low, value.high], color=colour, lw=1.4, zorder=2)
                    across.append(x)
                    means.append(value.mean)
                    texts.append(f"{one.number}: {factor.name} {x:g}, {name} {value.mean:.3f}")
            axes.scatter(across, means, s=30, color=colour, lw=0, zorder=3, gid=shown, label=name)
            points[shown] = texts
            if (reached := baseline(sweep, sweep.measures[name].name)) is not None:
                levels.append(reached)
                axes.axhline(reached, color=colour, lw=1, ls=":", zorder=1)
        if levels:
            margin = 0.15 * (max(levels) - min(levels)) or 0.1
            axes.set_ylim(min(levels) - margin, max(levels) + margin)
        axes.set_xlabel(factor.name, fontsize=11)
        axes.set_ylabel("last epoch", fontsize=11)
        axes.set_xticks(sorted({float(one.values[factor.key]) for one in sweep.variants}))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.legend(frameon=False, fontsize=10, loc="best")
        gridlines(axes, 10)
        return drawing(figure, key, points, f"{' and '.join(names)} against {factor.name}")


def baseline(sweep: Sweep, metric: str) -> float | None:
    """What a read-out of the inputs reaches in the first run, from its log; None where it was not measured."""
    column = metric.replace("val/", "baseline/", 1)
    try:
        table = read_metrics(sweep.variants[0].folders[0])
    except CornetError:
        return None
    if column not in table or table[column].isna().all():
        return None
    return float(table[column].dropna().iloc[-1])
