"""Crop, flip and resize photographs: random crops for training, fixed views for validation.

Functions map (y, x, 3) uint8 arrays to (3, size, size) uint8 tensors. Resizing is bilinear with antialiasing, by torch
in channels-last layout: within one grey level of Pillow, and three times as fast (0.17 instead of 0.60 ms per crop).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["VIEWS", "Box", "center_view", "random_box", "random_generator", "resize_crop", "squash_view"]


class Box(NamedTuple):
    """A rectangle in whole pixels."""

    top: int
    left: int
    height: int
    width: int


def random_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Random generator for one image in one epoch; depends only on the three arguments."""
    return np.random.default_rng((seed, epoch, index))


def random_box(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Draw the crop of Szegedy et al. (2015), as torchvision's RandomResizedCrop draws it.

    The share of the area is uniform in `scale`, the logarithm of width / height is uniform in `ratio`, and the
    position is uniform. If ten draws do not fit, it is the largest centred crop with an allowed ratio.
    """
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < h <= height and 0 < w <= width:
            return Box(int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w)
    h = min(height, max(1, round(width / ratio[0])))
    w = min(width, max(1, round(height * ratio[1])))
    return Box((height - h) // 2, (width - w) // 2, h, w)


def resize_crop(image: NDArray[np.uint8], box: Box, size: int, *, flip: bool = False) -> Tensor:
    """Crop `box` from an image (y, x, 3) and resize it to (3, size, size), mirrored if `flip`."""
    top, left, height, width = box
    crop = _channels_first(image)[:, top : top + height, left : left + width]
    crop = _resize(crop, size, size)
    return crop.flip(-1) if flip else crop.contiguous()


def center_view(image: NDArray[np.uint8], size: int, short_side: int) -> Tensor:
    """Resize the short side to `short_side` and crop the centre, (3, size, size): ImageNet's validation protocol.

    With `short_side == size`, an image of `size` x `size` pixels passes unchanged.
    """
    height, width = image.shape[:2]
    limit = 8 * min(height, width)  # the crop removes pixels further out, so do not enlarge them first
    top, left = max(0, height - limit) // 2, max(0, width - limit) // 2
    pixels = _channels_first(image)[:, top : top + limit, left : left + limit]
    height, width = pixels.shape[-2:]
    if height <= width:
        pixels = _resize(pixels, short_side, int(short_side * width / height))
    else:
        pixels = _resize(pixels, int(short_side * height / width), short_side)
    height, width = pixels.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return pixels[:, top : top + size, left : left + size].contiguous()


def squash_view(image: NDArray[np.uint8], size: int, short_side: int = 0) -> Tensor:
    """Resize the whole image to (3, size, size), as Brain-Score does. `short_side` is not used."""
    return _resize(_channels_first(image), size, size).contiguous()


VIEWS: dict[str, Callable[[NDArray[np.uint8], int, int], Tensor]] = {
    "center": center_view,
    "squash": squash_view,
}
"""Validation views by name; each takes (image, size, short_side)."""


def _channels_first(image: NDArray[np.uint8]) -> Tensor:
    """(y, x, 3) -> (3, y, x) as a view in channels-last layout, which torch resizes fastest."""
    return torch.from_numpy(image).permute(2, 0, 1)


def _resize(pixels: Tensor, height: int, width: int) -> Tensor:
    if tuple(pixels.shape[-2:]) == (height, width):
        return pixels
    return F.interpolate(pixels[None], size=(height, width), mode="bilinear", antialias=True)[0]
