"""Cache rendered images on disk, in one file per set of parameters, named by their SHA-256.

Parameters include the code version. Files never change, so two processes may write the same one. Damaged files are
rendered again; a folder that is not writable causes one warning.
"""

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.opening import is_foreign, open_entry

__all__ = ["Cache"]


class Cache:
    """Maps rendering parameters to images. folder: None disables the cache. kind: its subfolder."""

    def __init__(self, folder: Path | str | None, kind: str = "objects") -> None:
        self.folder = None if folder is None else Path(folder) / kind
        self._warned = False

    def images(
        self, parameters: dict[str, Any], shape: tuple[int, ...], make: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """Read the uint8 images of `shape` for these parameters, or make and store them."""
        path = self.path(parameters)
        if path is None or is_foreign(path):
            return make()
        cached = _read(path, shape)
        if cached is not None:
            return cached
        images = make()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            archive = io.BytesIO()
            np.savez(archive, images=images, key=np.array(path.stem))
            atomic_write(path, archive.getvalue())
        except (OSError, CornetError) as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"Rendered images cannot be cached ({error});"
                    " set CORNET_CACHE to a writable folder with free space.",
                    stacklevel=3,
                )
        return images

    def path(self, parameters: dict[str, Any]) -> Path | None:
        """File of the images of these parameters; None without a cache."""
        if self.folder is None:
            return None
        key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{key}.npz"


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read the images of a file; None if it is missing or damaged."""
    try:
        with open_entry(path) as file, np.load(file, allow_pickle=False) as archive:
            images, key = archive["images"], str(archive["key"])
    # RuntimeError: a flipped bit can mark an entry as encrypted, or as compressed by an unknown method.
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError):
        return None
    return images if key == path.stem and images.shape == shape and images.dtype == np.uint8 else None
