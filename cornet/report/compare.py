"""`cornet report compare`: runs among the 243 networks of the 2019 paper, on one page that opens from disk."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.report.compare_plots import (
    BASENET,
    NETWORK,
    PUBLISHED,
    draw_panel,
    draw_training,
    run_colour,
    shown_curves,
)
from cornet.report.compare_runs import PARTS, ComparedRun, open_run, other_data
from cornet.report.page import find_run_folder
from cornet.report.published import (
    CORNET_S,
    CURVE,
    HIGH,
    PANELS,
    Panel,
    Tested,
    correlations,
    published_models,
)
from cornet.report.render import p_text, page, part, signed
from cornet.report.seeds_runs import find_seeds, seed_folders

__all__ = ["compare_page", "compare_runs"]

NAME = "compare.html"
PUBLISHED_PARAMETERS = 53_416_616
"""Of CORnet-S, as its published definition has them; the table of the paper has none."""


class LeftOut(NamedTuple):
    """A run that could not be read, and why."""

    name: str
    why: str


def compare_runs(runs: Sequence[Path], target: Path | None = None) -> Path:
    """Write a page that draws runs among the published networks, and return its path.

    runs: folders of runs, or of several seeds, all of which are taken. target: a file .html, or the folder for
    compare.html; None: the run's own folder, or that which holds all of them. A run whose tables cannot be read is
    left out, and the page says why.

    Raises CornetError where no run is named, a folder holds none or several that are no seeds, none of them can be
    read, or the page cannot be written.
    """
    folders = _folders(runs)
    opened: list[ComparedRun] = []
    left_out: list[LeftOut] = []
    for folder in folders:
        try:
            opened.append(open_run(folder, len(opened) + 1))
        except CornetError as error:
            left_out.append(LeftOut(str(folder), str(error)))
    if not opened:
        raise CornetError(left_out[0].why)
    path = _target(folders, target)
    atomic_write(path, compare_page(opened, left_out))
    return path


def _folders(runs: Sequence[Path]) -> list[Path]:
    """Of the runs, each once, in the order named."""
    if not runs:
        raise CornetError("no run is named; name the folders of one or more.")
    found: dict[Path, Path] = {}
    for run in runs:
        seeds = find_seeds(run)
        for folder in seed_folders(seeds) if seeds else [find_run_folder(run)]:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _target(folders: Sequence[Path], target: Path | None) -> Path:
    if target is not None:
        target = Path(target).expanduser()
        if target.is_dir():
            return target / NAME
        if target.suffix.lower() not in (".html", ".htm"):
            raise CornetError(f"{target} is neither a folder nor a file .html; name one of these.")
        return target
    if len(folders) == 1:
        return folders[0] / NAME
    common = Path(os.path.commonpath([folder.absolute().parent for folder in folders]))
    if common == Path(common.anchor):
        raise CornetError(
            f"{folders[0]} and {folders[-1]} lie in no common folder, into which the page could go; give it a target."
        )
    return common / NAME


def compare_page(runs: Sequence[ComparedRun], left_out: Sequence[LeftOut] = ()) -> str:
    """HTML: the whole page. It needs nothing outside itself. Raises CornetError where there is no run."""
    if not runs:
        raise CornetError("no run is named; name the folders of one or more.")
    tested, models = correlations(), published_models()
    basenets = models["model"][models["model"].str.startswith("BaseNet")]
    nets = basenets.str.replace(r"--\d+$", "", regex=True).nunique()
    counts = {"models": len(models), "basenets": len(basenets), "nets": nets}
    scored = any(run.scored for run in runs)

    def drawn(panels: Sequence[Panel]) -> list[dict[str, Any]]:
        return [_panel(one, runs, tested) for one in panels]

    return page(
        "Runs among published networks",
        [
            part("compare.lede", runs=runs, models=len(models)),
            part("parts.left_out", runs=left_out),
            _not_placed(runs),
            _differing(runs),
            part("compare.runs", rows=_rows(runs), scored=scored),
            _notes(runs),
            part(
                "compare.key",
                colours=(PUBLISHED, NETWORK, BASENET),
                networks=len(models) - len(basenets) - 1,
                basenets=len(basenets),
                placed=scored or any(math.isfinite(run.values["brain_score"]) for run in runs),
                own=any(run.own_images for run in runs),
            ),
            part("compare.drawn", one=_panel(PANELS[0], runs, tested), kind="one"),
            part("compare.grid", heading="The parts of the Brain-Score", drawings=drawn(PANELS[1:5])),
            part("compare.grid", heading="Depth, transfer, generalisation", drawings=drawn(PANELS[5:])),
            part("compare.without", number=len(PANELS[6:])),
            _training(runs),
            part("compare.correlations", tested=tested, headings={one.key: one.heading for one in PANELS}),
            part("compare.statistics", tested=len(tested), high=HIGH, **counts),
            part("compare.models", table=models.to_dict("records")),
        ],
    )


def _not_placed(runs: Sequence[ComparedRun]) -> Markup:
    """One sentence on the runs that have no score of a published kind."""
    others = [run for run in runs if not run.scored]
    if not others:
        return Markup()
    who, has = _listed(others).capitalize(), "have no" if len(others) > 1 else "has no"
    if len(others) == len(runs) > 1:
        who, has = "None of the runs", "has a"
    return part("compare.not_placed", who=who, has=has, names=", ".join(PARTS.values()))


def _differing(runs: Sequence[ComparedRun]) -> Markup:
    names = other_data(runs)
    return part("compare.differing", names=names) if names else Markup()


def _rows(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """The runs with their numbers of the published kinds, and below them CORnet-S as published."""
    rows: list[dict[str, Any]] = [
        {
            "label": run.label,
            "colour": run_colour(run.number),
            "title": run.title,
            "finished": run.finished,
            "own": math.isfinite(run.values["imagenet"]) and run.own_images,
            "numbers": run.values,
            "parameters": run.parameters,
            "epoch": run.epoch,
        }
        for run in runs
    ]
    published = published_models().set_index("model").loc[CORNET_S]
    last = {"title": f"{CORNET_S}, published", "numbers": published, "parameters": PUBLISHED_PARAMETERS}
    return [*rows, last | {"label": "", "finished": True, "own": False, "epoch": 43.0}]


def _notes(runs: Sequence[ComparedRun]) -> Markup:
    by_note: dict[str, list[ComparedRun]] = {}
    for run in runs:
        for note in run.notes:
            by_note.setdefault(note, []).append(run)
    return part("compare.notes", said=[(note, _listed(who)) for note, who in by_note.items()], runs=runs)


def _panel(panel: Panel, runs: Sequence[ComparedRun], tested: Sequence[Tested]) -> dict[str, Any]:
    told = "; ".join(_correlation_text(one) for one in tested if one.panel == panel.key)
    caption = f"{panel.reading} Pearson's {told}."
    svg = Markup(draw_panel(panel, runs, f"{panel.heading}. {caption}"))
    return {"heading": panel.heading, "svg": svg, "caption": caption}


def _correlation_text(one: Tested) -> str:
    found, which = one.found, f" ({one.which})" if one.which else ""
    p, holm = (text if text.startswith("<") else f"= {text}" for text in map(p_text, (found.p, one.holm)))
    return (
        f"r = {signed(found.r)}{which}, 95 % interval {signed(found.low)} to {signed(found.high)}, n = {found.n}, "
        f"p {p}, Holm {holm}"
    )


def _training(runs: Sequence[ComparedRun]) -> Markup:
    names, matched = shown_curves(runs)
    drawings = []
    for name in names:
        one = CURVE[name]
        caption = "Accuracy of the published network on ImageNet."
        if one.benchmark:
            caption = f"{one.benchmark} of runs; the published curve is of Brain-Score's own data."
            if not matched:
                caption = f"No run has {one.benchmark}."
            if name == "ost":
                caption += (
                    " Of these alone the source names no ceiling: the published values are taken as raw."
                )
        elif any(run.own_images and name in run.curves for run in runs):
            caption += " Dashed, hollow, own: accuracy on the run's own images, which is another task."
        svg = Markup(draw_training(name, runs, f"{one.title} by epoch. {caption}"))
        drawings.append({"heading": one.title, "svg": svg, "caption": caption})
    lacking = [CURVE[name].title for name in CURVE if name not in names]
    return part("compare.training", drawings=drawings, matched=matched, lacking=lacking)


def _listed(runs: Sequence[ComparedRun]) -> str:
    labels = [run.label for run in runs]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
