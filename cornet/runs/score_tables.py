"""Reading scores.csv and similar tables of a run's folder, either as text to the last digit or leniently as numbers.

The last line is left out if it was cut short. As numbers, what is missing or unreadable is NaN.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from cornet.csv_cells import plain_cell
from cornet.errors import CornetError

__all__ = ["EITHER", "NUMBER", "SCORES", "TEXT", "TRUTH", "read_rows", "read_scores", "read_table"]

NUMBER, TEXT, TRUTH, EITHER = "number", "text", "truth", "number or text"

CELLS = 2**18
"""Entries that are read at a time."""

SCORES: Mapping[str, str] = {
    "epoch": NUMBER,
    "step": NUMBER,
    "top1": NUMBER,
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
"""The columns of scores.csv: epoch, step, accuracy and weights of an evaluation, those of `Result.row`, and what the
run was made of (`cornet.runs.provenance`)."""


def read_rows(path: Path | str) -> pd.DataFrame:
    """A table as it is written, every entry as text. Raises CornetError where it cannot be read as a table."""
    return read_table(Path(path), others=lambda name: TEXT)


def read_scores(path: Path | str) -> pd.DataFrame:
    """The rows of a scores.csv, or of that in a run's folder, as numbers; the columns of `SCORES` are all there.

    Raises CornetError where it cannot be read, or lacks epoch, benchmark and value.
    """
    path = Path(path)
    path = path / "scores.csv" if path.is_dir() else path
    return read_table(path, SCORES, needs=("epoch", "benchmark", "value"))


def read_table(
    path: Path,
    columns: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = (),
    others: Callable[[str], str | None] = lambda name: EITHER,
    keep: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
) -> pd.DataFrame:
    """A table with numbers as float, NaN where an entry is none; texts with "" and truths with False where absent.

    The file is read a part at a time: memory is needed for one part and for the result, not for the file.

    columns: the kind of each that must be there, made where it is lacking. needs: columns without which it is not this
    table. others: the kind of any other column by its name, None where it is not wanted; by default a number where all
    its entries are, else a text. keep: which rows of a part to keep. Raises CornetError.
    """
    parts = _parts(path)
    head = next(parts)[0]
    lacking = [name for name in needs if name not in head]
    if lacking and head:
        raise CornetError(
            f"{path} has no column {lacking[0]} ({', '.join(needs)} are needed); restore it, or move it aside."
        )
    made = {name: kind for name, kind in (columns or {}).items() if name not in head}
    wanted = {name: kind for name in head if (kind := (columns or {}).get(name) or others(name))} | made
    places = {name: place for place, name in enumerate(head) if name in wanted}
    plain = _Plain()

    def frame(rows: Sequence[Sequence[str]]) -> pd.DataFrame:
        absent = [""] * len(rows)
        texts = {name: [row[place] for row in rows] for name, place in places.items()}
        return pd.DataFrame(
            {name: _typed(texts.get(name, absent), kind, plain) for name, kind in wanted.items()},
            index=range(len(rows)),
            columns=pd.Index(wanted, dtype=object),
        )

    table = pd.concat([frame([]), *(keep(frame(rows)) for rows in parts)], ignore_index=True)
    for name in (name for name, kind in wanted.items() if kind == EITHER):
        numbers = pd.Series(_numbers(list(table[name])), index=table.index)
        if numbers.isna().equals(table[name].isin(("", "nan", "NaN"))):
            table[name] = numbers
    return table


class _Plain(dict[str, str]):
    """`plain_cell` of each text, computed once; equal texts become one object."""

    def __missing__(self, text: str) -> str:
        self[text] = found = plain_cell(text)
        return found


def _typed(texts: Sequence[str], kind: str, plain: _Plain) -> pd.Series:
    if kind == NUMBER:
        return pd.Series(_numbers(texts))
    texts = list(map(plain.__getitem__, texts))
    if kind == TRUTH:
        return pd.Series([text.strip().lower() in ("true", "1", "1.0", "yes") for text in texts], dtype=bool)
    return pd.Series(texts, dtype=object)


def _numbers(texts: Sequence[str]) -> np.ndarray:
    numbers = np.full(len(texts), np.nan)
    # Most columns of metrics.csv are nearly empty.
    places = [place for place, text in enumerate(texts) if text]
    there = [texts[place] for place in places]
    if "'" in "".join(there):
        there = list(map(plain_cell, there))
    numbers[places] = pd.to_numeric(pd.Series(there, dtype=object), errors="coerce").to_numpy(float)
    return numbers


def _parts(path: Path) -> Iterator[list[list[str]]]:
    """The head alone, then the rows, some at a time, each as long as the head; without a last row that is cut short."""
    try:
        with open(path, "rb") as binary:
            binary.seek(0, io.SEEK_END)
            binary.seek(max(0, binary.tell() - 1))
            ended = binary.read() == b"\n"
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            head = list(map(plain_cell, next(reader, [])))
            if len(set(head)) < len(head):
                twice = Counter(head).most_common(1)[0][0]
                raise CornetError(f"{path} has the column {twice!r} twice; restore it, or move it aside.")
            yield [head]
            number, last = 0, list(islice(reader, 1))
            while last:
                rows = [*last, *islice(reader, max(1, CELLS // max(1, len(head))))]
                last = rows[-1:] if len(rows) > 1 else []
                rows = rows[:-1] if last else rows
                if not last and _cut_short(rows[0], len(head), ended):
                    return
                yield [
                    row if len(row) == len(head) else _padded(path, row, len(head), number + k)
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
            f"{path} cannot be read as a table (row {number} has {len(row)} entries, and the head {entries}); "
            "restore it, or move it aside."
        )
    return row + [""] * (entries - len(row))


def _cut_short(row: list[str], entries: int, ended: bool) -> bool:
    """Whether the last row lacks entries, or ends in what may be part of a number. ended: whether its line is whole."""
    if len(row) < entries or not row:
        return True
    if ended:
        return False
    try:
        float(row[-1])
    except ValueError:
        return False
    return True
