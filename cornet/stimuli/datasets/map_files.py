"""Maps of what is important in photographs, as grey images in a folder of their own.

<maps>/train/<class>/<name>.png        the map of <folder>/train/<class>/<name>.JPEG, of the same pixels
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cornet.errors import CornetError
from cornet.names import escaped
from cornet.stimuli.decode import BadImage, decode_image
from cornet.stimuli.geometry import Box, resize_crop

__all__ = ["MapFiles"]

ENDINGS = (".png", ".jpg", ".jpeg")


class MapFiles:
    """The maps of images in class folders. An image without a map file has none.

    folder: of the maps. images: the folder of the images. Raises CornetError if `folder` does not exist, and when a map
    is read that is not an image or not of the size of its image.
    """

    def __init__(self, folder: str | os.PathLike[str], images: str | os.PathLike[str]) -> None:
        self.folder, self.images = Path(folder).expanduser(), Path(images).expanduser()
        if not self.folder.is_dir():
            raise CornetError(
                f"the folder of maps {self.folder} does not exist; name one, or set data.maps=null."
            )

    def read(self, path: str) -> NDArray[np.uint8] | None:
        """The map (y, x) uint8 of the image at a path; None without one."""
        own = self.folder / Path(os.path.relpath(path, self.images)).with_suffix("")
        for ending in ENDINGS:
            try:
                content = own.with_name(own.name + ending).read_bytes()
            except FileNotFoundError:
                continue
            try:
                found = decode_image(content)[..., 0]
            except BadImage as error:
                raise CornetError(
                    f"the map {escaped(str(own))}{ending} cannot be read ({error}); replace it."
                ) from None
            with Image.open(path) as image:
                width, height = image.size
            if found.shape != (height, width):
                raise CornetError(
                    f"the map {escaped(str(own))}{ending} has {found.shape[1]} x {found.shape[0]} pixels, but its "
                    f"image {width} x {height}; resize the map."
                )
            return found
        return None

    def targets(self, path: str, box: Box, size: int, *, flip: bool = False) -> dict[str, Any]:
        """The targets of a crop: see `map_target`. box, flip: the crop of the image, and whether it is mirrored."""
        heat = self.read(path)
        if heat is None:
            return blank(size)
        return map_target(resize_crop(np.repeat(heat[..., None], 3, axis=2), box, size, flip=flip)[0].numpy())


def map_target(heat: NDArray[np.uint8]) -> dict[str, Any]:
    """The targets `map`, (y, x) float32 in 0..1, and `map_token`: 1, or 0 for a constant map, which says nothing."""
    return {"map": heat.astype(np.float32) / 255, "map_token": float(heat.max() > heat.min())}


def blank(size: int) -> dict[str, Any]:
    """The targets of an image without a map."""
    return {"map": np.zeros((size, size), np.float32), "map_token": 0.0}
