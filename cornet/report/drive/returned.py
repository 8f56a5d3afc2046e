"""Print the evaluation of responses to synthesised images, and write its table and page."""

import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.report.drive.plots import Row, draw_rows
from cornet.report.render import number, page, part
from cornet.report.terminal_tables import new_table
from cornet.synthesis.driven.returned import HALVES, Returned
from cornet.terminal import Terminal, cell

__all__ = ["print_returned", "returned_page", "returned_rows", "write_returned"]

METHOD = (
    f"The best image is chosen on one half of the trials and measured on the other, for synthesised and natural images "
    f"alike, averaged over both directions and {HALVES} random halves. Intervals: 95 % bootstrap over neuroids."
)


def write_returned(found: Returned, folder: Path) -> Path:
    """Write responses.csv and responses.html into the folder of the images, and return the page's path."""
    atomic_write(folder / "responses.csv", csv_text(found.table()))
    path = folder / "responses.html"
    atomic_write(path, returned_page(found))
    return path


def returned_page(found: Returned) -> str:
    stretch = found.trials.mode == "stretch"
    values = found.stretch if stretch else found.synthetic - found.natural
    axis = (
        "change over the best natural image, %" if stretch else "share, minus that of the best natural image"
    )
    row = Row("measured", values, True)
    plot = draw_rows([row], found.trials.neuroids, axis, "Each neuroid", "measured", 0.0)
    return page(
        "Measured responses to synthesised images",
        [
            part("drive.lede", what=what_text(found), facts=[METHOD.rstrip(".")], findings=findings(found)),
            part("drive.measured", drawing=Markup(plot), rows=returned_rows(found), stretch=stretch),
            part("parts.notes", texts=list(found.trials.notes)),
        ],
    )


def what_text(found: Returned) -> str:
    trials = found.trials
    return (
        f"Responses of {len(trials.neuroids)} neuroids to {len(trials.files)} images in {len(trials.values)} "
        f"repetitions (mode {trials.mode})."
    )


def findings(found: Returned) -> list[str]:
    share, low, high = found.beyond
    first = f"Beyond the best natural image: {share:.0%} of the neuroids ({low:.0%} to {high:.0%})."
    if found.trials.mode != "stretch":
        return [first]
    median, low, high = found.median
    return [first, f"Stretch: median {number(median, 1)} % ({number(low, 1)} to {number(high, 1)})."]


def returned_rows(found: Returned) -> list[dict[str, Any]]:
    """A row for each neuroid, as plain data; None where a value is unknown."""
    rows: list[dict[str, Any]] = found.table().to_dict("records")
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]


def print_returned(found: Returned) -> None:
    """Print a row for each neuroid, and what was found."""
    console = Terminal(highlight=False)
    console.print(cell(what_text(found)))
    table = new_table()
    table.add_column("neuroid", overflow="fold")
    for heading in ("synthetic", "natural", "stretch %", "beyond"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in returned_rows(found):
        stretch = math.nan if row["stretch_percent"] is None else row["stretch_percent"]
        values = [number(row["synthetic"], 2), number(row["natural"], 2), number(stretch, 1)]
        table.add_row(cell(row["neuroid"]), *values, "yes" if row["beyond"] else "no")
    console.print(table)
    for text in [*findings(found), METHOD, *found.trials.notes]:
        console.print(cell(text[:1].upper() + text[1:].rstrip(".") + "."))
