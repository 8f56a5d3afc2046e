"""Reading the tables that scoring leaves in a run's folder: scores.csv, and those of the same kind beside it.

They are written aside and renamed, so that ours are whole; a copy may have been cut short, and then a last line that is
not whole is left out. Reading is in two ways: as text to the last digit, for programs that write the table again, and
leniently as numbers, where what is missing or unreadable is NaN.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cornet.csv_cells import plain_cell
from cornet.errors import CornetError

__all__ = ["NUMBER", "SCORES", "TEXT", "TRUTH", "read_rows", "read_scores", "read_table"]

NUMBER, TEXT, TRUTH = "number", "text", "truth"

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
run was made of (`cornet.training.provenance`)."""


def read_rows(path: Path | str) -> pd.DataFrame:
    """A table as it is written, every entry as text. Raises CornetError where it cannot be read as a table."""
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CornetError(f"{path} cannot be read ({error}); restore it, or move it aside.") from None
    try:
        head, *rows = [list(map(plain_cell, row)) for row in csv.reader(io.StringIO(text, newline=""))] or [
            []
        ]
    except csv.Error as error:
        raise CornetError(
            f"{path} cannot be read as a table ({error}); restore it, or move it aside."
        ) from None
    if twice := [name for place, name in enumerate(head) if name in head[:place]][:1]:
        raise CornetError(f"{path} has the column {twice[0]!r} twice; restore it, or move it aside.")
    if rows and _cut_short(rows[-1], len(head), text):
        rows.pop()
    for number, row in enumerate(rows, 1):
        if len(row) > len(head):
            raise CornetError(
                f"{path} cannot be read as a table (row {number} has {len(row)} entries, and the head {len(head)}); "
                "restore it, or move it aside."
            )
    whole = [row + [""] * (len(head) - len(row)) for row in rows if row]
    return pd.DataFrame(whole, columns=pd.Index(head, dtype=object), dtype=object)


def read_scores(path: Path | str) -> pd.DataFrame:
    """The rows of a scores.csv, or of that in a run's folder, as numbers; the columns of `SCORES` are all there.

    Raises CornetError where it cannot be read, or lacks epoch, benchmark and value.
    """
    path = Path(path)
    path = path / "scores.csv" if path.is_dir() else path
    return read_table(path, SCORES, needs=("epoch", "benchmark", "value"))


def read_table(
    path: Path, columns: Mapping[str, str] | None = None, needs: tuple[str, ...] = ()
) -> pd.DataFrame:
    """A table with numbers as float, NaN where an entry is none; texts with "" and truths with False where absent.

    columns: the kind of each that must be there, made where it is lacking; any other is a number where all its entries
    are. needs: columns without which it is not this table. Raises CornetError.
    """
    written = read_rows(path)
    lacking = [name for name in needs if name not in written]
    if lacking and len(written.columns):
        raise CornetError(
            f"{path} has no column {lacking[0]} ({', '.join(needs)} are needed); restore it, or move it aside."
        )
    kinds = dict(columns or {})
    names = [*written.columns, *(name for name in kinds if name not in written)]
    return pd.DataFrame(
        {name: _typed(written, name, kinds.get(name, "")) for name in names},
        index=written.index,
        columns=names,
    )


def _typed(written: pd.DataFrame, name: str, kind: str) -> pd.Series:
    if name not in written:
        absent = {NUMBER: np.nan, TRUTH: False}.get(kind, "")
        return pd.Series(
            [absent] * len(written), index=written.index, dtype=type(absent) if kind != TEXT else object
        )
    texts = written[name]
    if kind == TEXT:
        return texts
    if kind == TRUTH:
        return texts.str.strip().str.lower().isin(("true", "1", "1.0", "yes"))
    numbers = pd.to_numeric(texts.replace("", np.nan), errors="coerce").astype(float)
    return numbers if kind == NUMBER or numbers.isna().equals(texts.isin(("", "nan", "NaN"))) else texts


def _cut_short(row: list[str], entries: int, text: str) -> bool:
    """Whether the last row is a part of one: entries are lacking, or the last one may be a part of a number."""
    if len(row) < entries or not row:
        return True
    if text.endswith("\n"):
        return False
    try:
        float(row[-1])
    except ValueError:
        return False
    return True
