"""Keep unfinished conversions in a work folder: a flat file of responses, a partial archive, and a journal.

The journal is text: a header and then one JSON object a line for each block and each image that is safely on disk. A
killed process leaves at most one torn line at the end, which is ignored. A header that differs from the present one
(changed files, options or blocks) makes the conversion start again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.data.convert.base import Block
from cornet.brain.data.convert.writing.stored_zip import StoredEntry
from cornet.files import file_error, sync

__all__ = ["FlatResponses", "Journal", "block_hash", "work_folder"]


def work_folder(target: Path) -> Path:
    """Return the work folder of a bundle: beside it, so that finished files can be renamed into place."""
    return target.with_name(f"{target.name}.part")


def block_hash(values: NDArray[Any]) -> str:
    """SHA-256 of a block's values in the order (row, column, time bin)."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


class Journal:
    """What is on disk. blocks: {index: {"sha256": hash, ...}}. images: finished entries of the archive, in order.

    restarted: why an earlier conversion was discarded, or "".
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self.path = folder / "journal.jsonl"
        self.blocks: dict[int, dict[str, Any]] = {}
        self.images: list[StoredEntry] = []
        self.restarted = ""
        known = json.loads(json.dumps(header))
        lines = self._lines()
        if lines and lines[0] != known:
            changed = [key for key in known if lines[0].get(key) != known[key]]
            self.restarted = ", ".join(changed) or "the version"
            for path in folder.iterdir():
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            lines = []
        for line in lines[1:]:
            if "block" in line:
                self.blocks[line["block"]] = line
            else:
                self.images.append(StoredEntry(**line["image"]))
        self._file = open(self.path, "ab" if lines else "wb")  # noqa: SIM115 (closed by close)
        if lines:
            self._file.truncate(self._good)
        else:
            self._append(known)

    def add_block(self, index: int, sha256: str, late: Mapping[str, Sequence[float]]) -> None:
        """Record a block whose values are on disk."""
        entry = {"block": index, "sha256": sha256, "late": {name: list(late[name]) for name in late}}
        self.blocks[index] = entry
        self._append(entry)

    def add_images(self, entries: Sequence[StoredEntry]) -> None:
        """Record images that are on disk."""
        self.images += entries
        self._append(*({"image": vars(entry)} for entry in entries))

    def close(self) -> None:
        self._file.close()

    def _append(self, *entries: Mapping[str, Any]) -> None:
        try:
            self._file.write("".join(json.dumps(entry) + "\n" for entry in entries).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise file_error(error) from None

    def _lines(self) -> list[dict[str, Any]]:
        """Read the complete lines, and set _good to where they end."""
        self._good, found = 0, []
        content = self.path.read_bytes() if self.path.exists() else b""
        for line in content.split(b"\n")[:-1]:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
            self._good += len(line) + 1
        return found


class FlatResponses:
    """A flat file of (presentation, neuroid, time bin) in this order, written in rectangles.

    Values are written with system calls, so that no part of the file is in the process's memory.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self._cell = shape[2] * dtype.itemsize
        self._row = shape[1] * self._cell
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            os.ftruncate(self._descriptor, shape[0] * self._row)
        except OSError as error:
            raise file_error(error) from None

    def write(self, block: Block, values: NDArray[Any]) -> None:
        """Write a block and flush it to disk. Raises CornetError, for example if the disk is full."""
        data = np.ascontiguousarray(values, self.dtype)
        try:
            if len(block.columns) == self.shape[1] and block.contiguous():
                self._write(data.reshape(-1), int(block.rows[0]) * self._row)
            else:
                start = block.columns.start * self._cell
                for row, line in zip(block.rows.tolist(), data, strict=True):
                    self._write(line.reshape(-1), row * self._row + start)
            os.fsync(self._descriptor)
        except OSError as error:
            raise file_error(error) from None

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Read the presentations first to last (exclusive)."""
        size, data = (last - first) * self._row, bytearray()
        while len(data) < size:
            part = os.pread(self._descriptor, min(size - len(data), 2**26), first * self._row + len(data))
            if not part:
                raise file_error(OSError(f"{self.path} is shorter than it was written"))
            data += part
        return np.frombuffer(data, self.dtype).reshape(last - first, *self.shape[1:])

    def close(self) -> None:
        os.close(self._descriptor)
        sync(self.path)

    def _write(self, data: NDArray[Any], offset: int) -> None:
        view = data.reshape(-1).view(np.uint8).data
        while view:
            written = os.pwrite(self._descriptor, view[: 2**28], offset)
            view, offset = view[written:], offset + written
