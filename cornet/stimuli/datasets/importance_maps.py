"""Resample ClickMe's maps of what people find important, as the public code does (serre-lab/Harmonization 0.0.9).

A map of 256 x 256 pixels is reduced to 64, blurred and enlarged. Resizing has half-pixel centres and no antialiasing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cornet.stimuli.geometry import Box

__all__ = ["blur", "evaluation_map", "training_map"]

BLUR_SIDE = 64
"""Pixels per side at which maps are blurred."""

BLANK = 1e-5
"""Range of a blank map, as a share of its peak: what rounding leaves of a constant one."""

BLUR_SIZE, BLUR_SD = 10, 10.0


def evaluation_map(heatmap: Tensor, size: int = 224) -> Tensor:
    """Return the map that saliency is compared with, (size, size), in the units of `heatmap` (y, x), floating-point."""
    return _bilinear(blur(_bilinear(heatmap, BLUR_SIDE)), size)


def training_map(heatmap: Tensor, box: Box, size: int = 224, *, flip: bool = False) -> tuple[Tensor, float]:
    """Return the map of a training crop, (size, size), 0 to 1, and its token.

    heatmap: (y, x), floating-point. box, flip: those of the image.
    token: 1; 0 if the map is constant within the box, which then holds no information and is returned as zeros.
    """
    top, left, height, width = box
    crop = heatmap[top : top + height, left : left + width]
    small = _bilinear(_bicubic(crop.flip(-1) if flip else crop, size), BLUR_SIDE)
    if (
        small.amax() - small.amin() <= BLANK * crop.amax()
    ):  # also where sampling missed the only marked pixels
        return heatmap.new_zeros(size, size), 0.0
    result = _bilinear(blur(small), size)
    low, high = result.amin(), result.amax()
    return (result - low) / (high - low), 1.0


def blur(maps: Tensor) -> Tensor:
    """Correlate (y, x) with a Gaussian of 10 x 10 pixels and SD 10, nearly a box, with zeros beyond the edges.

    The kernel's offsets are -5 to 4 pixels in x and 4 to -5 in y; four zeros are padded before and five after.
    """
    x = torch.arange(BLUR_SIZE, dtype=maps.dtype, device=maps.device) - BLUR_SIZE // 2
    column, row = torch.exp(-(x.flip(0) ** 2) / (2 * BLUR_SD**2)), torch.exp(-(x**2) / (2 * BLUR_SD**2))
    kernel = torch.outer(column, row)
    before = (BLUR_SIZE - 1) // 2
    after = BLUR_SIZE - 1 - before
    padded = F.pad(maps[None, None], (before, after, before, after))
    return F.conv2d(padded, (kernel / kernel.sum())[None, None])[0, 0]


def _bilinear(maps: Tensor, size: int) -> Tensor:
    return F.interpolate(maps[None, None], size=(size, size), mode="bilinear", align_corners=False)[0, 0]


def _bicubic(maps: Tensor, size: int) -> Tensor:
    """Resize by Keys' kernel with a = -0.5, as TensorFlow does; torch has -0.75 unless it antialiases."""
    return _weights(maps.shape[0], size, maps) @ maps @ _weights(maps.shape[1], size, maps).T


def _weights(pixels: int, size: int, like: Tensor) -> Tensor:
    """Weights (size, pixels) of a bicubic interpolation; those beyond the edges are left out, and the rest sum to 1."""
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * (pixels / size) - 0.5
    d = (centres[:, None] - torch.arange(pixels, dtype=torch.float64)).abs()
    near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    weights = torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))
    return (weights / weights.sum(dim=1, keepdim=True)).to(like)
