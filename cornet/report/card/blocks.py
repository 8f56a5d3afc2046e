"""The parts of a card, independent of its format, and their Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cornet.errors import printable

__all__ = [
    "FORMATS",
    "MISSING",
    "Block",
    "Cell",
    "Code",
    "Facts",
    "Items",
    "Section",
    "Table",
    "Texts",
    "markdown",
    "told",
]

FORMATS = ("html", "md")
"""Formats of a card."""

MISSING = "not recorded"
"""What a card says instead of a value that the run's folder does not have."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table. small: words below the text. simulated: mark it so."""

    text: str
    small: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: Sequence[tuple[str, str]]
    kind: str = "facts"


@dataclass(frozen=True)
class Table:
    """A table, whose first column names the rows. note: a sentence below it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Items:
    """A list."""

    texts: Sequence[str]
    kind: str = "items"


@dataclass(frozen=True)
class Texts:
    """Paragraphs. warning: show them as a warning."""

    texts: Sequence[str]
    warning: bool = False
    kind: str = "texts"


@dataclass(frozen=True)
class Code:
    """Text to copy as it is."""

    text: str
    kind: str = "code"


Block = Facts | Table | Items | Texts | Code


@dataclass(frozen=True)
class Section:
    """A heading ("" for none) and what stands below it."""

    heading: str
    blocks: Sequence[Block]


def told(value: Any) -> str:
    """Return a recorded value as text; MISSING for None, an empty text, and an empty list or mapping."""
    if value is None or value == "" or value == [] or value == {}:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(told, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {told(one)}" for key, one in value.items())
    return str(value)


def markdown(title: str, sections: Iterable[Section]) -> str:
    """Return a card as Markdown. All text is escaped, so that nothing in a run's folder becomes markup."""
    lines = [f"# {_plain(title)}", ""]
    for section in sections:
        if section.heading:
            lines += [f"## {_plain(section.heading)}", ""]
        for block in section.blocks:
            lines += [*_lines(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def _lines(block: Block) -> list[str]:
    if isinstance(block, Facts):
        return [f"* {_plain(name)}: {_plain(value)}" for name, value in block.rows]
    if isinstance(block, Items):
        return [f"* {_plain(text)}" for text in block.texts]
    if isinstance(block, Texts):
        mark = "> " if block.warning else ""
        return [line for text in block.texts for line in (f"{mark}{_plain(text)}", mark.strip())][:-1]
    if isinstance(block, Code):
        return ["```", *(printable(line.replace("`", "'")) for line in block.text.splitlines()), "```"]
    rows = [[_cell(cell) for cell in row] for row in block.rows]
    lines = [_row(map(_plain, block.columns)), _row(["---", *["---:"] * (len(block.columns) - 1)])]
    return [*lines, *map(_row, rows), *(["", _plain(block.note)] if block.note else [])]


def _cell(cell: Cell) -> str:
    text = _plain(cell.text) + (" (simulated)" if cell.simulated else "")
    return f"{text}<br>{_plain(cell.small)}" if cell.small else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Escape Markdown and HTML; an underscore within a word is plain in both."""
    text = re.sub(r"([\\`*\[\]<>|&#~$])", r"\\\1", printable(" ".join(str(text).split())))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
