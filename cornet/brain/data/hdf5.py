"""Checks of an HDF5 file from elsewhere: no links, no external data, no claims of more data than it holds.

Groups may be there (brainio's `extras`), but are not read.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

__all__ = ["FREE", "elsewhere", "false_claim", "groups_of", "hdf5_problem", "large_piece", "long_text"]

FREE = 2**26
"""Bytes that all datasets of a file together may claim whatever was written of them."""

LISTS = 2**28
"""Bytes that all one-dimensional datasets together may take in memory, which holds them at once; beyond it LIST_RATIO
times the file's size."""

LIST_RATIO = 100
MOST = 10_000
"""Datasets and groups at the root."""

MAX_RATIO = 1100
"""Times its stored bytes that a dataset may have: deflate packs no better."""


def hdf5_problem(path: Path) -> str:
    """Why the file is refused, as words that follow its path; "" if it is not. Looks at the root."""
    with h5py.File(path, "r") as file:
        if len(file) > MOST:
            return f"holds {len(file):,} variables, and {MOST:,} are the most that is read"
        return (
            elsewhere(file) or large_piece(file) or false_claim(file, path.stat().st_size) or long_text(file)
        )


def elsewhere(file: h5py.File) -> str:
    """What leads to another place, as words; "" for nothing."""
    for name in file:
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink | h5py.SoftLink):
            where = "another file" if isinstance(link, h5py.ExternalLink) else "another name"
            return f"has {name!r} as a link to {where}, which is not followed"
        item = file[name]
        if isinstance(item, h5py.Group):
            continue
        if not isinstance(item, h5py.Dataset):
            return f"has {name!r}, which is no dataset"
        if item.is_virtual or item.external:
            return f"keeps {name!r} in other files, which are not read"
    return ""


def large_piece(file: h5py.File) -> str:
    """What is stored in pieces that no memory should hold at once, as words; "" for nothing."""
    for name, item in _datasets(file):
        chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
        if chunk > FREE:  # each value that is read brings all of it into memory
            return f"has {name!r} in pieces of {chunk:,} bytes, and {FREE:,} are the most that is read"
    return ""


def false_claim(file: h5py.File, size: int) -> str:
    """What the `size` bytes of the file cannot hold, or no memory should, as words; "" for nothing."""
    unwritten = lists = all_stored = 0
    for name, item in _datasets(file):
        claimed = (item.size or 0) * item.dtype.itemsize
        stored = item.id.get_storage_size()
        all_stored += stored
        unwritten += max(0, claimed - MAX_RATIO * stored)
        if item.ndim <= 1:
            # numpy's characters have four bytes, and a copy
            lists += claimed * (5 if item.dtype.kind == "S" else 1)
        if unwritten > FREE:
            return (
                f"claims {claimed:,} bytes of {name!r} and holds {stored:,} of them; {FREE:,} of all variables may be "
                "unwritten"
            )
        if all_stored > size:
            return f"claims to hold {all_stored:,} bytes up to {name!r}, and has {size:,}"
        if lists > LISTS + LIST_RATIO * size:
            return f"has {size:,} bytes, and its coordinates up to {name!r} would take {lists:,} of memory"
    return ""


def groups_of(path: Path) -> list[str]:
    """The names of the groups at the root."""
    with h5py.File(path, "r") as file:
        return [name for name in file if isinstance(file[name], h5py.Group)]


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    return ((name, item) for name, item in file.items() if not isinstance(item, h5py.Group))


def long_text(file: h5py.File) -> str:
    """Text that xarray would pad to its longest entry (it has a fill value), as words; "" for none."""
    for name, item in _datasets(file):
        kind = h5py.check_string_dtype(item.dtype)
        if kind is None or kind.length is not None or "_FillValue" not in item.attrs or not item.size:
            continue
        longest = max(len(entry) for entry in np.asarray(item[()], object).ravel())
        if (room := 4 * longest * item.size) > FREE:  # numpy's characters have four bytes
            return f"has {name!r} with a text of {longest:,} bytes, which would take {room:,} of memory"
    return ""
