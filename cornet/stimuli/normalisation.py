"""Normalise images by a mean and standard deviation per channel; other inputs stay as they are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cornet.errors import CornetError

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "check_normalisation", "normalise", "pixel_scale"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Per channel (red, green, blue), for images scaled to 0..1."""


def normalise(
    images: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Convert uint8 images (batch, 3, y, x) to normalised `dtype`. mean, std: for images scaled to 0..1."""
    center, spread = pixel_scale(mean, std, images.device, dtype)
    return ((images.to(center.dtype) - center) / spread).to(dtype)


def pixel_scale(
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Convert mean and std of images scaled to 0..1 to those of pixel values, (channel, 1, 1), float32 or wider.

    Empty mean and std, of inputs that are not images: 0 and 1, of shape (), which leave any input as it is.
    """
    wide = torch.promote_types(dtype, torch.float32)
    if not len(mean) and not len(std):
        return torch.zeros((), device=device, dtype=wide), torch.ones((), device=device, dtype=wide)
    center, spread = (
        torch.tensor(values, device=device, dtype=wide).view(-1, 1, 1) * 255 for values in (mean, std)
    )
    return center, spread


def check_normalisation(
    mean: Sequence[float], std: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std as tuples. Raises CornetError unless they have three numbers, with std above 0."""
    center, spread = tuple(map(float, mean)), tuple(map(float, std))
    if not center and not spread:
        raise CornetError(
            "the network takes inputs that are not images (their mean and std are empty), so it cannot be shown "
            "images; choose a network that was trained on images."
        )
    if len(center) != 3 or len(spread) != 3 or not all(value > 0 for value in spread):
        raise CornetError(
            f"mean={center} and std={spread} must be three numbers each, with std above 0; give them for "
            "images scaled to 0..1."
        )
    return center, spread
