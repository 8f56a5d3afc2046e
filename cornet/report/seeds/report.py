"""Report several seeds: print a table, and write a page beside the seeds' folders."""

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.report.curves import label, task_metric
from cornet.report.render import interval_text, number, page, part, picture, simulated_banner
from cornet.report.run.page import chance_fact, find_run_folder, training_facts, write_page
from cornet.report.seeds.measures import Measure
from cornet.report.seeds.plots import draw_seeds
from cornet.report.seeds.read import Seeds, read_seeds
from cornet.report.seeds.seed_runs import find_seeds, seed_folders
from cornet.report.statistics import Estimate
from cornet.report.terminal_tables import new_table, print_line, simulated_text
from cornet.runs.config import config_text
from cornet.terminal import Terminal, cell

__all__ = ["print_seeds", "print_seeds_summary", "report_runs", "write_seeds_page"]

FIXED_WIDTH, SEED_WIDTH = 56, 8
"""Terminal columns of the table without the single seeds, and of each seed."""


def print_seeds_summary(configurations: Sequence[Sequence[Path]], console: Terminal | None = None) -> None:
    """Print a table of each configuration of a sweep, and write its page beside the seeds' folders.

    configurations: for each, the folders of its runs, in the order of the sweep; skipped if no run is finished. Earlier
    seeds in the same folder are included. Errors are printed and not raised: the numbers are in the runs' folders.
    """
    console = console or Terminal()
    for runs in configurations:
        if not any((run / "finished.json").is_file() for run in runs):
            continue
        try:
            seeds = _with_earlier(runs)
        except CornetError as error:
            print_line(console, f"\nNo means over seeds: {error}")
            continue
        console.print()
        print_seeds(seeds, console)
        try:
            print_line(console, f"Written to {write_seeds_page(seeds)}")
        except (CornetError, OSError) as error:
            print_line(console, f"The report could not be written: {error}")


def report_runs(runs: Sequence[Path], together: bool = False) -> Iterator[Path]:
    """Write the pages of `cornet report`, print tables of several seeds, and yield the pages' paths.

    together: the runs are seeds of one configuration and get one page. Raises CornetError as `find_run_folder`,
    `read_seeds` and the pages do; all folders are found before anything is written.
    """
    pairs = [(find_seeds(run), run) for run in runs]
    folders = [(seeds or find_run_folder(run), seeds is not None) for seeds, run in pairs]
    if together:
        seeds = [seed_folders(folder) if several else [folder] for folder, several in folders]
        yield _report(read_seeds(list(chain.from_iterable(seeds))))
        return
    for folder, several in folders:
        yield _report(read_seeds(folder)) if several else write_page(folder)


def _report(seeds: Seeds) -> Path:
    print_seeds(seeds)
    return write_seeds_page(seeds)


def _with_earlier(runs: Sequence[Path]) -> Seeds:
    """Read the runs and earlier seeds in their folder; without these if one has another configuration."""
    earlier = [folder for folder in seed_folders(runs[0].parent) if folder not in runs]
    try:
        return read_seeds([*runs, *earlier])
    except CornetError:
        if not earlier:
            raise
        return read_seeds(runs)


def write_seeds_page(seeds: Seeds) -> Path:
    """Write report.html into the parent folder of the seeds, and missing reports of seeds. Return its path.

    The page opens from disk and links to the seeds' reports. Raises CornetError if it cannot be written.
    """
    for run in seeds.runs:
        if not (run.path / "report.html").is_file():
            write_page(run.path)
    path = seeds.folder / "report.html"
    atomic_write(path, _page(seeds))
    return path


def _page(seeds: Seeds) -> str:
    summary, several = seeds.runs[0].summary, len(seeds.runs) > 1
    numbers = f"seed{'s' if several else ''} {', '.join(map(str, seeds.numbers))}"
    facts = [*training_facts(summary), *chance_fact(summary), numbers]
    brain = [one for one in seeds.measures if one.kind == "brain"]
    simulated = [one.label for one in brain if one.simulated]
    left_out = [{"name": one.path.name, "why": one.why} for one in seeds.left_out]
    parts = [
        part("seeds.lede", facts="; ".join(facts), folder=str(seeds.folder)),
        simulated_banner([one.label for one in brain], simulated, "all brain scores on this page"),
        part("parts.left_out", runs=left_out, what=" not included in the means."),
        part("seeds.means", measures=seeds.measures, summary=summary),
    ]
    for of_brain in (False, True):
        content = draw_seeds(seeds, of_brain)
        if content is not None:
            narrow = draw_seeds(seeds, of_brain, 1)
            parts.append(picture("seeds.picture", content, narrow, brain=of_brain, several=several))
    paths = [Path(os.path.relpath(run.path / "report.html", seeds.folder)) for run in seeds.runs]
    addresses = dict(zip(seeds.numbers, (quote(path.as_posix()) for path in paths), strict=True))
    config = config_text(seeds.runs[0].path)
    parts += [
        part("seeds.each", addresses=addresses, measures=seeds.measures),
        part("parts.notes", texts=seeds.notes),
        part("seeds.configuration", seed=seeds.numbers[0], text=config),
    ]
    return page(seeds.title, parts)


def print_seeds(seeds: Seeds, console: Terminal | None = None) -> None:
    """Print mean, 95 % interval and each seed's value of every measure, the best values, and all notes."""
    console = console or Terminal()
    each = console.width - FIXED_WIDTH >= SEED_WIDTH * len(seeds.runs)
    title = seeds.title + (f": {seeds.folder.name}" if seeds.folder.name not in ("default", "") else "")
    table = new_table()
    table.add_column("", overflow="fold")
    single = [f"seed {seed}" for seed in seeds.numbers] if each else ["lowest to highest"]
    for heading in ("mean", "95 % interval", "n", *single):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in seeds.measures:
        table.add_row(*_cells(one.label, one.final, one.last, each))
    table.add_section()
    for one in _monitored(seeds):
        table.add_row(*_cells(f"best {label(one.name)}", one.at_best, one.best, each), style="bold")
    console.print(f"[bold]{cell(title)}[/]", highlight=False, soft_wrap=True)
    console.print(table)
    texts = [
        "Values after the last epoch, and at the best epoch. Interval of the mean: Student's t over seeds."
    ]
    texts += filter(None, [simulated_text([one.simulated for one in seeds.measures if one.kind == "brain"])])
    texts += [f"Left out: {run.path.name}: {run.why.rstrip('.')}." for run in seeds.left_out]
    for text in [*texts, *(f"Note: {note.rstrip('.')}." for note in seeds.notes)]:
        print_line(console, text)


def _cells(name: str, estimate: Estimate, values: pd.Series, each: bool) -> list[str]:
    defined = values.dropna()
    if each:
        single = [number(value) for value in values]
    elif len(defined):
        single = [f"{number(defined.min())} to {number(defined.max())}"]
    else:
        single = ["-"]
    return [cell(name), number(estimate.mean), interval_text(estimate), str(estimate.n or "-"), *single]


def _monitored(seeds: Seeds) -> list[Measure]:
    """Return the monitored measures that have a value at the best epoch of any seed."""
    summary, known = seeds.runs[0].summary, {one.name: one for one in seeds.measures}
    names = map(str, (summary.get("monitor", task_metric(summary)), summary.get("brain_monitor", "")))
    return [known[name] for name in dict.fromkeys(names) if name in known and known[name].best.notna().any()]
