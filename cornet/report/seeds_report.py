"""The report of several seeds together: a table on a terminal, and a page beside the seeds' folders."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.opening import read_bytes
from cornet.report.closing import label
from cornet.report.page import chance_fact, find_run_folder, training_facts, write_page
from cornet.report.render import interval_text, number, page, part, picture, simulated_banner
from cornet.report.seeds import Seeds, read_seeds
from cornet.report.seeds_plots import draw_seeds
from cornet.report.seeds_runs import find_seeds, seed_folders
from cornet.report.statistics import Estimate
from cornet.report.tables import new_table
from cornet.terminal import Terminal, cell

__all__ = ["close_seeds", "print_seeds", "report_runs", "write_seeds_page"]


def close_seeds(configurations: Sequence[Sequence[Path]], console: Terminal | None = None) -> None:
    """Print a table of each configuration of a sweep, and write its page beside the seeds' folders.

    configurations: the folders of the runs of each, in the order of the sweep; those of which none is finished are
    passed over. Seeds that the same folder holds from before are shown with them. What goes wrong is told in a
    sentence, and nothing is raised: the numbers are in the runs' folders.
    """
    console = console or Terminal()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for runs in configurations:
        if not any((run / "finished.json").is_file() for run in runs):
            continue
        try:
            seeds = _with_earlier(runs)
        except CornetError as error:
            say(f"\nNo means over seeds: {error}")
            continue
        console.print()
        print_seeds(seeds, console)
        try:
            say(f"Written to {write_seeds_page(seeds)}")
        except (CornetError, OSError) as error:
            say(f"The report could not be written: {error}")


def report_runs(runs: Sequence[Path], together: bool = False) -> Iterator[Path]:
    """Write the pages of `cornet report` and yield their paths: of one run, or of several seeds with their table.

    together: the runs named are seeds of one configuration, and get one page. Raises CornetError as `find_run_folder`,
    `read_seeds` and the pages do, before anything is written for a folder that cannot be found.
    """
    found = [(run, find_seeds(run)) for run in runs]
    if together:
        each = [seed_folders(seeds) if seeds else [find_run_folder(run)] for run, seeds in found]
        yield _report(read_seeds([folder for folders in each for folder in folders]))
        return
    for folder, several in [
        (seeds, True) if seeds else (find_run_folder(run), False) for run, seeds in found
    ]:
        yield _report(read_seeds(folder)) if several else write_page(folder)


def _report(seeds: Seeds) -> Path:
    print_seeds(seeds)
    return write_seeds_page(seeds)


def _with_earlier(runs: Sequence[Path]) -> Seeds:
    """With the seeds that the folder holds from before; without where one of those is of another configuration."""
    earlier = [folder for folder in seed_folders(runs[0].parent) if folder not in runs]
    try:
        return read_seeds([*runs, *earlier])
    except CornetError:
        if not earlier:
            raise
        return read_seeds(runs)


def write_seeds_page(seeds: Seeds) -> Path:
    """Write report.html into the folder that holds the seeds, and each seed's own where it has none; return its path.

    It opens from disk, and needs nothing but the seeds' reports that it links to. Raises CornetError when it cannot be
    written.
    """
    for run in seeds.runs:
        if not (run.path / "report.html").is_file():
            write_page(run.path)
    path = seeds.folder / "report.html"
    atomic_write(path, _page(seeds))
    return path


def _page(seeds: Seeds) -> str:
    left_out = [{"name": one.path.name, "why": one.why} for one in seeds.left_out]
    parts = [_lede(seeds), _banner(seeds), part("parts.left_out", runs=left_out, what=" not averaged in.")]
    parts.append(part("seeds.means", measures=seeds.measures, monitors=_monitors(seeds)))
    for brain in (False, True):
        content = draw_seeds(seeds, brain)
        if content is not None:
            narrow = draw_seeds(seeds, brain, 1)
            several = len(seeds.runs) > 1
            parts.append(picture("seeds.picture", content, narrow, brain=brain, several=several))
    parts += [_each(seeds), part("parts.notes", texts=seeds.notes), _configuration(seeds)]
    return page(seeds.title, parts)


def _lede(seeds: Seeds) -> Markup:
    summary = seeds.runs[0].summary
    numbers = f"seed{'s' if len(seeds.runs) > 1 else ''} {', '.join(map(str, seeds.numbers))}"
    return part(
        "parts.facts",
        what="The same training, begun from different random numbers: what all seeds have in common, and how far one "
        "of them may be from it.",
        told="; ".join([*training_facts(summary), *chance_fact(summary), numbers]),
        label="Runs",
        folder=str(seeds.folder),
    )


def _banner(seeds: Seeds) -> Markup:
    brain = [one for one in seeds.measures if one.kind == "brain"]
    simulated = [one.label for one in brain if one.simulated]
    return simulated_banner([one.label for one in brain], simulated, "all brain scores on this page")


def _monitors(seeds: Seeds) -> str:
    summary = seeds.runs[0].summary
    told = [f"{summary.get('monitor', 'val/top1')} (accuracies, losses)"]
    if summary.get("brain_best") is not None:
        told.append(f"{summary.get('brain_monitor', 'brain/mean')} (brain scores)")
    return " or ".join(told)


def _each(seeds: Seeds) -> Markup:
    """Last and best values, a seed a column, whose head leads to the seed's own report."""
    paths = [Path(os.path.relpath(run.path / "report.html", seeds.folder)) for run in seeds.runs]
    runs = [(run.seed, quote(path.as_posix())) for run, path in zip(seeds.runs, paths, strict=True)]
    return part("seeds.each", runs=runs, measures=seeds.measures)


