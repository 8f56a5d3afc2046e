"""Read the images of published recordings: files in a folder, or pictures in an HDF5 file, written as PNG."""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cornet.brain.data.convert.sources.hdf5_source import SourceFile
from cornet.errors import CornetError
from cornet.opening import read_bytes

__all__ = ["BrickImages", "FolderImages"]

MAX_FILE = 256 * 2**20
"""Maximum bytes of an image file, as of an entry in a bundle's archive."""


class FolderImages:
    """Image files in a folder. names: their paths in the published layout, relative to the folder.

    below: folders inside `folder` that may contain the images instead. Raises CornetError if images are missing.
    """

    def __init__(self, folder: Path, names: Sequence[str], below: Sequence[str] = ()) -> None:
        if not folder.is_dir():
            raise CornetError(
                f"the folder of images {folder} does not exist or is not a folder; correct --images."
            )
        if wrong := [name for name in names if not _is_inside(name)]:
            raise CornetError(
                f"{len(wrong)} images have names outside their folder, such as {wrong[0]!r}; the file of image names "
                "is damaged, so fetch it again."
            )
        roots = [folder, *(folder / part for part in below)]
        counts = [sum((root / name).is_file() for name in names[:20]) for root in roots]
        self.root = roots[int(np.argmax(counts))]
        self.paths = [self.root / name for name in names]
        missing = [name for name, path in zip(names, self.paths, strict=True) if not path.is_file()]
        if missing:
            raise CornetError(
                f"{len(missing):,} of {len(names):,} images are missing in {self.root} (first: {missing[0]!r}); give "
                "the folder that contains them as --images, with the published folders and names."
            )

    def inputs(self) -> Sequence[Path]:
        return self.paths

    def data(self, index: int) -> bytes:
        path = self.paths[index]
        if (size := path.stat().st_size) > MAX_FILE:
            raise CornetError(
                f"the image {path} has {size:,} bytes, but at most {MAX_FILE:,} are allowed; replace it."
            )
        return read_bytes(path)


class BrickImages:
    """Pictures in one dataset of an HDF5 file, (picture, y, x[, 3]) uint8, written as PNG.

    positions: of the stimuli in the file. Raises CornetError if the dataset is missing or has another layout.
    """

    def __init__(
        self, path: Path, name: str, positions: Sequence[int], expected: str, links: bool = False
    ) -> None:
        self.path, self.name, self.positions = path, name, list(positions)
        self._open = partial(SourceFile, path, expected, links)
        with self._open() as file:
            shape = file.dataset(name, kinds="u").shape
            if (
                len(shape) not in (3, 4)
                or (len(shape) == 4 and shape[3] != 3)
                or file.dataset(name).dtype != np.uint8
            ):
                raise file.wrong(f"has {name} of {file.describe(name)}, not (picture, y, x, 3) uint8")
            if max(self.positions, default=0) >= shape[0]:
                raise file.wrong(
                    f"has {shape[0]:,} pictures in {name}, but picture {max(self.positions):,} is needed"
                )

    def inputs(self) -> Sequence[Path]:
        return [self.path]

    def data(self, index: int) -> bytes:
        with self._open() as file:
            pixels = np.asarray(file.dataset(self.name)[self.positions[index]])
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
        return buffer.getvalue()


def _is_inside(name: str) -> bool:
    parts = Path(name.replace("\\", "/")).parts
    return bool(parts) and not Path(name).is_absolute() and ".." not in parts and ":" not in parts[0]
