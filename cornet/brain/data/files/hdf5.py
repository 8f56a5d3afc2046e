"""Check untrusted HDF5 files: no links, no external data, and no declared sizes that the file cannot contain.

Groups (brainio's `extras`) are allowed but not read.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

__all__ = ["SMALL", "chunk_problem", "hdf5_problem", "link_problem", "root_groups", "text_problem"]

SMALL = 2**26
"""Bytes that are always allowed: of a chunk, of padded text, and of unwritten data of all datasets."""

MAX_1D_BYTES = 2**28
"""Maximum bytes in memory of all one-dimensional datasets, which are loaded at once, plus MAX_1D_RATIO times the file
size."""

MAX_1D_RATIO = 100
MAX_VARIABLES = 10_000
"""Maximum number of datasets and groups at the root."""

MAX_RATIO = 1100
"""Maximum ratio of declared to stored bytes of a dataset: deflate cannot compress more."""


def hdf5_problem(path: Path) -> str:
    """Return why the file is rejected, as text to follow its path, or "". Checks the root level."""
    with h5py.File(path, "r") as file:
        if len(file) > MAX_VARIABLES:
            return f"has {len(file):,} variables, more than the limit of {MAX_VARIABLES:,}"
        return (
            link_problem(file)
            or chunk_problem(file)
            or size_problem(file, path.stat().st_size)
            or text_problem(file)
        )


def link_problem(file: h5py.File) -> str:
    """Describe the first link, external dataset or unknown object, or return ""."""
    for name in file:
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink | h5py.SoftLink):
            where = "another file" if isinstance(link, h5py.ExternalLink) else "another name"
            return f"has {name!r} as a link to {where}, but links are not followed"
        item = file[name]
        if isinstance(item, h5py.Group):
            continue
        if not isinstance(item, h5py.Dataset):
            return f"has {name!r}, which is not a dataset"
        if item.is_virtual or item.external:
            return f"stores {name!r} in other files, which are not read"
    return ""


def chunk_problem(file: h5py.File) -> str:
    """Describe the first dataset with too large chunks, or return ""."""
    for name, item in _datasets(file):
        chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
        if chunk > SMALL:  # reading one value loads its whole chunk
            return f"has {name!r} in chunks of {chunk:,} bytes, more than the limit of {SMALL:,}"
    return ""


def size_problem(file: h5py.File, size: int) -> str:
    """Describe declared data that a file of `size` bytes cannot contain or memory cannot hold, or return ""."""
    unwritten = one_dimensional = all_stored = 0
    for name, item in _datasets(file):
        declared = (item.size or 0) * item.dtype.itemsize
        stored = item.id.get_storage_size()
        all_stored += stored
        unwritten += max(0, declared - MAX_RATIO * stored)
        if item.ndim <= 1:
            # numpy's characters have four bytes, and a copy
            one_dimensional += declared * (5 if item.dtype.kind == "S" else 1)
        if unwritten > SMALL:
            return (
                f"declares {declared:,} bytes for {name!r} but stores {stored:,}; at most {SMALL:,} of all variables "
                "may be unwritten"
            )
        if all_stored > size:
            return f"declares {all_stored:,} stored bytes up to {name!r}, but has {size:,}"
        if one_dimensional > MAX_1D_BYTES + MAX_1D_RATIO * size:
            return f"has {size:,} bytes, but its coordinates up to {name!r} would need {one_dimensional:,} of memory"
    return ""


def root_groups(path: Path) -> list[str]:
    """Return the names of the groups at the root."""
    with h5py.File(path, "r") as file:
        return [name for name in file if isinstance(file[name], h5py.Group)]


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    return ((name, item) for name, item in file.items() if not isinstance(item, h5py.Group))


def text_problem(file: h5py.File) -> str:
    """Describe text with a fill value that is too large once xarray pads it to its longest entry, or return ""."""
    for name, item in _datasets(file):
        kind = h5py.check_string_dtype(item.dtype)
        if kind is None or kind.length is not None or "_FillValue" not in item.attrs or not item.size:
            continue
        longest = max(len(entry) for entry in np.asarray(item[()], object).ravel())
        if (padded := 4 * longest * item.size) > SMALL:  # numpy's characters have four bytes
            return f"has {name!r} with a text of {longest:,} bytes, which would need {padded:,} of memory"
    return ""
