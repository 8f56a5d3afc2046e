"""Recorded features on disk, one file a site, so that nothing is recorded twice.

A .npy file, named by the SHA-256 of all that its features depend on, with a checksum behind the array. It is written
aside and renamed when complete; a damaged one is recorded again. An unwritable folder is logged once. Least recently
used files are deleted first above the limit, but never those that this process has open.
"""

import contextlib
import errno
import logging
import math
import os
import re
import stat
import tempfile
import weakref
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cornet.errors import CornetError
from cornet.files import NewFile, cache_folder
from cornet.opening import is_foreign, open_entry, ours

__all__ = ["DEFAULT_LIMIT", "RecordingCache", "RowFile", "cache_limit"]

log = logging.getLogger("cornet")

DEFAULT_LIMIT = 20 * 10**9
"""Bytes of recordings that are kept, unless CORNET_CACHE_SIZE (in GB) or an argument says otherwise."""

MARK = b"cornet crc32 "
NAME = re.compile(r"[0-9a-f]{64}\.npy")
BLOCK = 1 << 24

_open: Counter[Path] = Counter()  # files that this process writes, or has mapped into memory
_noted = False


def cache_limit() -> int:
    """The limit in bytes: CORNET_CACHE_SIZE in GB (10^9 bytes), or 20 GB. Raises CornetError for others."""
    text = os.environ.get("CORNET_CACHE_SIZE")
    if not text:
        return DEFAULT_LIMIT
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise CornetError(
            f"CORNET_CACHE_SIZE={text!r} must be a number of GB, 0 or more; set for example 20."
        )
    return int(size * 10**9)


class RecordingCache:
    """folder: None: recordings below `cornet.files.cache_folder()`. limit: bytes; None: `cache_limit()`."""

    def __init__(self, folder: Path | str | None = None, limit: int | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_folder() / "recordings"
        self.limit = cache_limit() if limit is None else limit

    def path(self, key: str) -> Path:
        """Where the features of a key (a hash) lie, there or not."""
        return self.folder / f"{key}.npy"

    def read(self, key: str, stimuli: int, dtype: DTypeLike) -> NDArray[np.generic] | None:
        """The features (stimulus, feature) as a memory map; None where none are there, or not whole ones."""
        path = self.path(key)
        if is_foreign(path):
            return None
        try:
            with open_entry(path) as file:
                array = _read_whole(file, stimuli, np.dtype(dtype))
                with contextlib.suppress(OSError):  # used just now: the last to be removed
                    os.utime(file.fileno())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, SyntaxError) as error:  # numpy's answers to damaged headers
            log.info("%s is damaged (%s) and is recorded again", path, error)
            return None
        _open[path] += 1
        weakref.finalize(array, _release, path)
        return array

    def writer(self, key: str, stimuli: int, features: int, dtype: DTypeLike) -> "RowFile | None":
        """A file for features that come row after row; None, with one note a process, where none can be written."""
        if is_foreign(self.path(key)):
            return None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return RowFile(self.path(key), (stimuli, features), np.dtype(dtype))
        except OSError as error:
            note_unwritable(self.folder, error)
            return None

    def trim(self) -> None:
        """Remove the least recently used recordings until the limit holds, other than those open in this process."""
        entries = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):  # another process was quicker
                    status = path.lstat()
                    if NAME.fullmatch(path.name) and stat.S_ISREG(status.st_mode) and ours(status):
                        entries.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit:
                return
            if not _open[path]:
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size


class RowFile:
    """A .npy file in the making: `append` rows in order, then `finish`, which gives it its name.

    path: None for a temporary file that never has a name.
    """

    def __init__(self, path: Path | None, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self.folder = Path(tempfile.gettempdir()) if path is None else path.parent
        self._rows, self._sum = 0, 0
        self._new = None if path is None else NewFile(path)
        self._file: Any = tempfile.TemporaryFile() if self._new is None else self._new.file  # noqa: SIM115
        try:
            np.lib.format.write_array_header_1_0(
                self._file, {"descr": dtype.str, "fortran_order": False, "shape": shape}
            )
        except OSError:
            self.discard()
            raise

    def append(self, rows: NDArray[np.generic]) -> None:
        """Write the next rows (row, feature). Raises OSError where the disk will not take them."""
        block = np.ascontiguousarray(rows, self.dtype)
        self._file.write(block.data)
        self._sum = zlib.crc32(block.data, self._sum)
        self._rows += len(block)

    def finish(self) -> None:
        """Bring it to the disk and give it its name. Raises OSError; and ValueError where rows are missing."""
        if self._rows != self.shape[0]:
            raise ValueError(f"{self._rows} of {self.shape[0]} rows were written")
        self._file.write(MARK + f"{self._sum:08x}".encode())
        self._file.flush()
        if self._new is not None:
            self._new.commit()

    def mapped(self) -> Any:
        """What a file without a name holds, once it is finished, as a memory map."""
        return _mapped(self._file, *self.shape, self.dtype)

    def discard(self) -> None:
        """Leave nothing behind; after `finish` it closes a file without a name, and does nothing to another."""
        if self._new is not None:
            self._new.discard()
        with contextlib.suppress(OSError):
            self._file.close()


def note_unwritable(folder: Path, error: OSError) -> None:
    """Say once in a process that recordings are not kept, and what helps."""
    global _noted
    if not _noted:
        _noted = True
        log.warning(
            "recordings are not kept for the next time: %s cannot be written (%s); set CORNET_CACHE to a folder with "
            "room of your own",
            folder,
            error.strerror or error,
        )


def _read_whole(file: BinaryIO, stimuli: int, dtype: np.dtype[Any]) -> Any:
    """The array of a file. Raises OSError or ValueError where it is not whole, or of another shape or type."""
    array = _mapped(file, stimuli, None, dtype)
    file.seek(array.offset)
    total = 0
    for block in _blocks(file, array.nbytes):
        total = zlib.crc32(block, total)
    if file.read() != MARK + f"{total:08x}".encode():
        raise ValueError("its checksum is wrong")
    return array


def _mapped(file: BinaryIO, rows: int, columns: int | None, dtype: np.dtype[Any]) -> Any:
    """A file of these rows as a private memory map (torch wants writable arrays), read-only where memory is short.

    Raises ValueError where it has another size, shape or type.
    """
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        shape, by_column, found = np.lib.format.read_array_header_1_0(file)
    except TokenError as error:  # which NumPy before 2.1 lets through
        raise ValueError("its header is damaged") from error
    offset, size = file.tell(), os.fstat(file.fileno()).st_size
    if version != (1, 0) or by_column or found != dtype or len(shape) != 2 or shape[0] != rows:
        raise ValueError(f"it holds {found} of shape {shape}")
    if columns not in (None, shape[1]) or size != offset + math.prod(shape) * dtype.itemsize + len(MARK) + 8:
        raise ValueError(f"it has {size:,} bytes")
    try:
        return np.memmap(file, dtype, "c", offset, shape)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        return np.memmap(file, dtype, "r", offset, shape)


def _blocks(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0 and (block := file.read(min(BLOCK, count))):
        count -= len(block)
        yield block


def _release(path: Path) -> None:
    _open[path] -= 1
