"""Results that are slow to make and small to store, on disk, named by what they depend on:

| value (folder of the cache) | depends on | covered by |
|---|---|---|
| averaged responses (responses) | assembly | hash of the file; values in memory are never cached |
| | coordinates | hash of them all, as they are in memory |
| | region, time bin, ignored coordinates | their values |
| ceilings (ceilings) | repetitions, presentations of each | hash of the arrays |
| simulated brain (simulated) | images, size, variation, seed | their values |
| recordings (recordings) | network | `module_identity`: weights, buffers, structure, attributes, hooks, code |
| | mean, std, steps, size, degrees of the screen | their values |
| | device's kind, precision (bfloat16, TF32) | their values |
| | stimuli | hash of ids and images; their visual angle |
| | layer, step, dtype, memory, batch | their values |
| choice of layers (layer-choices) | features | identity of the subject, all of the above; candidates |
| | responses, their notes, splits, degrees | hash of the arrays; the positions in every split |
| | components, metric, other images, device's kind | their values, hash of the images |
| rendered objects (objects) | latents' and renderer's arguments | their values |
| fetched shards (shards) | content | hash, which the description of the shards has |
| fetched weights, data (weights, data) | content | hash, checked at each use |
| screens, in this process (`KeptScreens`) | stimuli, visual angle, pixels | as for recordings |
| hashes of files and archives, in this process | the file's content | `file_state`, once it `is_settled` |

Whatever is computed also depends on `code_version`: the source of the code, all that it imports here, and the versions
of other packages. Not covered: batch, sites recorded together and threads change the last digits of features (1e-6).

A file is written aside, renamed and never changed. A damaged one is made again; an unwritable cache costs only time.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.files import atomic_write, cache_folder
from cornet.hashing import code_version, digest
from cornet.opening import is_foreign, open_entry, open_regular

__all__ = ["cached_arrays", "file_hash", "file_state", "is_settled"]

Arrays = dict[str, NDArray[Any]]


def cached_arrays(
    kind: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, NDArray[Any]]]
) -> Arrays:
    """The arrays that `compute` gives, read from below the cache folder where they lie there already.

    kind: the subfolder of `cornet.files.cache_folder()`, e.g. "responses".
    key: everything that the arrays depend on besides code: arrays, options, hashes of content (`file_hash`).
    compute: a function that gives arrays of numbers or text by name. Its module, with all that this imports, is the
        code that the arrays depend on. Arrays of objects are refused, as nothing is ever unpickled.
    """
    name = digest(kind, key, code_version(getattr(compute, "__module__", type(compute).__module__)))
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
    """SHA-256 of a file's bytes, read once per process and `file_state`. Raises OSError."""
    state = file_state(path)
    if state not in _HASHES:
        with open_regular(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not is_settled(state):
            return found
        _HASHES[state] = found
    return _HASHES[state]


def file_state(path: Path | str) -> tuple[int, ...]:
    """What changes with a file: device, inode, size, times of change of content and entry (the last cannot be set)."""
    state = os.stat(path)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def is_settled(state: tuple[int, ...]) -> bool:
    """Whether a file was changed so long ago that another change would show in its times."""
    return time.time_ns() - max(state[-2:]) > RESOLUTION


_CONTENTS = "_contents"
"""The array that lists the entry's name and arrays: damage to the table of contents can hide some of them."""

_HASHES: dict[tuple[int, ...], str] = {}

RESOLUTION = 2 * 10**9
"""ns; the coarsest clock of a file system in use (FAT)."""


def _read(path: Path, name: str) -> Arrays | None:
    """The arrays in a file; None if it is missing or damaged (its CRC-32 tells)."""
    try:
        with open_entry(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = {field: archive[field] for field in archive.files}
    except Exception:
        return None
    contents = arrays.pop(_CONTENTS, np.empty(0)).tolist()
    return arrays if contents == [name, *sorted(arrays)] else None
