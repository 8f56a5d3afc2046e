"""Rendered images on disk, one file for each set of parameters (code version included), named by their SHA-256.

Files never change, so two processes may write the same one. A damaged file is rendered again; a folder that cannot be
written costs one warning.
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
    """Images by the parameters that made them; folder None: nothing is kept."""

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = None if folder is None else Path(folder) / "objects"
        self._warned = False

    def images(
        self, parameters: dict[str, Any], shape: tuple[int, ...], make: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """The uint8 images of `shape` that these parameters name: read, or made and kept."""
        path = self.path(parameters)
        if path is None or is_foreign(path):
            return make()
        kept = _read(path, shape)
        if kept is not None:
            return kept
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
                    f"Rendered images are not kept for the next run ({error});"
                    " set CORNET_CACHE to a folder with room that you may write in.",
                    stacklevel=3,
                )
        return images

    def path(self, parameters: dict[str, Any]) -> Path | None:
        """Where the images of these parameters lie; None without a folder."""
        if self.folder is None:
            return None
        key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{key}.npz"


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The images in a file, or None if there is no such file or it is not whole."""
    try:
        with open_entry(path) as file, np.load(file, allow_pickle=False) as archive:
            images, key = archive["images"], str(archive["key"])
    # RuntimeError: one flipped bit can call an entry encrypted, or packed in a way that is not known.
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError):
        return None
    return images if key == path.stem and images.shape == shape and images.dtype == np.uint8 else None
