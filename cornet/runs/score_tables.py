"""Read scores.csv and similar tables of a run's folder, as exact text or leniently as numbers.

An incomplete last line is left out. Numbers that are missing or unreadable become NaN.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cornet.csv_cells import unescape_cell
from cornet.errors import CornetError

__all__ = [
    "EITHER",
    "NUMBER",
    "OLD_ACCURACY",
    "SCORES",
    "TEXT",
    "TRUTH",
    "read_rows",
    "read_scores",
    "read_table",
    "with_current_columns",
]

NUMBER, TEXT, TRUTH, EITHER = "number", "text", "truth", "number or text"

CELLS_PER_PART = 2**18
"""Number of cells that are read at a time."""

SCORES: Mapping[str, str] = {
    "epoch": NUMBER,
    "step": NUMBER,
    "task_metric": TEXT,
    "task_value": NUMBER,
    "weights": TEXT,
    "model": TEXT,
    "benchmark": TEXT,
    "version": NUMBER,
    "region": TEXT,
    "simulated": TRUTH,
    "sites": TEXT,
    "metric": TEXT,
    "split_rule": TEXT,
    "brain_data": TEXT,
    "value": NUMBER,
    "value_error": NUMBER,
    "scale": TEXT,
    "raw": NUMBER,
    "error": NUMBER,
    "ceiling": NUMBER,
    "ood": NUMBER,
    "ood_raw": NUMBER,
    "n": NUMBER,
    "splits": NUMBER,
    "neuroids": NUMBER,
    "notes": TEXT,
    "seconds": NUMBER,
    "failure": TEXT,
    "seed": NUMBER,
    "images": TEXT,
    "commit": TEXT,
    "versions": TEXT,
    "config": TEXT,
}
"""The columns of scores.csv: epoch, step, the task's metric (its name and value, such as val/top1) and weights of an
evaluation, those of `Result.row`, and provenance (`cornet.runs.provenance`)."""

OLD_ACCURACY = "top1"
"""Column of earlier versions, which is now task_value with the task_metric val/top1."""


def read_rows(path: Path | str) -> pd.DataFrame:
    """Read a table with every cell as text. Raises CornetError if it cannot be read as a table."""
    return read_table(Path(path), others=lambda name: TEXT)


def read_scores(path: Path | str) -> pd.DataFrame:
    """Read a scores.csv, or that in a run's folder, as numbers and text, with all columns of `SCORES`.

    Raises CornetError if it cannot be read or the column epoch, benchmark or value is missing.
    """
    path = Path(path)
    path = path / "scores.csv" if path.is_dir() else path
    table = read_table(path, SCORES, needs=("epoch", "benchmark", "value"))
    if OLD_ACCURACY not in table or not table["task_metric"].eq("").all():
        return table
    old = pd.to_numeric(table[OLD_ACCURACY], errors="coerce")
    return table.drop(columns=OLD_ACCURACY).assign(task_metric="val/top1", task_value=old)


def with_current_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of scores with the names of this version."""
    if OLD_ACCURACY not in row:
        return dict(row)
    current: dict[str, Any] = {}
    for name, value in row.items():
        current |= {"task_metric": "val/top1", "task_value": value} if name == OLD_ACCURACY else {name: value}
    return current


