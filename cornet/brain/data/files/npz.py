"""Read arrays from a user's .npz file: checksums are verified, and nothing is unpickled."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["read_arrays", "read_ids"]

MAX_RATIO = 100
"""Maximum ratio of uncompressed to file size, above RATIO_FROM bytes: recordings barely compress, zip bombs do."""

RATIO_FROM = 2**26


def read_arrays(path: Path, expected: str) -> dict[str, NDArray[Any]]:
    """Return all arrays of the file by name. expected: what to pass instead if the file does not exist.

    Raises CornetError if the file is missing, damaged, not a .npz file, contains objects, or expands too much.
    """
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            total, size = sum(info.file_size for info in archive.infolist()), path.stat().st_size
            if total > max(RATIO_FROM, MAX_RATIO * size):
                raise ValueError(f"it has {size:,} bytes and would expand to {total:,}")
            if part := archive.testzip():
                raise ValueError(f"the checksum of {part} is wrong")
        with open_regular(path) as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            if invalid := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise ValueError(f"{invalid[0]} is not an array")
            return arrays
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; give {expected}.") from None
    except Exception as error:  # damaged archives make zipfile and numpy raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CornetError(
            f"{path} is damaged or not a .npz file of plain arrays ({reason}); write it with numpy.savez."
        ) from None


def read_ids(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[np.str_]:
    """Remove the stimulus ids from the arrays and return them. Raises CornetError if they are missing or repeated."""
    if name not in arrays:
        raise CornetError(
            f"{path} contains {', '.join(arrays) or 'nothing'}, but {name} is required; add it."
        )
    ids = arrays.pop(name).astype(str)
    if ids.ndim != 1 or len(np.unique(ids)) != len(ids):
        raise CornetError(
            f"{path} has {name} of shape {ids.shape}, but must list each stimulus once; remove the duplicates."
        )
    return ids
