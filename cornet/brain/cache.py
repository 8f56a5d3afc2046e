"""Results that are dear to make and small to keep, on disk, named by the content that they were made from.

A file holds arrays under one key. It is written aside and renamed, so that another process sees all of it or
nothing; it is never changed afterwards, so two processes that make the same write the same. A file that is damaged
or half there (an archive's checksums tell) is made again. A folder that cannot be written costs the time of making
it anew, and nothing else.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.files import atomic_write, cache_folder
from cornet.opening import is_foreign, open_entry, open_regular

__all__ = ["cached_arrays", "file_hash"]

Arrays = dict[str, NDArray[Any]]


def cached_arrays(
    kind: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, NDArray[Any]]]
) -> Arrays:
    """The arrays that `compute` gives, read from below the cache folder where they lie there already.

    kind: the subfolder of `cornet.files.cache_folder()`, e.g. "responses".
    key: everything that the arrays depend on, as values that JSON can hold: hashes of the content (`file_hash`,
        `Bundle.identity`), options, and a number that is raised when the code changes its result.
    compute: gives arrays of numbers or text by name; arrays of objects are refused, as nothing is ever unpickled.
    """
    text = json.dumps({"kind": kind, **key}, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()
    path = cache_folder() / kind / f"{name}.npz"
    foreign = is_foreign(path)
    kept = None if foreign else _read(path, name)
    if kept is not None:
        return kept
    arrays = {field: np.asarray(array) for field, array in compute().items()}
    if objects := [field for field, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"{', '.join(objects)}: arrays of objects cannot be kept")
    if foreign:
        return arrays
    archive = io.BytesIO()
    np.savez(archive, **{_CONTENTS: np.array([name, *sorted(arrays)])}, **arrays)  # type: ignore[arg-type]
    with contextlib.suppress(OSError, CornetError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, archive.getbuffer())
    return arrays


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, read once per process for each (path, size, time of change).

    Raises OSError where it cannot be read.
    """
    state = os.stat(path)
    known = (os.path.abspath(path), state.st_size, state.st_mtime_ns)
    if known not in _HASHES:
        with open_regular(path) as file:
            _HASHES[known] = hashlib.file_digest(file, "sha256").hexdigest()
    return _HASHES[known]


_CONTENTS = "_contents"
"""The array that lists the entry's name and arrays: damage to the table of contents can hide some of them."""

_HASHES: dict[tuple[str, int, int], str] = {}


def _read(path: Path, name: str) -> Arrays | None:
    """The arrays in a file, or None if there is no such file or it is not whole.

    Reading a member to its end checks its CRC-32. What a damaged archive makes zipfile and numpy raise is of many
    kinds (BadZipFile, ValueError, KeyError, zlib.error, struct.error, NotImplementedError, MemoryError for a header
    that asks for too much): all of them mean the same.
    """
    try:
        with open_entry(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = {field: archive[field] for field in archive.files}
    except Exception:
        return None
    contents = arrays.pop(_CONTENTS, np.empty(0)).tolist()
    return arrays if contents == [name, *sorted(arrays)] else None
