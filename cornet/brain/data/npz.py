"""Arrays from a .npz file that a user wrote: checked against its checksums, and never unpickled."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["read_arrays", "read_ids"]

MAX_RATIO = 100
"""Times its own size that a file may grow to where it grows beyond FREE bytes: recordings hardly shrink, bombs do."""

FREE = 2**26


def read_arrays(path: Path, missing: str) -> dict[str, NDArray[Any]]:
    """All arrays of the file by name. missing: what to give instead of the file, for the message.

    Raises CornetError where it is missing, damaged, no .npz file, holds objects, or would become far larger than it is.
    """
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            total, size = sum(info.file_size for info in archive.infolist()), path.stat().st_size
            if total > max(FREE, MAX_RATIO * size):
                raise ValueError(f"it has {size:,} bytes and would become {total:,}")
            if part := archive.testzip():
                raise ValueError(f"the checksum of {part} is wrong")
        with open_regular(path) as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            if others := [name for name, one in arrays.items() if not isinstance(one, np.ndarray)]:
                raise ValueError(f"{others[0]} is no array")
            return arrays
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; give {missing}.") from None
    except Exception as error:  # damaged archives make zipfile and numpy fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CornetError(
            f"{path} is damaged or no .npz file of plain arrays ({reason}); write it with numpy.savez."
        ) from None


def read_ids(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[np.str_]:
    """Take the array of stimulus ids out of the arrays. Raises CornetError where it lacks, or names one twice."""
    if name not in arrays:
        raise CornetError(f"{path} holds {', '.join(arrays) or 'nothing'}, but needs {name}; add them.")
    ids = arrays.pop(name).astype(str)
    if ids.ndim != 1 or len(np.unique(ids)) != len(ids):
        raise CornetError(
            f"{path} has {name} of shape {ids.shape}, some twice; keep one row of each stimulus."
        )
    return ids
