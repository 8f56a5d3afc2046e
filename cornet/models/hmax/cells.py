"""The cells of HMAX as functions: S1 (filters), C1 (maxima), S2 (distances to patches), and the filters themselves.

Maps are (batch, orientation, y, x). Orientations are 90, -45, 0, 45 degrees, in this order: the filters of channel 0
oscillate along rows (horizontal stripes drive them), those of channel 2 along columns (vertical stripes).

Sources: Serre, Wolf, Bileschi, Riesenhuber and Poggio 2007 (IEEE PAMI 29:411, table 1); for 1999, see `BANDS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "BANDS",
    "FILTERS",
    "ORIENTATIONS",
    "Band",
    "complex_cells",
    "simple_cells",
    "squared_distances",
    "usable_bands",
    "usable_sizes",
]

Floats = NDArray[np.float64]

ORIENTATIONS = (90, -45, 0, 45)
DARKEST = 1e-3
"""Norm of a window of pixels (0..1) below which S1 takes it as black: a quarter of one grey level in one pixel.

A window is black if all pixels are 0. They are not exactly 0 after a normalisation was undone."""
SMALL_FILTER, SMALL_PATCH = 3, 10
"""An image is small for filters above a third of its side, and for patches of more cells than a tenth of its pixels."""


@dataclass(frozen=True)
class Band:
    """S1 filters that share a C1 map. sizes: of the filters, pixels. pool, step: of C1, pixels."""

    sizes: tuple[int, ...]
    pool: int
    step: int


BANDS = {
    "2007": tuple(Band((7 + 4 * b, 9 + 4 * b), 8 + 2 * b, 4 + b) for b in range(8)),
    "1999": (
        Band((7, 9), 4, 2),
        Band((11, 13, 15), 6, 3),
        Band((17, 19, 21), 9, 5),
        Band((23, 25, 27, 29), 12, 6),
    ),
}
"""Bands by version. Those of 1999 are from memory (Riesenhuber and Poggio 1999; Serre and Riesenhuber 2004, CBCL memo
239): neighbouring pools overlap by half."""


def gabors(size: int) -> Floats:
    """Gabor filters (orientation, size, size) of 2007."""
    wavelength = 2 * size / (4 - 0.025 * (size - 7))
    u, v = turned_coordinates(size)
    envelope = np.exp(-(u**2 + 0.3**2 * v**2) / (2 * (0.8 * wavelength) ** 2))
    return standardised(envelope * np.cos(2 * np.pi * u / wavelength))


def gaussian_derivatives(size: int) -> Floats:
    """Second derivatives of Gaussians (orientation, size, size) of 1999; sd: a quarter of the size (from memory)."""
    u, v = turned_coordinates(size)
    variance = (size / 4) ** 2
    return standardised((u**2 / variance - 1) * np.exp(-(u**2 + v**2) / (2 * variance)))


FILTERS: dict[str, Callable[[int], Floats]] = {"2007": gabors, "1999": gaussian_derivatives}
"""Filters by version: size in pixels -> (orientation, size, size)."""


def turned_coordinates(size: int) -> tuple[Floats, Floats]:
    """Distances from the middle pixel along and across the direction of each filter, (orientation, size, size)."""
    offset = np.arange(size, dtype=float) - size // 2
    row, column = np.meshgrid(offset, offset, indexing="ij")
    angle = np.deg2rad(np.array(ORIENTATIONS) + 90.0)[:, None, None]
    return row * np.cos(angle) + column * np.sin(angle), column * np.cos(angle) - row * np.sin(angle)


def standardised(filters: Floats) -> Floats:
    """Filters (orientation, size, size) cut to a disc, then with mean 0 over the square, and norm 1."""
    size = filters.shape[-1]
    offset = np.arange(size) - size // 2
    disc = np.hypot(*np.meshgrid(offset, offset)) <= size / 2
    filters = filters * disc
    filters = filters - filters.mean((1, 2), keepdims=True)
    norms: Floats = np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    return filters / norms


def simple_cells(grey: Tensor, filters: Tensor) -> Tensor:
    """S1 (batch, orientation, y, x), 0..1: the filters' absolute responses over the norm of the window that they see.

    grey: pixels (batch, 1, y, x); multiplied by a factor, they give the same S1. filters: (orientation, 1, n, n).
    Positions where a filter reaches across the border are 0.
    """
    n = filters.shape[-1]
    power = window_sums(F.pad(grey.square(), (n // 2,) * 4), n)
    norm = torch.where(power > DARKEST**2, power, 1.0).sqrt()
    responses = F.conv2d(grey, filters, padding=n // 2).abs() / norm
    rows, columns = (
        (torch.arange(side, device=grey.device) >= (n + 1) // 2)
        & (torch.arange(side, device=grey.device) < side - (n - 1) // 2)
        for side in grey.shape[-2:]
    )
    return responses * (rows[:, None] & columns)


def window_sums(maps: Tensor, side: int) -> Tensor:
    """Sums over all windows of side x side cells of maps (batch, 1, y, x)."""
    ones = torch.ones((1, 1, 1, side), dtype=maps.dtype, device=maps.device)
    return F.conv2d(F.conv2d(maps, ones), ones.mT)


def complex_cells(maps: Sequence[Tensor], band: Band) -> Tensor:
    """C1 (batch, orientation, y // step + 1, x // step + 1): the maximum over the band's S1 maps and over a pool.

    The map is shifted up and left by one cell, and its last row and column are 0, as in the published MATLAB code.
    """
    strongest = torch.stack(list(maps)).amax(0)
    cells = F.max_pool2d(strongest, band.pool, band.step, band.pool // 2)
    return F.pad(cells[..., 1:, 1:], (0, 1, 0, 1))


def squared_distances(c1: Tensor, patches: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared distances (batch, patch, y, x) of the windows around all cells of a C1 map to patches.

    patches: (patch, orientation, s, s). weights: of the squared differences, as `patches`; None: 1. Outside of the map
    C1 is 0. For even s the window of a cell has one more row below it than above, and one more column on its right.
    """
    side = patches.shape[-1]
    # d^2 = a - 2 b + c cancels. Around the patches' mean the terms are small, and float32 errs a tenth as much.
    middle = patches.mean()
    cells, targets = F.pad(c1, (side // 2,) * 4) - middle, patches - middle
    if weights is None:
        own = window_sums(cells.square().sum(1, keepdim=True), side)
        weights = torch.ones_like(patches)
    else:
        own = F.conv2d(cells.square(), weights)
    shared = F.conv2d(cells, weights * targets)
    constant = (weights * targets.square()).sum((1, 2, 3))[:, None, None]
    first = 1 - side % 2
    return (own - 2 * shared + constant)[..., first:, first:].clamp(min=0)


def usable_bands(bands: Sequence[Band], size: int) -> tuple[Band, ...]:
    """The bands whose filters are at most a third as wide as an image of `size` pixels per side, at least the first."""
    return tuple(band for band in bands if SMALL_FILTER * max(band.sizes) <= size) or tuple(bands[:1])


def usable_sizes(sizes: Sequence[int], bands: Sequence[Band], size: int) -> tuple[int, ...]:
    """The patch sizes for an image of `size` pixels per side.

    All of them if all bands are usable, else those up to a tenth of the image, at least the smallest.
    """
    if usable_bands(bands, size) == tuple(bands):
        return tuple(sizes)
    return tuple(side for side in sizes if SMALL_PATCH * side <= size) or (min(sizes),)
