"""On-disk cache of results that are slow to compute. The key of an entry covers all that the result depends on:

| result (cache folder) | depends on | key contains |
|---|---|---|
| averaged responses (responses) | assembly | hash of the file; assemblies in memory are not cached |
| | coordinates | hash of all of them, as held in memory |
| | region, time bin, ignored coordinates | the values |
| ceilings (ceilings) | repetitions, presentations of each | hash of the arrays |
| | metric | its name, and the code of its module |
| simulated brain (simulated) | images, size, variation, seed | the values |
| recordings (recordings) | network | `module_identity`: weights, buffers, structure, attributes, hooks, code |
| | mean, std, steps, size, degrees of the screen | the values |
| | device type, precision (bfloat16, TF32) | the values |
| | stimuli | hash of ids and images; their visual angle |
| | layer, step, dtype, and the arguments memory and batch | the values |
| equal and similar images (same-images) | stimuli | hash of ids and images |
| Gram matrices of layers (grams) | features | identity of the subject, as for recordings; stimuli, angle, layer, step |
| | projection, device type | the values |
| choice of layers (layer-choices) | features | identity of the subject, as for recordings; candidates |
| | responses, their notes, splits, degrees | hash of the arrays; the positions in every split |
| | components, metric, memory, other images, device type | the values, hash of the images, code of the metric |
| rendered objects (objects) | arguments of the latents and the renderer | the values |
| fetched shards (shards) | content | hash from the shard index |
| fetched weights, data (weights, data) | content | hash, verified on each use |
| screens, in this process (`ScreenCache`) | stimuli, visual angle, pixels | as for recordings |
| hashes of files and archives, in this process | the file's content | `file_state`, once it is settled (`is_settled`) |

All computed results also depend on `code_version`: the source of the module, of all its imports from this package, and
the versions of other packages. Not covered: a batch size that was chosen automatically, sites
recorded together, and threads, which change features by 1e-6.

Files are written to a temporary name, renamed, and never modified. A damaged file is recomputed; if the cache is not
writable, results are recomputed each time.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
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
    kind: str,
    key: Mapping[str, Any],
    compute: Callable[[], Mapping[str, NDArray[Any]]],
    modules: Sequence[str] = (),
) -> Arrays:
    """Return the arrays of `compute()`, from the cache if it has them.

    kind: subfolder of `cornet.files.cache_folder()`, e.g. "responses".
    key: everything that the arrays depend on besides code: arrays, options, hashes of files (`file_hash`).
    compute: returns arrays of numbers or text by name. Its module and the module's imports are hashed as the code.
    modules: further modules that compute, which that module does not import by name, such as that of a metric.

    Raises TypeError for object arrays, which would need pickle.
    """
    own = getattr(compute, "__module__", type(compute).__module__)
    name = digest(kind, key, code_version(own, *modules))
    path = cache_folder() / kind / f"{name}.npz"
    foreign = is_foreign(path)
    cached = None if foreign else _read(path, name)
    if cached is not None:
        return cached
    arrays = {field: np.asarray(array) for field, array in compute().items()}
    if objects := [field for field, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"{', '.join(objects)}: object arrays cannot be cached")
    if foreign:
        return arrays
    archive = io.BytesIO()
    np.savez(archive, **{_CONTENTS: np.array([name, *sorted(arrays)])}, **arrays)  # type: ignore[arg-type]
    with contextlib.suppress(OSError, CornetError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, archive.getbuffer())
    return arrays


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file, computed once per process and `file_state`. Raises OSError."""
    state = file_state(path)
    if state not in _HASHES:
        with open_regular(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if not is_settled(state):
            return sha256
        _HASHES[state] = sha256
    return _HASHES[state]


def file_state(path: Path | str) -> tuple[int, ...]:
    """Stat fields that change with a file: device, inode, size, mtime, and ctime (which programs cannot set)."""
    state = os.stat(path)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def is_settled(state: tuple[int, ...]) -> bool:
    """Whether the last change is old enough that another one would change the timestamps."""
    return time.time_ns() - max(state[-2:]) > RESOLUTION


_CONTENTS = "_contents"
"""Array with the name of the entry and of its arrays, as a damaged zip directory can hide some of them."""

_HASHES: dict[tuple[int, ...], str] = {}

RESOLUTION = 2 * 10**9
"""Timestamp resolution of the coarsest common file system (FAT), in ns."""


def _read(path: Path, name: str) -> Arrays | None:
    """Read the arrays of a file; None if it is missing or damaged (the CRC-32 differs)."""
    try:
        with open_entry(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = {field: archive[field] for field in archive.files}
    except Exception:
        return None
    contents = arrays.pop(_CONTENTS, np.empty(0)).tolist()
    return arrays if contents == [name, *sorted(arrays)] else None
