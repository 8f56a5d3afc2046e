"""`cornet report compare`: runs among the 243 networks of the 2019 paper, on one page that opens from disk."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.report.published.comparable import PARTS, ComparedRun, open_run, other_data
from cornet.report.published.numbers import (
    CORNET_S,
    CURVE,
    HIGH,
    PANELS,
    Panel,
    correlations,
    published_models,
)
from cornet.report.published.plots import COLOURS, draw_panel, draw_training, run_colour, shown_curves
from cornet.report.render import page, part
from cornet.report.run.page import find_run_folder
from cornet.report.seeds.seed_runs import find_seeds, seed_folders

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
    models, tested = published_models(), correlations()
    basenets = models["model"][models["model"].str.startswith("BaseNet")]
    nets = basenets.str.replace(r"--\d+$", "", regex=True).nunique()
    counts = {"models": len(models), "basenets": len(basenets)}
    ours = {"numbers": models.set_index("model").loc[CORNET_S], "parameters": PUBLISHED_PARAMETERS}
    notes = {note: [one for one in runs if note in one.notes] for run in runs for note in run.notes}
    drawings = [_panel(one, runs) for one in PANELS]
    return page(
        "Runs among published networks",
        [
            part("compare.lede", runs=runs, models=len(models)),
            part("parts.left_out", runs=left_out),
            part("compare.not_placed", runs=runs, names=PARTS.values()),
            part("compare.differing", names=other_data(runs)),
            part("compare.runs", runs=runs, colour=run_colour, ours=ours),
            part("compare.notes", notes=notes, runs=runs),
            part("compare.key", colours=COLOURS, runs=runs, **counts),
            part("compare.drawn", one=drawings[0], kind="one"),
            part("compare.grid", heading="The parts of the Brain-Score", drawings=drawings[1:5]),
            part("compare.grid", heading="Depth, transfer, generalisation", drawings=drawings[5:]),
            part("compare.without", number=len(PANELS[6:])),
            _training(runs),
            part("compare.correlations", tested=tested, headings={one.key: one.heading for one in PANELS}),
            part("compare.statistics", tested=len(tested), high=HIGH, nets=nets, **counts),
            part("compare.models", table=models.to_dict("records")),
        ],
    )


def _panel(panel: Panel, runs: Sequence[ComparedRun]) -> dict[str, Any]:
    told = "; ".join(one.told for one in correlations() if one.panel == panel.key)
    caption = f"{panel.reading} Pearson's {told}."
    svg = Markup(draw_panel(panel, runs, f"{panel.heading}. {caption}"))
    return {"heading": panel.heading, "svg": svg, "caption": caption}


def _training(runs: Sequence[ComparedRun]) -> Markup:
    names, matched = shown_curves(runs)
    drawings = []
    for name in names:
        one = CURVE[name]
        if not one.benchmark:
            caption = "Accuracy of the published network on ImageNet."
            if any(run.own_images and name in run.curves for run in runs):
                caption += " Dashed, hollow, own: accuracy on the run's own images, which is another task."
        elif matched:
            caption = f"{one.benchmark} of runs; the published curve is of Brain-Score's own data."
        else:
            caption = f"No run has {one.benchmark}."
        if name == "ost":
            caption += " Of these alone the source names no ceiling: the published values are taken as raw."
        svg = Markup(draw_training(name, runs, f"{one.title} by epoch. {caption}"))
        drawings.append({"heading": one.title, "svg": svg, "caption": caption})
    lacking = [CURVE[name].title for name in CURVE if name not in names]
    return part("compare.training", drawings=drawings, matched=matched, lacking=lacking)
