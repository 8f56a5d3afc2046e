"""A sweep as one table: on a terminal, and as sweep.csv with all of its numbers."""

from dataclasses import astuple

import pandas as pd

from cornet.report.render import count_text
from cornet.report.sweep.changes import FEW, name_of
from cornet.report.sweep.variants import Sweep, Variant
from cornet.report.terminal_tables import new_table, say, simulated_text, with_error
from cornet.terminal import Terminal, cell

__all__ = ["left_out_text", "print_sweep", "sweep_rows"]

TAKEN, EACH = 58, 15
"""Columns of a terminal that all but the scores take, and each of those."""

COSTS = ("parameters", "macs", "depth", "depth_unrolled", "steps", "training_seconds")
"""The fields of `Cost`, as they are called in sweep.csv."""


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
        label = cell(name_of(sweep, base, one))
        if one is base:
            label = f"[bold]{label}[/]" if len(sweep.factors) > FEW else f"{label} [bold](base)[/]"
        found = [one.estimate(name) for name in shown]
        cells = [with_error(estimate.mean, estimate.high - estimate.mean) for estimate in found]
        told = [count_text(value) for value in (one.cost.macs, one.cost.parameters, one.cost.depth)]
        table.add_row(str(one.number), label, one.seeds_text, *cells, *told[: len(costs)])
    console.print(f"[bold]{cell(sweep.title)}[/]", highlight=False, soft_wrap=True)
    console.print(table)
    texts = [
        "Accuracy of the best epoch, scores of the last evaluation: means over seeds, and how far their 95 % "
        "interval reaches to both sides (Student's t; one seed has none)."
    ]
    if len(shown) < len(names):
        rest = ", ".join(names[len(shown) :])
        texts.append(f"Not shown for want of room, but in sweep.csv and sweep.html: {rest}.")
    simulated = [one.simulated for one in sweep.measures.values() if one.kind == "brain"]
    texts += [simulated_text(simulated), left_out_text(sweep)]
    for text in [*filter(None, texts), *(f"Note: {note.rstrip('.')}." for note in sweep.notes)]:
        say(console, text)


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
            row[name] = estimate.mean
            row |= {f"{name}, {part}": getattr(estimate, part) for part in ("low", "high", "n")}
        rows.append(row | dict(zip(COSTS, astuple(one.cost), strict=False)))
    return pd.DataFrame(rows).astype(dict.fromkeys(COSTS[:-1], "Int64"))


def left_out_text(sweep: Sweep) -> str:
    """One sentence on runs that are not finished or damaged; "" where there are none."""
    if not sweep.left_out:
        return ""
    reasons: dict[str, list[str]] = {}
    for one in sweep.left_out:
        reasons.setdefault(one.why.rstrip("."), []).append(one.path.relative_to(sweep.folder).as_posix())
    parts = []
    for why, names in reasons.items():
        if why == "it is not finished":
            parts.append(f"{len(names)} not finished (repeat the command that trains them)")
        else:
            parts.append(f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}: {why}")
    number_of = len(sweep.left_out)
    return f"{number_of} run{'s are' if number_of > 1 else ' is'} left out: {'; '.join(parts)}."
