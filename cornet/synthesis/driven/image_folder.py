"""The folder of synthesised images: PNG files, and the settings that all of them share.

A folder has images of one set of settings only, so that a command that was stopped can be repeated, and images of
different models are never shown as one set.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.hashing import digest
from cornet.stimuli.decode import BadImage, decode_image

__all__ = ["SETTINGS", "ImageFolder", "file_stem", "png_of"]

SETTINGS = "settings.json"

MAX_SETTINGS = 1 << 20


class ImageFolder:
    """A folder for images of some neuroids. Implements `cornet.synthesis.driven.control.ImageStore`.

    folder: is created; its parents too. names: (neuroid,), ids of all neuroids of the bundle. columns: positions among
    them of those that are driven, by whose order they are read and written. settings: plain data that images depend on.

    Raises CornetError for a folder with other settings, or with other files and no settings.
    """

    def __init__(
        self, folder: Path, names: NDArray[np.str_], columns: NDArray[np.int64], settings: dict[str, Any]
    ) -> None:
        self.folder, self.names, self.columns = folder, names, columns
        path = folder / SETTINGS
        own = {"identity": digest(settings), **settings}
        text = json.dumps(own, indent=1) + "\n"
        if not path.exists():
            if folder.exists() and not folder.is_dir():
                raise CornetError(f"--out {folder} is a file; name a folder.")
            if folder.is_dir() and any(not one.name.startswith(".") for one in folder.iterdir()):
                raise CornetError(
                    f"--out {folder} has other files and no {SETTINGS} of cornet drive; name a new or an empty folder."
                )
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write(path, text)
            return
        found = read_settings(folder)
        if found.get("identity") != own["identity"]:
            known = json.loads(text)
            other = [key for key in known if key != "identity" and found.get(key) != known[key]]
            what = (
                f"{other[0]}={_short(found.get(other[0]))}, not {_short(known[other[0]])}"
                if other
                else "others"
            )
            raise CornetError(
                f"{folder} has images of other settings ({what}); name another folder with --out, or remove this one."
            )

    def path(self, neuroid: int, start: int) -> Path:
        column = int(self.columns[neuroid])
        return self.folder / f"{file_stem(column, str(self.names[column]))}-start{start}.png"

    def read(self, neuroid: int, start: int) -> NDArray[np.uint8] | None:
        """An image, (y, x, 1 or 3) uint8; None if it is missing or damaged."""
        return read_png(self.path(neuroid, start))

    def write(self, neuroid: int, start: int, pixels: NDArray[np.uint8]) -> None:
        atomic_write(self.path(neuroid, start), png_of(pixels))


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a folder. Raises CornetError for a missing or malformed file."""
    path = folder / SETTINGS
    if not path.is_file():
        raise CornetError(
            f"{folder} has no {SETTINGS}; give the folder of an earlier cornet drive (its --out)."
        )
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_SETTINGS))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CornetError(
            f"{path} is not JSON with settings of cornet drive; repeat cornet drive in a new folder."
        )
    return found


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of an image (y, x, 1 or 3): grey or RGB."""
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    return content.getvalue()


def read_png(path: Path) -> NDArray[np.uint8] | None:
    """(y, x, 1) of a grey PNG, (y, x, 3) of another; None if it is missing or damaged."""
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            grey = image.mode == "L"
        pixels = decode_image(data)
    except (OSError, BadImage, ValueError, Image.DecompressionBombError):
        return None
    return pixels[..., :1] if grey else pixels


def file_stem(number: int, name: str) -> str:
    """A name of a file that is safe everywhere: the position of a neuroid and the plain part of its id."""
    return f"{number:03}-{re.sub('[^A-Za-z0-9_.-]+', '_', name)[:60]}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
