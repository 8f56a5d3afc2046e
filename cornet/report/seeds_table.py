"""Several seeds as a table on a terminal."""

from collections.abc import Mapping

import pandas as pd

from cornet.report.closing import label
from cornet.report.render import interval_text, number
from cornet.report.seeds import Seeds
from cornet.report.statistics import Estimate
from cornet.report.tables import new_table
from cornet.terminal import Terminal, cell

__all__ = ["print_seeds"]

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
