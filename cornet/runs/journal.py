"""Tables of a run that grow while it trains: a journal of JSON lines, and the CSV that people open.

A journal is only appended to. A process that is killed can leave its last line cut short, which the next one removes; a
run that continues from a checkpoint drops the lines after it. The CSV is written from the journal, aside and renamed.
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

from cornet.csv_cells import safe_cell
from cornet.errors import CornetError
from cornet.files import NewFile, sync, write_error
from cornet.opening import SAFE, open_checked, open_regular

__all__ = ["Journal", "Row", "write_table"]

Row = dict[str, Any]


class Journal:
    """Rows (a dict of numbers and texts each) in a file `path`, which is made with the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._whole = False  # whether the file is known to end with a whole line

    def read(self) -> Iterator[Row]:
        """The rows in order, without a last line that is cut short. Raises CornetError for another kind of file."""
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
        """Write rows at the end, in one call. Raises CornetError, and leaves the file as it was, on a full disk."""
        data = "".join(f"{json.dumps(row, default=_number)}\n" for row in rows).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_checked(self.path, os.O_RDWR | os.O_CREAT | SAFE)
            try:
                end = os.lseek(descriptor, 0, os.SEEK_END)
                if not self._whole:
                    end = _cut(descriptor, end)
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
        self._whole = True

    def keep(self, wanted: Callable[[Row], bool]) -> None:
        """Drop all rows but these."""
        rows = list(self.read())
        kept = [row for row in rows if wanted(row)]
        if len(kept) < len(rows):
            text = "".join(f"{json.dumps(row)}\n" for row in kept).encode()
            try:
                with NewFile(self.path) as new:
                    new.file.write(text)
                    new.commit()
            except OSError as error:
                raise write_error(self.path, len(text), error) from error

    def sync(self) -> None:
        """Bring the file to the disk, as far as it is written."""
        sync(self.path)


def write_table(
    path: Path,
    rows: Callable[[], Iterable[Row]],
    first: Sequence[str] = (),
    key: str = "",
    nan: str = "nan",
) -> None:
    """Write rows as CSV: the columns `first`, then the others in the order in which they first come.

    rows: called twice, so that memory is needed for one row at a time. key: neighbours with the same value in this
    column become one row, in which later values replace earlier ones. nan: how a missing number is written. Nothing is
    written where there are no rows. Raises CornetError.
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
            for row in _with_head(columns, rows(), key):
                data = _line([row.get(name) for name in columns], nan)
                size += len(data)
                new.file.write(data)
            new.commit()
    except OSError as error:
        raise write_error(path, size, error) from error


def _with_head(columns: Iterable[str], rows: Iterable[Row], key: str) -> Iterator[Row]:
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
    """Numbers to the last digit; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return nan if math.isnan(value) else repr(value)
    return safe_cell(value) if isinstance(value, str) else str(value)


def _cut(descriptor: int, end: int) -> int:
    """Remove a last line that is cut short, and return the new end."""
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
    """The number in a tensor or an array of one."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is neither a number nor a text")
