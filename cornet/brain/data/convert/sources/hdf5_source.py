"""Open published HDF5 files (also MATLAB 7.3 and NWB), which are not trusted.

Only the named datasets are read. Links to other files, external and virtual storage are refused; so are chunks that
do not fit into the memory limit, since reading one value loads its whole chunk. Wrong layouts give one sentence: what
was found, what was expected, the remedy.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError

__all__ = ["SourceFile", "check_file", "rows_that_fit"]

MAX_TEXT = 4096
"""Maximum characters of a text in a MATLAB file."""

MAX_SMALL = 2**28
"""Maximum bytes of a dataset that is read at once: coordinates, not responses."""

CACHE = 2**20
"""Bytes of HDF5's cache of chunks per dataset."""


def check_file(path: Path, expected: str) -> None:
    """Raise CornetError if a published file is missing. expected: what it must be, for the message."""
    if not path.is_file():
        raise CornetError(f"the file {path} does not exist; it is needed for {expected}, so fetch it.")


def rows_that_fit(limit: int, row_bytes: int, what: str) -> int:
    """Return how many rows fit into `limit` bytes. Raises CornetError if not even one does."""
    if row_bytes > limit:
        raise CornetError(
            f"{what} needs {row_bytes:,} bytes, but --memory allows {limit:,} for it; give more memory."
        )
    return max(1, limit // max(1, row_bytes))


class SourceFile:
    """An open HDF5 file. expected: what it must be, to complete "expected ...". links: whether links inside the file
    may be followed, as NWB uses them. Use it as a context manager; errors of HDF5 while it is open become CornetError.
    """

    def __init__(self, path: Path, expected: str, links: bool = False) -> None:
        self.path, self.expected, self._links = path, expected, links
        check_file(path, expected)
        with open(path, "rb") as file:
            start = file.read(6)
        if not h5py.is_hdf5(path):
            kind = (
                "a MATLAB 5 file" if start == b"MATLAB" else "not an HDF5 file, or the start of it is damaged"
            )
            raise self.wrong(f"is {kind} (it starts with {start!r})")
        try:
            self.file = h5py.File(path, "r", locking=False, rdcc_nbytes=CACHE)
        except OSError as error:
            raise self.unreadable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self.file.close()
        except Exception:  # of a damaged file
            if error is None:
                raise
        damaged = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)
        if isinstance(error, damaged) and not isinstance(error, CornetError):
            raise self.unreadable(error) from None

    def wrong(self, found: str) -> CornetError:
        """Return the error for another layout. found: follows the path."""
        return CornetError(
            f"{self.path} {found}; expected {self.expected}, so check which file this is or fetch it again."
        )

    def unreadable(self, error: Exception) -> CornetError:
        """Return the error for a damaged file."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return self.wrong(f"is truncated or damaged ({reason:.300})")

    def has(self, name: str) -> bool:
        """Return whether the file has a dataset or group of this name, reached without forbidden links."""
        return self.item(name) is not None

    def names(self, name: str) -> list[str]:
        """Return the names in a group; [] if there is no such group."""
        item = self.item(name)
        return list(item) if isinstance(item, h5py.Group) else []

    def group(self, name: str) -> Any:
        """Return a group. Raises CornetError if it is missing."""
        item = self.item(name)
        if not isinstance(item, h5py.Group):
            raise self.wrong(f"has no group {name} (found there: {self._names(name)})")
        return item

    def dataset(self, name: str, kinds: str = "", shape: Sequence[int | None] | None = None) -> Any:
        """Return a dataset. kinds: allowed kinds of its dtype. shape: expected sizes, None for any.

        Raises CornetError if it is missing, stored in other files, or has another dtype or shape.
        """
        item = self.item(name)
        if not isinstance(item, h5py.Dataset):
            raise self.wrong(f"has no dataset {name} (found there: {self._names(name)})")
        if item.is_virtual or item.external:
            raise self.wrong(f"stores {name} in other files, which are not read")
        if kinds and item.dtype.kind not in kinds:
            raise self.wrong(f"has {name} of {self.describe(name)}, which has the wrong type")
        if shape is not None and (
            item.ndim != len(shape)
            or any(want not in (None, own) for want, own in zip(shape, item.shape, strict=True))
        ):
            want = " x ".join("any" if size is None else str(size) for size in shape)
            raise self.wrong(f"has {name} of {self.describe(name)}, not {want}")
        return item

    def check_chunks(self, name: str, limit: int) -> None:
        """Raise CornetError if one chunk needs more than `limit` bytes."""
        item = self.dataset(name)
        chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
        if chunk > limit:
            raise CornetError(
                f"{self.path} has {name} in chunks of {chunk:,} bytes, but --memory allows {limit:,} for one; "
                "give more memory."
            )

    def small(self, name: str, kinds: str = "") -> NDArray[Any]:
        """Read a whole dataset, which must be small."""
        item = self.dataset(name, kinds)
        size = (item.size or 0) * item.dtype.itemsize
        if size > MAX_SMALL:
            raise self.wrong(
                f"has {name} of {self.describe(name)}, {size:,} bytes, more than the limit of {MAX_SMALL:,}"
            )
        return np.asarray(item[()])

    def column(self, name: str, length: int | None = None, kinds: str = "biuf") -> NDArray[Any]:
        """Read a dataset with one value each, as one axis. MATLAB's columns have two axes."""
        values = self.small(name, kinds)
        if sum(size > 1 for size in values.shape) > 1 or (length is not None and values.size != length):
            raise self.wrong(
                f"has {name} of {self.describe(name)}, not {'' if length is None else length} values"
            )
        return values.ravel()

    def texts(self, name: str) -> list[str]:
        """Read MATLAB's cells of text, or a dataset of text."""
        item = self.dataset(name)
        if h5py.check_ref_dtype(item.dtype) is h5py.Reference:
            return [self._matlab_text(reference, name) for reference in self.small(name).ravel()]
        if h5py.check_string_dtype(item.dtype) is None and item.dtype.kind not in "SO":
            raise self.wrong(f"has {name} of {self.describe(name)}, not text")
        values = self.small(name).ravel()
        found = [
            value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values
        ]
        if max(map(len, found), default=0) > MAX_TEXT:
            raise self.wrong(f"has texts of more than {MAX_TEXT} characters in {name}")
        return found

    def describe(self, name: str) -> str:
        """Describe a dataset by its dtype and shape."""
        item = self.dataset(name)
        return f"{item.dtype} {' x '.join(map(str, item.shape)) or 'without axes'}"

    def _matlab_text(self, reference: Any, name: str) -> str:
        item = self.file[reference] if reference else None
        if not isinstance(item, h5py.Dataset) or item.dtype.kind != "u" or (item.size or 0) > MAX_TEXT:
            raise self.wrong(f"has a cell in {name} that is not text")
        if item.is_virtual or item.external:
            raise self.wrong(f"stores a cell of {name} in other files, which are not read")
        return "".join(map(chr, np.asarray(item[()]).ravel().tolist()))

    def item(self, name: str) -> Any:
        """Return a group or dataset; None if it is missing. Raises CornetError for a forbidden link on the way."""
        item: Any = self.file
        for part in name.strip("/").split("/"):
            if not isinstance(item, h5py.Group):
                return None
            link = item.get(part, getlink=True)
            if link is None:
                return None
            if isinstance(link, h5py.ExternalLink):
                raise self.wrong(f"has {name} as a link to another file, but links are not followed")
            if isinstance(link, h5py.SoftLink):
                if not self._links:
                    raise self.wrong(f"has {name} as a link to another name, but links are not followed")
                return self.item(link.path) if link.path.startswith("/") and link.path != name else None
            item = item[part]
        return item

    def _names(self, name: str) -> str:
        parent = self.item(name.rpartition("/")[0]) if "/" in name.strip("/") else self.file
        names = list(parent)[:12] if isinstance(parent, h5py.Group) else []
        return ", ".join(names) or "nothing"
