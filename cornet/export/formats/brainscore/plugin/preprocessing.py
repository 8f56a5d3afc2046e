"""Read image files as the networks were trained to see them: the whole image, resized to a square, normalised.

As cornet does, images are resized in whole grey levels by torch (bilinear, antialiased), which is within one grey level
of Pillow, transparency is blended with white, and mean and standard deviation are those of the network's training.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

__all__ = ["preprocess"]


def preprocess(paths: Sequence[Any], size: int, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Read images (batch, 3, size, size) float32. mean, std: per channel, of images scaled to 0..1.

    Raises ValueError for an image with more than 8 bits a channel.
    """
    center, spread = (
        torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) * 255 for values in (mean, std)
    )
    screens = torch.stack([resize(read_rgb(path), size) for path in paths])
    return ((screens.to(torch.float32) - center) / spread).numpy()


def read_rgb(path: Any) -> np.ndarray:
    """Read an image file as (y, x, 3) uint8."""
    with Image.open(path) as image:
        if image.mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "PA", "RGBA"):
            raise ValueError(f"{path} has pixels of mode {image.mode}; convert it to 8 bits a channel.")
        if image.mode not in ("LA", "PA", "RGBA") and "transparency" not in image.info:
            return np.array(image.convert("RGB"))
        white = Image.new("RGBA", image.size, "white")
        return np.array(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))


def resize(image: np.ndarray, size: int) -> torch.Tensor:
    """Resize (y, x, 3) to (3, size, size), uint8."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    if tuple(pixels.shape[-2:]) != (size, size):
        pixels = F.interpolate(pixels[None], size=(size, size), mode="bilinear", antialias=True)[0]
    return pixels.contiguous()
