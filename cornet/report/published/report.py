"""Write the page of `cornet report compare`: runs and the 243 networks of the 2019 paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.report.page_path import page_path
from cornet.report.published.comparable import PARTS, ComparedRun, differing_benchmarks, open_run
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
from cornet.report.seeds.seed_runs import LeftOut, find_seeds, seed_folders

__all__ = ["compare_page", "compare_runs"]

NAME = "compare.html"
PUBLISHED_PARAMETERS = 53_416_616
"""Parameters of CORnet-S by its published definition; the paper's table does not give them."""


def compare_runs(runs: Sequence[Path], target: Path | None = None) -> Path:
    """Write a page that compares runs with the published networks, and return its path.

    runs: folders of runs, or folders with several seeds, which are all included. target: an .html file, or a folder
    for compare.html; None: the run's own folder, or the common folder of several. A run whose tables cannot be read
    is left out, and the page gives the reason.

    Raises CornetError if `runs` is empty, if a folder contains no run or several that are not seeds, if no run can be
    read, or if the page cannot be written.
    """
    folders = _folders(runs)
    opened: list[ComparedRun] = []
    left_out: list[LeftOut] = []
    for folder in folders:
        try:
            opened.append(open_run(folder, len(opened) + 1))
        except CornetError as error:
            left_out.append(LeftOut(folder, str(error)))
    if not opened:
        raise CornetError(left_out[0].why)
    path = page_path(folders, target, NAME)
    atomic_write(path, compare_page(opened, left_out))
    return path


def _folders(runs: Sequence[Path]) -> list[Path]:
    """Return the folder of each run once, in the given order."""
    if not runs:
        raise CornetError("a run is missing; name the folders of one or more.")
    folders: dict[Path, Path] = {}
    for run in runs:
        seeds = find_seeds(run)
        for folder in seed_folders(seeds) if seeds else [find_run_folder(run)]:
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values())


def compare_page(runs: Sequence[ComparedRun], left_out: Sequence[LeftOut] = ()) -> str:
    """Render the self-contained page. Raises CornetError if `runs` is empty."""
    if not runs:
        raise CornetError("a run is missing; name the folders of one or more.")
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
            part("parts.left_out", runs=[{"name": str(one.path), "why": one.why} for one in left_out]),
            part("compare.not_placed", runs=runs, names=PARTS.values()),
            part("compare.differing", names=differing_benchmarks(runs)),
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
    tests = "; ".join(one.text for one in correlations() if one.panel == panel.key)
    caption = f"{panel.reading} Pearson's {tests}."
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
                caption += (
                    " Dashed, hollow, own: accuracy on the run's own images, which is a different task."
                )
        elif matched:
            caption = f"{one.benchmark} of runs; the published curve uses Brain-Score's own data."
        else:
            caption = f"No run has {one.benchmark}."
        if name == "ost":
            caption += " The source gives no ceiling for these values, so they are treated as raw."
        svg = Markup(draw_training(name, runs, f"{one.title} by epoch. {caption}"))
        drawings.append({"heading": one.title, "svg": svg, "caption": caption})
    missing = [CURVE[name].title for name in CURVE if name not in names]
    return part("compare.training", drawings=drawings, matched=matched, missing=missing)
