"""Plot metamers by stage: who recognises them, how close they are, and how the loss fell."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from cornet.report.drawings import drawing
from cornet.report.published.numbers import published_metamers
from cornet.report.style import gridlines, style
from cornet.synthesis.metameric.results import Judgement, Study
from cornet.synthesis.metameric.stages import StageName

__all__ = [
    "draw_closeness",
    "draw_losses",
    "draw_recognition",
    "has_published",
    "share_name",
    "shown_share",
]

WIDTH, HEIGHT = 5.2, 3.7
COLOURS = ("#1b6ca8", "#d1495b", "#3c8d53", "#b07d2b", "#6b4c9a", "#0f9fb0", "#d664a8", "#8a8f1c")
PUBLISHED = "0.72"
PASSED = "#3c8d53"
MEASURES = {"spearman": ("Spearman's r", "#1b6ca8"), "pearson": ("Pearson's r", "#b07d2b")}


def stage_order(study: Study) -> list[StageName]:
    """All stages of all networks, each once, in the order of processing of the first network that has them."""
    return list(dict.fromkeys(one.stage for one in study.results))


def has_published(study: Study) -> bool:
    """Whether two or more stages of the study are among the published ones, at their last step."""
    columns = published_metamers().columns
    return sum(one.last and one.area in columns for one in stage_order(study)) > 1


def draw_recognition(study: Study, key: str) -> str:
    """Return an <svg>: the share of metamers that each network recognises, by stage; published shares in grey."""
    order = stage_order(study)
    names: dict[str, list[str]] = {}
    with style():
        figure, axes = _axes(order)
        if has_published(study):
            _draw_published(axes, order)
        number = 0
        for trained, generator in enumerate(study.generators):
            for judge in dict.fromkeys([generator, *study.judges]):
                said = [one for one in study.judged(generator, judge) if one.stage is not None]
                if not said:
                    continue
                colour = COLOURS[
                    (0 if judge == generator else 1 + list(study.judges).index(judge)) % len(COLOURS)
                ]
                gid = f"{key}-{number}"
                _draw_shares(axes, study, said, order, colour, trained > 0, gid, names)
                number += 1
        _draw_chance(axes, study)
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel(share_name(study), fontsize=10)
        _legend(axes, figure)
        return drawing(figure, key, names, "Share of metamers recognised, by stage and network")


def share_name(study: Study) -> str:
    return "share of the true class" if study.labelled else "share of the original's class"


def shown_share(study: Study, one: Judgement) -> Any:
    """The share that is drawn: of the true class where the judge has it, else of the class of the original."""
    return one.right if study.labelled and one.right.n else one.same


def _draw_shares(
    axes: Axes,
    study: Study,
    said: Sequence[Judgement],
    order: Sequence[StageName],
    colour: str,
    dashed: bool,
    gid: str,
    names: dict[str, list[str]],
) -> None:
    shares = [(order.index(one.stage), one, shown_share(study, one)) for one in said if one.stage is not None]
    shares = [(place, one, share) for place, one, share in shares if share.n and math.isfinite(share.value)]
    one = said[0]
    own = one.judge == one.generator
    label = f"{one.judge}, itself" if own else f"{one.judge} sees {one.generator}" if dashed else one.judge
    line: dict[str, Any] = {"color": colour, "lw": 1.6, "ls": "--" if dashed else "-"}
    if not shares:
        axes.plot([], [], label=f"{label} (none passed)", **line)
        return
    x, y = [place for place, _, _ in shares], [share.value for _, _, share in shares]
    errors = [share.error for _, _, share in shares]
    axes.plot(x, y, label=label, zorder=3, **line)
    axes.vlines(x, np.subtract(y, errors), np.add(y, errors), color=colour, lw=1.1, zorder=3)
    axes.scatter(x, y, s=26, color=colour, lw=0, zorder=4, gid=gid)
    names[gid] = [
        f"{label}, metamers of {said.stage}: {share.value:.3f} +- {share.error:.3f} of {share.n}"
        for _, said, share in shares
    ]


def _draw_published(axes: Axes, order: Sequence[StageName]) -> None:
    """Grey lines at the stages of the same names."""
    table = published_metamers()
    places = [(k, one.area) for k, one in enumerate(order) if one.last and one.area in table.columns]
    for style_of, (observer, row) in zip(("-.", (0, (5, 1)), "--", ":", "-"), table.iterrows(), strict=True):
        shown = [(k, row[area]) for k, area in places if math.isfinite(row[area])]
        if len(shown) > 1:
            x, y = zip(*shown, strict=True)
            wide = 2.2 if observer == "people" else 1.1
            axes.plot(x, y, color=PUBLISHED, ls=style_of, lw=wide, label=f"published: {observer}", zorder=1)
    axes.axhline(1 / 16, color=PUBLISHED, lw=0.9, ls=(0, (1, 2)), zorder=0)
    axes.annotate("chance of 16, published", (0.995, 1 / 16), xycoords=("axes fraction", "data"), ha="right",
    va="bottom",
                  fontsize=7.5, color="0.55")  # fmt: skip


def _draw_chance(axes: Axes, study: Study) -> None:
    """A line for each number of classes that the user's networks choose from."""
    for choices in sorted({*study.generators.values(), *study.judges.values()} - {0}):
        axes.axhline(1 / choices, color="0.35", lw=0.9, ls=(0, (1, 2)), zorder=0)
        axes.annotate(f"chance of {choices}", (0.005, 1 / choices), xycoords=("axes fraction", "data"), va="bottom",
                      fontsize=7.5, color="0.35")  # fmt: skip


