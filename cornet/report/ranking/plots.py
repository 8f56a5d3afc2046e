"""Plot a ranking: intervals of all models, paired differences of all pairs, and scores against accuracy."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cornet.brain.ranking import MEAN, Ranking
from cornet.report.drawings import Label, drawing, write_labels
from cornet.report.published.numbers import published_models
from cornet.report.style import gridlines, style, wrapped

__all__ = ["draw_accuracy", "draw_gaps", "draw_models"]

WIDTH = 4.7
OURS, PUBLISHED, TIE = "#1b6ca8", "#8f979e", "#8f979e"
HIGHER, LOWER = "#3c8d53", "#d1495b"
NAMED = 28
"""Maximum length of a model's name beside a row."""


def draw_models(ranking: Ranking, benchmark: str, key: str) -> str:
    """Return an <svg> with a row for each model: its value and 95 % interval."""
    order = [model for model in ranking.models if math.isfinite(ranking.value(model, benchmark))]
    values = np.array([ranking.value(model, benchmark) for model in order])
    intervals = np.array([ranking.interval(model, benchmark) for model in order])
    groups = ranking.groups(benchmark)
    with style():
        figure = Figure(figsize=(WIDTH, 0.8 + 0.27 * len(order)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(order))
        axes.hlines(places, intervals[:, 0], intervals[:, 1], color=OURS, lw=1.8, zorder=2)
        axes.scatter(values, places, s=26, color=OURS, lw=0, zorder=3, gid=f"{key}-models")
        axes.set_yticks(places, [wrapped(model, NAMED, 1) for model in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        right = axes.get_xlim()[1]
        for place, model in enumerate(order):
            axes.text(right, place, f" {groups[model]}", va="center", fontsize=9, color="0.3", clip_on=False)
        axes.set_xlabel(axis_title(ranking, benchmark), fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        gridlines(axes, 9, "x")
        names = {
            f"{key}-models": [
                f"{model}: {value:.3f} ({low:.3f} to {high:.3f}), {groups[model]}"
                for model, value, (low, high) in zip(order, values, intervals, strict=True)
            ]
        }
        return drawing(
            figure, key, names, f"{axis_title(ranking, benchmark)} of each model with 95 % interval"
        )


def draw_gaps(ranking: Ranking, benchmark: str, key: str) -> str:
    """Return an <svg> of all pairs: green where the row is better, red where it is worse, grey if not told apart."""
    order = [model for model in ranking.models if math.isfinite(ranking.value(model, benchmark))]
    groups = ranking.groups(benchmark)
    with style():
        size = 2.4 + 0.3 * len(order), 0.6 + 0.3 * len(order)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        names: dict[str, list[str]] = {}
        for kind, colour in (("higher", HIGHER), ("lower", LOWER), ("tie", TIE)):
            cells, texts = [], []
            for row, model in enumerate(order):
                for column, other in enumerate(order):
                    if model == other:
                        continue
                    gap = ranking.gap(model, other, benchmark)
                    same = bool(set(groups[model]) & set(groups[other]))
                    if kind == ("tie" if same else "higher" if gap.value > 0 else "lower"):
                        cells.append((column, row))
                        texts.append(
                            f"{model} minus {other}: {gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
                        )
            if cells:
                x, y = zip(*cells, strict=True)
                hollow = {"facecolor": "none", "edgecolor": colour} if kind == "tie" else {"color": colour}
                axes.scatter(x, y, marker="s", s=70, lw=1.0, gid=f"{key}-{kind}", **hollow)  # type: ignore[arg-type]
                names[f"{key}-{kind}"] = texts
        places = np.arange(len(order))
        numbers = [str(ranking.models.index(model) + 1) for model in order]
        rows = [f"{wrapped(model, NAMED, 1)}  {k}" for k, model in zip(numbers, order, strict=True)]
        axes.set_yticks(places, rows)
        axes.set_xticks(places, numbers)
        axes.set(xlim=(-0.6, len(order) - 0.4), ylim=(len(order) - 0.4, -0.6))
        axes.tick_params(labelsize=9, length=0)
        return drawing(
            figure, key, names, "Pairs of models: whether the row is better or worse than the column"
        )


def draw_accuracy(ranking: Ranking, accuracies: Mapping[str, float], key: str) -> str:
    """Return an <svg> of the mean score against accuracy, before the published networks; "" without an accuracy."""
    placed = [
        model
        for model in ranking.models
        if math.isfinite(accuracies.get(model, math.nan)) and math.isfinite(ranking.value(model))
    ]
    if not placed:
        return ""
    published = published_models().dropna(subset=["imagenet", "brain_score"])
    with style():
        figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
        axes = figure.subplots()
        axes.scatter(
            published["imagenet"],
            published["brain_score"],
            s=12,
            color=PUBLISHED,
            lw=0,
            alpha=0.6,
            gid=f"{key}-known",
        )
        x, y = [accuracies[model] for model in placed], [ranking.value(model) for model in placed]
        low, high = np.array([ranking.interval(model) for model in placed]).T
        axes.vlines(x, low, high, color=OURS, lw=1.4, zorder=3)
        axes.scatter(x, y, s=34, color=OURS, lw=0, zorder=4, gid=f"{key}-ours")
        axes.set_xlabel("top-1, each on its own images", fontsize=10)
        axes.set_ylabel(axis_title(ranking, MEAN), fontsize=10)
        gridlines(axes, 9)
        write_labels(axes, [Label(a, b, model, OURS) for a, b, model in zip(x, y, placed, strict=True)], 9)
        names = {
            f"{key}-known": [
                f"{name}: ImageNet {a:.3f}, Brain-Score of 2019 {b:.3f}"
                for name, a, b in published[["model", "imagenet", "brain_score"]].itertuples(index=False)
            ],
            f"{key}-ours": [f"{m}: top-1 {a:.3f}, {b:.3f}" for m, a, b in zip(placed, x, y, strict=True)],
        }
        return drawing(figure, key, names, "Mean score against accuracy")


def axis_title(ranking: Ranking, benchmark: str) -> str:
    if benchmark == MEAN:
        return (
            f"mean of {len(ranking.averaged)} benchmarks"
            if len(ranking.averaged) > 1
            else ranking.averaged[0]
        )
    return f"{benchmark} ({scale_of(ranking, benchmark)})"


def scale_of(ranking: Ranking, benchmark: str) -> str:
    rows: Sequence[str] = [
        str(one.row.get("scale", "")) for (_, name), one in ranking.scores.items() if name == benchmark
    ]
    return rows[0] if rows else ""
