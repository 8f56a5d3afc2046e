"""On-disk cache of recorded features, one file per site.

Each file is a .npy file, named by the SHA-256 of everything that the features depend on, with a checksum after the
array. It is written to a temporary name and renamed when complete; damaged files are recorded again. An unwritable
folder is logged once. Above the size limit, least recently used files are deleted, except those open in this process.
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

__all__ = ["RecordingCache", "RowFile", "cache_limit", "warn_unwritable"]

log = logging.getLogger("cornet")

DEFAULT_LIMIT = 20 * 10**9
"""Size limit of the cache in bytes, unless CORNET_CACHE_SIZE (in GB) or an argument sets another."""

MARK = b"cornet crc32 "
NAME = re.compile(r"[0-9a-f]{64}\.npy")
BLOCK = 1 << 24

_open: Counter[Path] = Counter()  # files that this process has mapped into memory
_warned = False


def cache_limit() -> int:
    """The limit in bytes: CORNET_CACHE_SIZE in GB (10^9 bytes), or 20 GB. Raises CornetError for invalid values."""
    text = os.environ.get("CORNET_CACHE_SIZE")
    if not text:
        return DEFAULT_LIMIT
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise CornetError(
            f"CORNET_CACHE_SIZE={text!r} must be a number of GB, 0 or more; set it to 20, for example."
        )
    return int(size * 10**9)


class RecordingCache:
    """folder: None: "recordings" in `cornet.files.cache_folder()`. limit: bytes; None: `cache_limit()`."""

    def __init__(self, folder: Path | str | None = None, limit: int | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_folder() / "recordings"
        self.limit = cache_limit() if limit is None else limit

    def path(self, key: str) -> Path:
        """Path of the file of a key (a hash)."""
        return self.folder / f"{key}.npy"

    def read(self, key: str, stimuli: int, dtype: DTypeLike) -> NDArray[np.generic] | None:
        """The features (stimulus, feature) as a memory map; None if the file is missing or damaged."""
        path = self.path(key)
        if is_foreign(path):
            return None
        try:
            with open_entry(path) as file:
                array = _read_checked(file, stimuli, np.dtype(dtype))
                with contextlib.suppress(OSError):  # marks it as most recently used
                    os.utime(file.fileno())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, SyntaxError) as error:  # from numpy, for damaged headers
            log.info("%s is damaged (%s) and will be recorded again", path, error)
            return None
        _open[path] += 1
        weakref.finalize(array, _release, path)
        return array

    def writer(self, key: str, stimuli: int, features: int, dtype: DTypeLike) -> "RowFile | None":
        """A file to append features to, row by row; None, with one warning per process, if it cannot be written."""
        if is_foreign(self.path(key)):
            return None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return RowFile(self.path(key), (stimuli, features), np.dtype(dtype))
        except OSError as error:
            warn_unwritable(self.folder, error)
            return None

    def trim(self) -> None:
        """Remove least recently used files until the cache is within its limit, except those open in this process."""
        entries = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):  # another process may have removed it
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
    """Writes a .npy file: `append` rows in order, then `finish`, which renames the file to `path`.

    path: None for an unnamed temporary file.
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
        """Write the next rows (row, feature). Raises OSError if that fails."""
        block = np.ascontiguousarray(rows, self.dtype)
        self._file.write(block.data)
        self._sum = zlib.crc32(block.data, self._sum)
        self._rows += len(block)

    def finish(self) -> None:
        """Flush the file to disk and rename it. Raises OSError, and ValueError if rows are missing."""
        if self._rows != self.shape[0]:
            raise ValueError(f"{self._rows} of {self.shape[0]} rows were written")
        self._file.write(MARK + f"{self._sum:08x}".encode())
        self._file.flush()
        if self._new is not None:
            self._new.commit()

    def mapped(self) -> Any:
        """The rows of a finished, unnamed file as a memory map."""
        return _mapped(self._file, *self.shape, self.dtype)

    def discard(self) -> None:
        """Close the file, and remove it if it is not finished."""
        if self._new is not None:
            self._new.discard()
        with contextlib.suppress(OSError):
            self._file.close()


def warn_unwritable(folder: Path, error: OSError) -> None:
    """Warn once per process that recordings are not cached."""
    global _warned
    if not _warned:
        _warned = True
        log.warning(
            "recordings are not cached: %s cannot be written (%s); set CORNET_CACHE to a writable folder with enough "
            "space",
            folder,
            error.strerror or error,
        )


def _read_checked(file: BinaryIO, stimuli: int, dtype: np.dtype[Any]) -> Any:
    """Map the array of a file. Raises OSError or ValueError for a wrong checksum, shape or type."""
    array = _mapped(file, stimuli, None, dtype)
    file.seek(array.offset)
    total = 0
    for block in _blocks(file, array.nbytes):
        total = zlib.crc32(block, total)
    if file.read() != MARK + f"{total:08x}".encode():
        raise ValueError("wrong checksum")
    return array


def _mapped(file: BinaryIO, rows: int, columns: int | None, dtype: np.dtype[Any]) -> Any:
    """Map a file with these rows copy-on-write, as torch wants writable arrays; read-only if memory is short.

    Raises ValueError for another size, shape or type.
    """
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        shape, by_column, stored = np.lib.format.read_array_header_1_0(file)
    except TokenError as error:  # NumPy before 2.1 does not convert it
        raise ValueError("damaged header") from error
    offset, size = file.tell(), os.fstat(file.fileno()).st_size
    if version != (1, 0) or by_column or stored != dtype or len(shape) != 2 or shape[0] != rows:
        raise ValueError(f"it contains {stored} of shape {shape}")
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
