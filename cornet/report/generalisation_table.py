"""Print the table of generalisation to a terminal."""

import math
from typing import TYPE_CHECKING

from cornet.report.terminal_tables import new_table
from cornet.terminal import Terminal, cell

if TYPE_CHECKING:
    from cornet.brain.generalisation import Generalisation, Row

__all__ = ["print_generalisation"]


def print_generalisation(found: "Generalisation") -> None:
    """Print a table per model and benchmark, the notes, the agreement over models, and what was not measured."""
    console = Terminal(highlight=False)
    notes: dict[str, int] = {}
    for model, benchmark in dict.fromkeys((one.model, one.benchmark) for one in found.rows):
        table = new_table()
        table.title, table.title_justify = f"[bold]{cell(model)}[/] on {cell(benchmark)}", "left"
        table.add_column("kind", overflow="fold")
        for heading in ("n", "raw", "ceiling", "value", "drop"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in found.rows:
            if (one.model, one.benchmark) == (model, benchmark):
                table.add_row(*cells(one, notes))
        console.print(table)
    scales = " or ".join(dict.fromkeys(one.scale for one in found.rows))
    console.print(
        f"n: stimuli x neuroids. value: {scales}, with its 95 % interval. drop: the value of the reference (against "
        "...; if none is given, the ordinary row) minus the value. Its interval is paired: both have the same draws of "
        "neuroids and stimuli, or of people. A drop without an interval is not paired."
    )
    for text, mark in notes.items():
        console.print(f"({mark}) {cell(text)}.")
    agreement = found.agreement()
    if len(agreement):
        console.print("Pearson's r over models, of the ordinary values and those of another kind:")
        for line in agreement.itertuples():
            how = f"{line.fitted} -> {line.tested}" if line.fitted else line.tested
            text = f"  {line.benchmark}, {line.kind}, {how}: {line.r:.3f} ({line.models} models)"
            console.print(cell(text))
    print_missing(console, found)


def cells(one: "Row", notes: dict[str, int]) -> list[str]:
    """Return the cells of a row. Its notes are added to `notes`, {text: number}."""
    text = f"[bold]{cell(one.kind)}[/]"
    if one.site:
        text += f" [dim]{cell(one.site)}[/]"
    text += f"\nfitted: {cell(one.fitted)}"
    if one.kind != "ordinary" and not one.kind.endswith("session") and not one.kind.startswith("new session"):
        text += f"\ntested: {cell(one.tested)}"
    if one.against and one.against != "ordinary":
        text += f"\n[dim]against {cell(one.against)}: {number(one.reference)}; "
        text += f"ordinary minus value: {one.from_ordinary:+.3f}[/]"
    texts = [note for note in one.notes.split("; ") if note]
    if texts:
        joined = "; ".join(texts)
        text += f" ({notes.setdefault(joined, len(notes) + 1)})"
    return [
        text,
        f"{one.stimuli}" + (f" x {one.neuroids}" if one.neuroids else ""),
        number(one.raw),
        number(one.ceiling),
        with_interval(one.value, one.low, one.high),
        with_interval(one.drop, one.drop_low, one.drop_high, sign=True),
    ]


def print_missing(console: Terminal, found: "Generalisation") -> None:
    """Print what was not measured: a line per reason, with all models, benchmarks and kinds that it holds for."""
    reasons: dict[str, tuple[dict[str, None], dict[str, None], dict[str, None]]] = {}
    for missing in found.missing:
        for known, value in zip(reasons.setdefault(missing[3], ({}, {}, {})), missing[:3], strict=True):
            known[value] = None
    if reasons:
        console.print("Not measured:")
    for reason, (models, benchmarks, kinds) in reasons.items():
        where = "; ".join(", ".join(names) for names in (kinds, models, benchmarks))
        console.print(cell(f"  {where}: {reason}."))


def number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def with_interval(value: float, low: float, high: float, sign: bool = False) -> str:
    """A value, and its interval below it."""
    if not math.isfinite(value):
        return "-"
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    return f"{text}\n{low:.2f} to {high:.2f}" if math.isfinite(low) else text
