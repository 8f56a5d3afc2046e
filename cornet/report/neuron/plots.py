"""Plot single neurons: scores by layer and step, predicted against measured responses, and all neuroids of a layer."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cornet.brain.metrics.resampling import nan_medians
from cornet.brain.neuron.profile import Profile, SiteScore, quantiles
from cornet.report.drawings import drawing
from cornet.report.style import gridlines, style, wrapped

__all__ = [
    "BASELINE",
    "SHUFFLED",
    "TRAINED",
    "UNTRAINED",
    "draw_distribution",
    "draw_layers",
    "draw_scatter",
    "layer_name",
    "measure_name",
    "row_name",
]

WIDTH = 4.7
TRAINED, UNTRAINED, BASELINE, SHUFFLED = "#1b6ca8", "#8f979e", "#b07d2b", "#d1495b"
CEILING = "#3c8d53"
NAMED = 24
"""Maximum length of a layer's name beside a row."""


def measure_name(profile: Profile) -> str:
    """Name of the score, for axes and tables."""
    return (
        "explained / explainable variance" if profile.target.has_ceiling else "explained variance (r\u00b2)"
    )


def layer_name(profile: Profile, one: SiteScore) -> str:
    """Name of a layer, with its step if it has several."""
    steps = {other.site.step for other in profile.of(one.model) if other.site.layer == one.site.layer}
    return str(one.site) if len(steps) > 1 or one.site.step else one.site.layer


