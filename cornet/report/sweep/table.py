"""Print the table of a sweep, and compute the rows of sweep.csv."""

from dataclasses import astuple

import pandas as pd

from cornet.report.render import count_text
from cornet.report.sweep.changes import FEW, name_of
from cornet.report.sweep.variants import Sweep, Variant
from cornet.report.terminal_tables import new_table, print_line, simulated_text, with_error
from cornet.terminal import Terminal, cell

__all__ = ["left_out_text", "print_sweep", "sweep_rows"]

FIXED_WIDTH, MEASURE_WIDTH = 58, 15
"""Terminal columns of the table without the measures, and of each measure."""

COSTS = ("parameters", "macs", "depth", "depth_unrolled", "steps", "training_seconds")
"""Names in sweep.csv of the fields of `Cost`."""


def print_sweep(sweep: Sweep, base: Variant, console: Terminal | None = None) -> None:
    """Print one row per variant: factors, seeds, accuracy and scores with intervals (if there is space), and cost.

    Below the table it prints what is not averaged: runs left out, runs stopped early, failed benchmarks.
    """
    console = console or Terminal()
    names = list(sweep.measures)
    shown = names[: max(2, (console.width - FIXED_WIDTH) // MEASURE_WIDTH)]
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
        estimates = [one.estimate(name) for name in shown]
        cells = [with_error(estimate.mean, estimate.high - estimate.mean) for estimate in estimates]
        counts = [count_text(value) for value in (one.cost.macs, one.cost.parameters, one.cost.depth)]
        table.add_row(str(one.number), label, one.seeds_text, *cells, *counts[: len(costs)])
    console.print(f"[bold]{cell(sweep.title)}[/]", highlight=False, soft_wrap=True)
    console.print(table)
    texts = [
        "Accuracy of the best epoch, scores of the last evaluation: means over seeds, and half the width of "
        "their 95 % interval (Student's t; a single seed has none)."
    ]
    if len(shown) < len(names):
        rest = ", ".join(names[len(shown) :])
        texts.append(f"Not shown for lack of space, but in sweep.csv and sweep.html: {rest}.")
    simulated = [one.simulated for one in sweep.measures.values() if one.kind == "brain"]
    texts += [simulated_text(simulated), left_out_text(sweep)]
    for text in [*filter(None, texts), *(f"Note: {note.rstrip('.')}." for note in sweep.notes)]:
        print_line(console, text)


def sweep_rows(sweep: Sweep, base: Variant) -> pd.DataFrame:
    """Return the content of sweep.csv, one row per variant.

    Columns: variant (number), base, folders, factors by their keys, seeds (in the means), stopped_early (seeds), for
    each measure the mean over seeds, its 95 % interval and the number of seeds; parameters, macs (per image), depth,
    depth_unrolled, steps, training_seconds. Unknown values are empty.
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
    """Return a sentence on unfinished and damaged runs; "" if there are none."""
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
    count = len(sweep.left_out)
    return f"{count} run{'s are' if count > 1 else ' is'} left out: {'; '.join(parts)}."
