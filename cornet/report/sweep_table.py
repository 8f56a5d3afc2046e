"""A sweep as one table: on a terminal, and as sweep.csv with all of its numbers."""

import math
from collections.abc import Sequence

import pandas as pd

from cornet.report.statistics import Estimate
from cornet.report.sweep_changes import FEW, name_of
from cornet.report.sweep_runs import Sweep, Variant
from cornet.report.tables import new_table, with_error
from cornet.terminal import Terminal, cell

__all__ = [
    "count_text",
    "left_out_text",
    "print_sweep",
    "seeds_text",
    "simulated_text",
    "sweep_rows",
    "time_text",
]

TAKEN, EACH = 58, 15
"""Columns of a terminal that all but the scores take, and each of those."""


def print_sweep(sweep: Sweep, base: Variant, console: Terminal | None = None) -> None:
    """Print a row a variant: its factors, seeds, cost, accuracy, and scores as far as there is room, with intervals.

    What is not averaged is said below: runs left out, stopped early, failed benchmarks.
    """
    console = console or Terminal()
    names = list(sweep.measures)
    shown = names[: max(2, (console.width - TAKEN) // EACH)]
    table = new_table()
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("variant", overflow="fold", min_width=16)
    table.add_column("seeds", justify="right", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", min_width=11, overflow="fold")
    costs = ("MACs", "param.", "depth") if console.width >= 100 else ("MACs",)
    for heading in costs:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in sweep.variants:
        cells = [_cell(one.estimate(name)) for name in shown]
        cost = one.cost
        label = cell(name_of(sweep, base, one))
        if one is base:
            label = f"[bold]{label}[/]" if len(sweep.factors) > FEW else f"{label} [bold](base)[/]"
        told = [count_text(value) for value in (cost.macs, cost.parameters, cost.depth)]
        table.add_row(str(one.number), label, seeds_text(one), *cells, *told[: len(costs)])
    console.print(f"[bold]{cell(sweep.title)}[/]", highlight=False, soft_wrap=True)
    console.print(table)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(
        "Accuracy of the best epoch, scores of the last evaluation: means over seeds, and how far their 95 % "
        "interval reaches to both sides (Student's t; one seed has none)."
    )
    if len(shown) < len(names):
        say(f"Not shown for want of room, but in sweep.csv and sweep.html: {', '.join(names[len(shown) :])}.")
    for text in (simulated_text(sweep), left_out_text(sweep)):
        if text:
            say(text)
    for note in sweep.notes:
        say(f"Note: {note.rstrip('.')}.")


def sweep_rows(sweep: Sweep, base: Variant) -> pd.DataFrame:
    """The content of sweep.csv: a row a variant.

    variant (number), base, folders, factors by their keys, seeds (of the means), stopped_early (seeds), then of each
    measure the mean over seeds, its 95 % interval and the seeds that have it; parameters, macs (per image), depth,
    depth_unrolled, steps, training_seconds. What is not known is empty.
    """
    rows = []
    for one in sweep.variants:
        parents = dict.fromkeys(path.parent.relative_to(sweep.folder).as_posix() for path in one.folders)
        row: dict[str, object] = {"variant": one.number, "base": one is base, "folders": " ".join(parents)}
        row |= {factor.key: factor.text(one.values[factor.key]) for factor in sweep.factors}
        row |= {"seeds": " ".join(map(str, one.seeds)), "stopped_early": " ".join(map(str, one.stopped))}
        for name in sweep.measures:
            estimate = one.estimate(name)
            row |= {
                name: estimate.mean,
                f"{name}, low": estimate.low,
                f"{name}, high": estimate.high,
                f"{name}, n": estimate.n,
            }
        cost = one.cost
        row |= {
            "parameters": cost.parameters,
            "macs": cost.macs,
            "depth": cost.depth,
            "depth_unrolled": cost.unrolled,
            "steps": cost.steps,
            "training_seconds": cost.seconds,
        }
        rows.append(row)
    whole = ["parameters", "macs", "depth", "depth_unrolled", "steps"]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def seeds_text(one: Variant) -> str:
    """3, or 1 + 2 stopped."""
    return f"{len(one.seeds)}" + (f" + {len(one.stopped)} stopped" if one.stopped else "")


def count_text(value: float) -> str:
    """15; 534,982; 0.535 M; 16.4 G; - for what is not known."""
    if not math.isfinite(value):
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}" if value < 999.5 * size else f"{value / size:,.0f} {unit}"
    return f"{value:,.0f}"


def time_text(seconds: float) -> str:
    """45 s, 12 min, 3.4 h; - for what is not known."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def simulated_text(sweep: Sweep) -> str:
    """A sentence where benchmarks are simulated; "" where none is."""
    brain = [name for name, one in sweep.measures.items() if one.kind == "brain"]
    if not sweep.simulated:
        return ""
    what = (
        "Brain scores are simulated"
        if len(sweep.simulated) == len(brain)
        else "Scores named simulated are so"
    )
    return f"{what}: a check of the pipeline; no brain was recorded."


def left_out_text(sweep: Sweep) -> str:
    """One sentence on runs that are not finished or damaged; "" where there are none."""
    if not sweep.left_out:
        return ""
    reasons: dict[str, list[str]] = {}
    for one in sweep.left_out:
        reasons.setdefault(one.why.rstrip("."), []).append(one.path.relative_to(sweep.folder).as_posix())
    parts = [_reason(why, names) for why, names in reasons.items()]
    number_of = len(sweep.left_out)
    return f"{number_of} run{'s are' if number_of > 1 else ' is'} left out: {'; '.join(parts)}."


def _reason(why: str, names: Sequence[str]) -> str:
    if why == "it is not finished":
        return f"{len(names)} not finished (repeat the command that trains them)"
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"{shown}: {why}"


def _cell(estimate: Estimate) -> str:
    return with_error(estimate.mean, estimate.high - estimate.mean)
