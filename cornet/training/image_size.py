"""Progressive image size: small images in the first epochs, which are learnt from faster."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cornet.errors import CornetError

__all__ = ["Sizes", "check_sizes", "shrunk", "size_at"]

Sizes = Sequence[Sequence[int]]
"""[[pixels, epochs], ...]: that many epochs at that size each, in order; the rest at the images' own size."""


def check_sizes(sizes: Any, epochs: int) -> None:
    """Raise CornetError for impossible sizes, and where no epoch is left at the full size."""
    whole = isinstance(sizes, Sequence) and all(
        isinstance(part, Sequence)
        and len(part) == 2
        and all(isinstance(number, int) and number >= 1 for number in part)
        for part in sizes
    )
    if not whole:
        raise CornetError(
            f"recipe.sizes={sizes!r} must be pairs of pixels and epochs, such as [[128, 10], [160, 10]]."
        )
    small = sum(part[1] for part in sizes)
    if sizes and small >= epochs:
        raise CornetError(
            f"recipe.sizes={[list(part) for part in sizes]} takes {small} of recipe.epochs={epochs}; leave at least "
            "one epoch at the images' own size, at which brains are scored."
        )


def size_at(sizes: Sizes, epoch: int) -> int | None:
    """Pixels of the training images in an epoch (from 0); None: their own."""
    for pixels, epochs in sizes:
        if epoch < epochs:
            return pixels
        epoch -= epochs
    return None


def shrunk(images: Tensor, pixels: int | None) -> Tensor:
    """Images (batch, channel, y, x) at `pixels` a side, as floats of the same scale; unchanged for None.

    Bilinear with antialiasing. Raises CornetError for a size above theirs.
    """
    if pixels is None or images.shape[-2:] == (pixels, pixels):
        return images
    if pixels > min(images.shape[-2:]):
        raise CornetError(
            f"recipe.sizes asks for {pixels} pixels, but the training images have {min(images.shape[-2:])}; give "
            "smaller sizes, or larger images with data.size."
        )
    wide = images if images.is_floating_point() else images.to(torch.float32)
    return F.interpolate(wide, (pixels, pixels), mode="bilinear", antialias=True)
