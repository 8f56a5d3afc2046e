"""Write tables that grow during training: an append-only journal of JSON lines, and a CSV file for users.

If a process is killed while writing, the next process removes the incomplete last line. A run that resumes from a
checkpoint drops later lines. The CSV is written from the journal to a temporary file and renamed.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from cornet.csv_cells import escape_cell
from cornet.errors import CornetError
from cornet.files import NewFile, sync, write_error
from cornet.opening import SAFE, open_checked, open_regular

__all__ = ["Journal", "Row", "write_table"]

Row = dict[str, Any]


class Journal:
    """A file of rows, each a dictionary of numbers and text. The first row creates the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._complete = False  # whether the file is known to end with a line break

    def read(self) -> Iterator[Row]:
        """Yield the rows in order, without an incomplete last line. Raises CornetError if the file is not a journal."""
        try:
            with open_regular(self.path) as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n"):
                        return
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError(f"line {number} is not an object")
                    yield row
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            raise CornetError(f"{self.path} cannot be read ({error}); rename or remove it.") from None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows in one write. On a full disk it leaves the file unchanged and raises CornetError."""
        data = "".join(f"{json.dumps(row, default=_number)}\n" for row in rows).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_checked(self.path, os.O_RDWR | os.O_CREAT | SAFE)
            try:
                end = os.lseek(descriptor, 0, os.SEEK_END)
                if not self._complete:
                    end = _remove_incomplete_line(descriptor, end)
                try:
                    written = os.write(descriptor, data)
                    if written != len(data):
                        written += os.write(descriptor, data[written:])
                except OSError:
                    os.ftruncate(descriptor, end)
                    raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise write_error(self.path, len(data), error) from error
        self._complete = True

    def filter(self, condition: Callable[[Row], bool]) -> None:
        """Remove the rows that do not fulfil the condition."""
        rows = list(self.read())
        remaining = [row for row in rows if condition(row)]
        if len(remaining) < len(rows):
            text = "".join(f"{json.dumps(row)}\n" for row in remaining).encode()
            try:
                with NewFile(self.path) as new:
                    new.file.write(text)
                    new.commit()
            except OSError as error:
                raise write_error(self.path, len(text), error) from error

    def sync(self) -> None:
        """Flush the file to disk."""
        sync(self.path)


def write_table(
    path: Path,
    rows: Callable[[], Iterable[Row]],
    first: Sequence[str] = (),
    key: str = "",
    nan: str = "nan",
) -> None:
    """Write rows as CSV: the columns `first`, then the others in order of first appearance.

    rows: called twice, so that only one row is in memory at a time. key: consecutive rows with the same value in this
    column are merged; later values replace earlier ones. nan: text for NaN. If there are no rows, nothing is written.
    Raises CornetError if the file cannot be written.
    """
    columns = dict.fromkeys(first)
    empty = True
    for row in rows():
        empty = False
        columns.update(dict.fromkeys(row))
    if empty:
        return
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NewFile(path) as new:
            for row in _header_and_rows(columns, rows(), key):
                data = _line([row.get(name) for name in columns], nan)
                size += len(data)
                new.file.write(data)
            new.commit()
    except OSError as error:
        raise write_error(path, size, error) from error


def _header_and_rows(columns: Iterable[str], rows: Iterable[Row], key: str) -> Iterator[Row]:
    yield {name: name for name in columns}
    if not key:
        yield from rows
        return
    for _, same in groupby(rows, lambda row: row.get(key)):
        merged: Row = {}
        for row in same:
            merged.update(row)
        yield merged


def _line(values: Sequence[Any], nan: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([_cell(value, nan) for value in values])
    return out.getvalue().encode(errors="backslashreplace")


def _cell(value: Any, nan: str) -> str:
    """Format a value as CSV text: numbers with all digits, None as an empty cell."""
    if value is None:
        return ""
    if isinstance(value, float):
        return nan if math.isnan(value) else repr(value)
    return escape_cell(value) if isinstance(value, str) else str(value)


def _remove_incomplete_line(descriptor: int, end: int) -> int:
    """Truncate the file after its last line break and return the new end."""
    size, block = end, 1 << 16
    while size:
        start = max(0, size - block)
        tail = os.pread(descriptor, size - start, start)
        if (place := tail.rfind(b"\n")) >= 0:
            size = start + place + 1
            break
        size = start
    if size < end:
        os.ftruncate(descriptor, size)
    os.lseek(descriptor, size, os.SEEK_SET)
    return size


def _number(value: Any) -> Any:
    """Return the number in a tensor or array of one element. Raises TypeError for other values."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is neither a number nor text")