def draw_layers(profile: Profile, model: str, twin: str, baselines: Sequence[SiteScore], key: str) -> str:
    """Return an <svg> with a row for each layer and step, from the input at the top to the output at the bottom.

    twin: name of the untrained network, drawn beside the trained one; "" for none. baselines: rows above the layers.
    """
    own = profile.of(model) if model else []
    order = [*baselines, *own]
    start = len(baselines)
    with style():
        figure = Figure(figsize=(WIDTH, 1.0 + 0.25 * len(order)), layout="constrained")
        axes = figure.subplots()
        names: dict[str, list[str]] = {}
        if profile.target.has_ceiling:
            draw_ceiling(profile, axes)
        axes.axvline(0, color="0.75", lw=0.8, zorder=1)
        shift = 0.17 if twin else 0.0
        places = {one.site: start + k for k, one in enumerate(own)}
        untrained = [one for one in profile.of(twin) if one.site in places] if twin else []
        rows = [place + shift for place in (places[one.site] for one in untrained)]
        draw_series(profile, axes, untrained, rows, UNTRAINED, f"{key}-untrained", names, True)
        rows = [place - shift for place in places.values()]
        only_untrained = "untrained" in model.partition("?")[2].split("&") or model.endswith(" (untrained)")
        colour = UNTRAINED if only_untrained else TRAINED
        draw_series(profile, axes, own, rows, colour, f"{key}-trained", names, True)
        draw_series(profile, axes, baselines, list(range(start)), BASELINE, f"{key}-filters", names, False)
        draw_shuffled(profile, axes, order, f"{key}-shuffled", names)
        labels = [*(row_name(profile, one) for one in baselines), *(layer_name(profile, one) for one in own)]
        axes.set_yticks(range(len(order)), [wrapped(label, NAMED, 1) for label in labels])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlabel(measure_name(profile), fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        gridlines(axes, 9, "x")
        return drawing(figure, key, names, f"{measure_name(profile)} of each layer, with 95 % interval")


def draw_ceiling(profile: Profile, axes: Axes) -> None:
    """A line at 1, with the 95 % range of the half splits around it (of their median over neuroids)."""
    target = profile.target
    counted = target.reliable if target.reliable.any() else np.ones(len(target.neuroids), bool)
    halves = target.reliabilities
    if halves is not None:
        middle = float(np.median(target.reliability[counted]))
        low, high = quantiles(nan_medians(halves[:, counted]) / middle)
        if middle > 0 and math.isfinite(low):
            axes.axvspan(low, high, color=CEILING, alpha=0.12, lw=0, zorder=0)
    axes.axvline(1, color=CEILING, lw=1.4, zorder=1)


def draw_series(
    profile: Profile,
    axes: Axes,
    scores: Sequence[SiteScore],
    rows: Sequence[float],
    colour: str,
    gid: str,
    names: dict[str, list[str]],
    joined: bool,
) -> None:
    """Draw points with intervals; `names` gets their tooltips. joined: connect them by a line."""
    shown = [(one, row) for one, row in zip(scores, rows, strict=True) if math.isfinite(one.value)]
    if not shown:
        return
    values = [one.value for one, _ in shown]
    places = [row for _, row in shown]
    if joined:
        axes.plot(values, places, color=colour, lw=0.9, alpha=0.5, zorder=2)
    axes.hlines(
        places, [o.interval.low for o, _ in shown], [o.interval.high for o, _ in shown], color=colour, lw=1.8
    )
    axes.scatter(values, places, s=24, color=colour, lw=0, zorder=4, gid=gid)
    names[gid] = [
        f"{row_name(profile, one)}: {one.value:.3f} ({one.interval.low:.3f} to {one.interval.high:.3f})"
        for one, _ in shown
    ]


def draw_shuffled(
    profile: Profile, axes: Axes, order: Sequence[SiteScore], gid: str, names: dict[str, list[str]]
) -> None:
    """Draw the mean and the 95 % range of shuffled responses; `names` gets the tooltips."""
    shown = [(row, one) for row, one in enumerate(order) if math.isfinite(one.chance)]
    if not shown:
        return
    rows = [row for row, _ in shown]
    low, high = np.array([quantiles(one.shuffled) for _, one in shown]).T
    axes.hlines(rows, low, high, color=SHUFFLED, lw=1.0, alpha=0.6, zorder=2)
    axes.scatter([one.chance for _, one in shown], rows, s=9, color=SHUFFLED, lw=0, zorder=3, gid=gid)
    names[gid] = [f"{row_name(profile, one)}, shuffled: {one.chance:.3f}" for _, one in shown]


def row_name(profile: Profile, one: SiteScore) -> str:
    """Name of a layer with its model; the model alone if it has one layer of the same name."""
    layer = layer_name(profile, one)
    return one.model if layer == one.model.partition("?")[0] else f"{one.model} {layer}"


def draw_scatter(profile: Profile, one: SiteScore, key: str) -> str:
    """Return an <svg> of measured against predicted responses of the neuroid, a point per image."""
    target = profile.target
    measured = target.responses[:, 0]
    predicted = one.prediction.values[:, 0] + np.nanmean(measured)
    shown = np.flatnonzero(np.isfinite(measured) & np.isfinite(predicted))
    with style():
        figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
        axes = figure.subplots()
        ends = [float(end(predicted[shown])) for end in (np.min, np.max)]
        axes.plot(ends, ends, color="0.6", lw=1.0, ls="--", zorder=1)
        look: dict[str, Any] = {"s": 13, "color": TRAINED, "alpha": 0.55, "lw": 0, "zorder": 3}
        axes.scatter(predicted[shown], measured[shown], gid=f"{key}-images", **look)
        axes.set_xlabel("predicted response (held out)", fontsize=10)
        axes.set_ylabel("measured response", fontsize=10)
        gridlines(axes, 9)
        ids = target.stimuli.ids
        names = {
            f"{key}-images": [
                f"{ids[k]}: measured {measured[k]:.3g}, predicted {predicted[k]:.3g}" for k in shown
            ]
        }
        return drawing(figure, key, names, "Measured against predicted responses, a point per image")


def draw_distribution(profile: Profile, key: str) -> str:
    """Return an <svg> with a row for each model: all neuroids at its best layer, with the median."""
    best = [one for model in profile.models if (one := profile.best_of(model)) is not None]
    counted = profile.target.reliable
    with style():
        figure = Figure(figsize=(WIDTH, 0.9 + 0.5 * len(best)), layout="constrained")
        axes = figure.subplots()
        names = {}
        for row, one in enumerate(best):
            shown = np.flatnonzero(counted & np.isfinite(one.explained))
            # Neighbouring values are spread over the height of a row, the same on every drawing.
            order = np.argsort(np.argsort(one.explained[shown]))
            rows = row + 0.24 * ((order % 5) - 2) / 2
            look: dict[str, Any] = {"s": 15, "color": TRAINED, "alpha": 0.6, "lw": 0, "zorder": 3}
            axes.scatter(one.explained[shown], rows, gid=f"{key}-{row}", **look)
            axes.vlines(one.value, row - 0.38, row + 0.38, color="0.15", lw=1.8, zorder=4)
            names[f"{key}-{row}"] = [f"{profile.target.neuroids[k]}: {one.explained[k]:.3f}" for k in shown]
        if profile.target.has_ceiling:
            axes.axvline(1, color=CEILING, lw=1.2, zorder=1)
        axes.axvline(0, color="0.75", lw=0.8, zorder=1)
        labels = [
            "\n".join(dict.fromkeys([wrapped(one.model, NAMED, 1), layer_name(profile, one)])) for one in best
        ]
        axes.set_yticks(range(len(best)), labels)
        axes.set_ylim(len(best) - 0.5, -0.5)
        axes.set_xlabel(measure_name(profile), fontsize=10)
        gridlines(axes, 9, "x")
        return drawing(figure, key, names, "Each neuroid at the best layer of each model")
