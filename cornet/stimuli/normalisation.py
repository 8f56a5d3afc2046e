"""Mean and standard deviation of images: ImageNet's, and subtracting and dividing by them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cornet.errors import CornetError

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "checked_normalisation", "normalised", "pixel_scale"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""By channel (red, green, blue), of images scaled to 0..1."""


def normalised(
    images: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Images (batch, 3, y, x) of a floating type from uint8 ones, given mean and std of images scaled to 0..1."""
    center, spread = pixel_scale(mean, std, images.device, dtype)
    return ((images.to(center.dtype) - center) / spread).to(dtype)


def pixel_scale(
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Mean and std of pixel values 0..255, (channel, 1, 1), in float32 or wider, given those of images of 0..1."""
    wide = torch.promote_types(dtype, torch.float32)
    center, spread = (
        torch.tensor(one, device=device, dtype=wide).view(-1, 1, 1) * 255 for one in (mean, std)
    )
    return center, spread


def checked_normalisation(
    mean: Sequence[float], std: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Three numbers each, the second above 0. Raises CornetError."""
    center, spread = tuple(map(float, mean)), tuple(map(float, std))
    if len(center) != 3 or len(spread) != 3 or not all(value > 0 for value in spread):
        raise CornetError(
            f"mean={center} and std={spread} must be three numbers each, of images scaled to 0..1, std above 0."
        )
    return center, spread