def _configuration(seeds: Seeds) -> Markup:
    run = seeds.runs[0]
    try:
        config = read_bytes(run.path / "config.yaml").decode()
    except (OSError, UnicodeDecodeError):
        return Markup()
    return part("seeds.configuration", seed=run.seed, text=config)


TAKEN = 56
"""Columns of a terminal that all but the single seeds take, and each of those."""

EACH = 8


def print_seeds(seeds: Seeds, console: Terminal | None = None) -> None:
    """Print mean, 95 % interval and each seed's value of every measure, what is at its best, and what must be known."""
    console = console or Terminal()
    each = console.width - TAKEN >= EACH * len(seeds.runs)
    title = seeds.title + (f": {seeds.folder.name}" if seeds.folder.name not in ("default", "") else "")
    table = new_table()
    table.add_column("", overflow="fold")
    for heading in ("mean", "95 % interval", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in [f"seed {seed}" for seed in seeds.numbers] if each else ["lowest to highest"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in seeds.measures:
        table.add_row(*_cells(one.label, one.final, one.last, each))
    bests = _bests(seeds)
    if bests:
        table.add_section()
    for name, (estimate, values) in bests.items():
        table.add_row(*_cells(f"best {name}", estimate, values, each), style="bold")
    console.print(f"[bold]{cell(title)}[/]", highlight=False, soft_wrap=True)
    console.print(table)
    _print_notes(seeds, console)


def _cells(name: str, estimate: Estimate, values: pd.Series, each: bool) -> list[str]:
    there = values.dropna()
    if each:
        single = [number(value) for value in values]
    elif len(there):
        single = [f"{number(there.min())} to {number(there.max())}"]
    else:
        single = ["-"]
    return [cell(name), number(estimate.mean), interval_text(estimate), str(estimate.n or "-"), *single]


def _bests(seeds: Seeds) -> Mapping[str, tuple[Estimate, pd.Series]]:
    """What the runs were judged by, at its best epoch of each seed."""
    summary = seeds.runs[0].summary
    monitors = [summary.get("monitor", "val/top1"), summary.get("brain_monitor", "")]
    known = {one.name: one for one in seeds.measures}
    found = {}
    for name in dict.fromkeys(map(str, monitors)):
        if name in known and known[name].best.notna().any():
            found[label(name)] = (known[name].at_best, known[name].best)
    return found


def _print_notes(seeds: Seeds, console: Terminal) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say("After the last epoch, and at the best one. Interval of the mean: Student's t over seeds.")
    if any(one.simulated for one in seeds.measures):
        names = [one.label for one in seeds.measures if one.kind == "brain" and not one.simulated]
        what = "Brain scores are simulated" if not names else "Scores named simulated are so"
        say(f"{what}: a check of the pipeline; no brain was recorded.")
    for run in seeds.left_out:
        say(f"Left out: {run.path.name}: {run.why.rstrip('.')}.")
    for note in seeds.notes:
        say(f"Note: {note.rstrip('.')}.")