def draw_closeness(study: Study, generator: str, key: str) -> str:
    """Return an <svg>: medians of Spearman's and Pearson's r by stage, what they must surpass, and the share passed."""
    order = [one.stage for one in study.of(generator)]
    names: dict[str, list[str]] = {}
    with style():
        figure, axes = _axes(order)
        x = np.arange(len(order))
        share = [float(one.passed.mean()) for one in study.of(generator)]
        axes.bar(x, share, width=0.72, color=PASSED, alpha=0.16, lw=0, zorder=0, label="passed (share)")
        for number, (measure, (label, colour)) in enumerate(MEASURES.items()):
            shown = [(k, one) for k, one in enumerate(study.of(generator)) if measure in one.thresholds]
            places = [k for k, _ in shown]
            shift = (number - 0.5) * 0.2
            medians = [float(np.nanmedian(getattr(one.found, measure))) for _, one in shown]
            limits = [one.thresholds[measure] for _, one in shown]
            at = [place + shift for place in places]
            axes.hlines(limits, np.subtract(at, 0.13), np.add(at, 0.13), color=colour, lw=2.0, zorder=3)
            gid = f"{key}-{measure}"
            axes.scatter(at, medians, s=30, color=colour, lw=0, zorder=4, gid=gid, label=f"{label}, median")
            names[gid] = [
                f"{label}, {one.stage}: median {median:.3f}, must surpass {limit:.3f}"
                for (_, one), median, limit in zip(shown, medians, limits, strict=True)
            ]
        axes.plot([], [], color="0.3", lw=2.0, label="largest of the null pairs")
        axes.set_ylim(min(0, axes.get_ylim()[0]), 1.05)
        axes.set_ylabel("correlation; share passed", fontsize=10)
        _legend(axes, figure)
        return drawing(figure, key, names, f"Closeness of the metamers of {generator}, by stage")


def draw_losses(study: Study, generator: str, key: str) -> str:
    """Return an <svg>: the median loss at the start and after each block, a line for each stage."""
    results = study.of(generator)
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        for number, one in enumerate(results):
            share = number / max(1, len(results) - 1)
            colour = (0.10 + 0.75 * share, 0.42 - 0.12 * share, 0.66 - 0.30 * share)
            axes.plot(
                np.median(one.losses, axis=1), color=colour, lw=1.5, marker="o", ms=3, label=str(one.stage)
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
        axes.set_xlabel("blocks (0: start)", fontsize=10)
        axes.set_ylabel("relative distance, median", fontsize=10)
        gridlines(axes, 9)
        _legend(axes, figure)
        return drawing(figure, key, {}, f"Loss of the metamers of {generator} over blocks")


def _axes(order: Sequence[StageName]) -> tuple[Figure, Axes]:
    """Axes with a tick for each stage."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    labels = [str(one) for one in order]
    slanted = sum(map(len, labels)) > 44
    axes.set_xticks(
        range(len(order)), labels, rotation=40 if slanted else 0, ha="right" if slanted else "center"
    )
    axes.set_xlim(-0.5, len(order) - 0.5)
    gridlines(axes, 9, "y")
    return figure, axes


def _legend(axes: Axes, figure: Figure) -> None:
    """A legend below the axes, in two columns."""
    handles, labels = axes.get_legend_handles_labels()
    rows = -(-len(labels) // 2)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.19 * rows)
    shown = [label if len(label) <= 40 else f"{label[:24]} ... {label[-12:]}" for label in labels]
    options: dict[str, Any] = {"loc": "outside lower left", "ncols": 2, "frameon": False, "fontsize": 8}
    figure.legend(handles, shown, **options, columnspacing=1.2, handlelength=2.2)