def read_table(
    path: Path,
    columns: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = (),
    others: Callable[[str], str | None] = lambda name: EITHER,
    keep: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
) -> pd.DataFrame:
    """Read a table. Missing values are NaN (NUMBER, float), "" (TEXT) or False (TRUTH, bool).

    The file is read in parts: memory is needed for one part and the result, not for the whole file.

    columns: {name: kind} of required columns, filled with missing values if the file lacks them. needs: columns that
    the file must have. others: (name) -> kind of any other column, or None to skip it; EITHER, the default, is NUMBER
    if all entries are numbers, else TEXT. keep: selects the rows to keep of each part. Raises CornetError if the file
    cannot be read or a needed column is missing.
    """
    parts = _parts(path)
    header = next(parts)[0]
    missing = [name for name in needs if name not in header]
    if missing and header:
        raise CornetError(
            f"{path} has no column {missing[0]} ({', '.join(needs)} are needed); restore it, or move it aside."
        )
    added = {name: kind for name, kind in (columns or {}).items() if name not in header}
    kinds = {name: kind for name in header if (kind := (columns or {}).get(name) or others(name))} | added
    positions = {name: position for position, name in enumerate(header) if name in kinds}
    unescaped = _UnescapedCells()

    def frame(rows: Sequence[Sequence[str]]) -> pd.DataFrame:
        empty = [""] * len(rows)
        texts = {name: [row[position] for row in rows] for name, position in positions.items()}
        return pd.DataFrame(
            {name: _typed(texts.get(name, empty), kind, unescaped) for name, kind in kinds.items()},
            index=range(len(rows)),
            columns=pd.Index(kinds, dtype=object),
        )

    table = pd.concat([frame([]), *(keep(frame(rows)) for rows in parts)], ignore_index=True)
    for name in (name for name, kind in kinds.items() if kind == EITHER):
        numbers = pd.Series(_numbers(list(table[name])), index=table.index)
        if numbers.isna().equals(table[name].isin(("", "nan", "NaN"))):
            table[name] = numbers
    return table


class _UnescapedCells(dict[str, str]):
    """A cache of `unescape_cell`, so that equal texts share one object."""

    def __missing__(self, text: str) -> str:
        self[text] = unescaped = unescape_cell(text)
        return unescaped


def _typed(texts: Sequence[str], kind: str, unescaped: _UnescapedCells) -> pd.Series:
    if kind == NUMBER:
        return pd.Series(_numbers(texts))
    texts = list(map(unescaped.__getitem__, texts))
    if kind == TRUTH:
        return pd.Series([text.strip().lower() in ("true", "1", "1.0", "yes") for text in texts], dtype=bool)
    return pd.Series(texts, dtype=object)


def _numbers(texts: Sequence[str]) -> np.ndarray:
    numbers = np.full(len(texts), np.nan)
    # Convert only cells with text: most columns of metrics.csv are nearly empty.
    positions = [position for position, text in enumerate(texts) if text]
    cells = [texts[position] for position in positions]
    if "'" in "".join(cells):
        cells = list(map(unescape_cell, cells))
    numbers[positions] = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(float)
    return numbers


def _parts(path: Path) -> Iterator[list[list[str]]]:
    """Yield the header as one part, then parts of rows padded to its length, without an incomplete last row."""
    try:
        with open(path, "rb") as binary:
            binary.seek(0, io.SEEK_END)
            binary.seek(max(0, binary.tell() - 1))
            ended = binary.read() == b"\n"
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = list(map(unescape_cell, next(reader, [])))
            if len(set(header)) < len(header):
                duplicate = Counter(header).most_common(1)[0][0]
                raise CornetError(f"{path} has the column {duplicate!r} twice; restore it, or move it aside.")
            yield [header]
            number, last = 0, list(islice(reader, 1))
            while last:
                rows = [*last, *islice(reader, max(1, CELLS_PER_PART // max(1, len(header))))]
                last = rows[-1:] if len(rows) > 1 else []
                rows = rows[:-1] if last else rows
                if not last and _is_incomplete(rows[0], len(header), ended):
                    return
                yield [
                    row if len(row) == len(header) else _padded(path, row, len(header), number + k)
                    for k, row in enumerate(rows, 1)
                    if row
                ]
                number += len(rows)
    except (OSError, UnicodeDecodeError) as error:
        raise CornetError(f"{path} cannot be read ({error}); restore it, or move it aside.") from None
    except csv.Error as error:
        raise CornetError(
            f"{path} cannot be read as a table ({error}); restore it, or move it aside."
        ) from None


def _padded(path: Path, row: list[str], entries: int, number: int) -> list[str]:
    if len(row) > entries:
        raise CornetError(
            f"{path} cannot be read as a table (row {number} has {len(row)} entries, and the header {entries}); "
            "restore it, or move it aside."
        )
    return row + [""] * (entries - len(row))


def _is_incomplete(row: list[str], entries: int, ended: bool) -> bool:
    """Return whether the last row lacks entries or may end within a number. ended: the file ends with a line break."""
    if len(row) < entries or not row:
        return True
    if ended:
        return False
    try:
        float(row[-1])
    except ValueError:
        return False
    return True
