"""V1 and V2 of the simulated brain, which respond to pixels.

V1: energy of Gabor pairs (Adelson, Bergen 1985) and half-rectified Gabors, divided by local contrast (Heeger 1992).
V2: products of two neighbouring energies, averaged over a field (Portilla, Simoncelli 2000; Freeman et al. 2013).
"""

import numpy as np
from numpy.typing import NDArray

from cornet.brain.simulated.randomness import uniform

__all__ = ["field_centres", "v1_drive", "v1_preferred", "v2_drive"]

_FREQUENCIES = (2.0, 4.0, 8.0)
"""Cycles per image; 0.25 to 1 cycle per degree for images of 8 degrees."""

_ORIENTATIONS = 8
_CONTRAST = 0.04
"""RMS contrast at which normalisation halves the growth of the response."""

_SIMPLE = 0.3
_GRID = np.linspace(-1, 1, 4)


def field_centres(name: str, neuroids: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of the centres of the fields of V1 or V2, (neuroid,) each, in image widths, from .25 to .75."""
    unit = np.arange(neuroids)
    x, y = (0.25 + 0.5 * uniform(seed, name, unit, axis) for axis in ("x", "y"))
    return x, y


def v1_drive(images: NDArray[np.uint8], neuroids: int, seed: int) -> NDArray[np.float64]:
    """Drive of V1, (stimulus, neuroid), >= 0, arbitrary units."""
    unit = np.arange(neuroids)
    frequency, angle = _tuning(seed, "V1", unit)
    x, y = field_centres("V1", neuroids, seed)
    even, odd = _quadrature(images, x, y, frequency, angle)
    contrast = _local_contrast(images, x, y, 1.5 * _spread(frequency))
    phase = 2 * np.pi * uniform(seed, "V1", unit, "phase")
    simple = np.maximum(even * np.cos(phase) + odd * np.sin(phase), 0)
    energy = np.hypot(even, odd)
    chosen = np.where(uniform(seed, "V1", unit, "simple") < _SIMPLE, simple, energy)
    return chosen / (_CONTRAST + contrast)


def v2_drive(images: NDArray[np.uint8], neuroids: int, seed: int) -> NDArray[np.float64]:
    """Drive of V2, (stimulus, neuroid), >= 0, arbitrary units."""
    unit = np.arange(neuroids)
    x, y = field_centres("V2", neuroids, seed)
    radius = 0.08 + 0.06 * uniform(seed, "V2", unit, "radius")
    # The second energy differs from the first in orientation, frequency or position.
    frequency, angle = _tuning(seed, "V2", unit)
    partner, partner_angle = _tuning(seed, "V2 partner", unit)
    kind = (3 * uniform(seed, "V2", unit, "kind")).astype(int)
    partner = np.where(kind == 1, partner, frequency)
    partner_angle = np.where(kind == 0, partner_angle, angle)
    direction = 2 * np.pi * uniform(seed, "V2", unit, "direction")
    step = np.where(kind == 2, 0.08, 0.03)
    total = np.zeros((len(images), neuroids))
    first, second, both = total.copy(), total.copy(), total.copy()
    for dx in _GRID:
        for dy in _GRID:
            here = x + radius * dx, y + radius * dy
            there = here[0] + step * np.cos(direction), here[1] + step * np.sin(direction)
            a = np.hypot(*_quadrature(images, *here, frequency, angle))
            b = np.hypot(*_quadrature(images, *there, partner, partner_angle))
            first, second, both = first + a * a, second + b * b, both + a * b
    # Dividing by both energies leaves their correlation and removes contrast.
    count = len(_GRID) ** 2
    return both / count / np.sqrt((_CONTRAST**2 / 2 + first / count) * (_CONTRAST**2 / 2 + second / count))


def _tuning(seed: int, name: str, unit: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chosen = (len(_FREQUENCIES) * uniform(seed, name, unit, "frequency")).astype(int)
    angle = np.pi / _ORIENTATIONS * (_ORIENTATIONS * uniform(seed, name, unit, "orientation")).astype(int)
    return np.asarray(_FREQUENCIES)[chosen], angle


def _spread(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of a Gabor's window, in image widths: about one and a half octaves of bandwidth."""
    return 0.4 / frequency


def _quadrature(
    images: NDArray[np.uint8],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    frequency: NDArray[np.float64],
    angle: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Responses of an even and an odd Gabor for each unit, (stimulus, unit) each, in units of contrast."""
    across, down = _offsets(images.shape[1], x, y)
    window = np.exp(-(across**2 + down**2) / (2 * _spread(frequency)[:, None, None] ** 2))
    window /= window.sum((1, 2), keepdims=True)
    along = across * np.cos(angle)[:, None, None] + down * np.sin(angle)[:, None, None]
    wave = 2 * np.pi * frequency[:, None, None] * along
    even, odd = window * np.cos(wave), window * np.sin(wave)
    for wavelet in (even, odd):  # no response to uniform light, even where the frame cuts an odd one's window
        wavelet -= window * wavelet.sum((1, 2), keepdims=True)
    pixels = images.reshape(len(images), -1) / 255
    both = pixels @ np.concatenate([even, odd]).reshape(2 * len(x), -1).T
    return both[:, : len(x)], both[:, len(x) :]


def _local_contrast(
    images: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standard deviation of the grey levels under a Gaussian window for each unit, (stimulus, unit)."""
    across, down = _offsets(images.shape[1], x, y)
    window = np.exp(-(across**2 + down**2) / (2 * spread[:, None, None] ** 2))
    window /= window.sum((1, 2), keepdims=True)
    pixels = images.reshape(len(images), -1).astype(np.float64) / 255
    flat = window.reshape(len(x), -1).T
    return np.sqrt(np.maximum(pixels**2 @ flat - (pixels @ flat) ** 2, 0))


def _offsets(
    size: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of every pixel from each unit's centre, rightwards and downwards, (unit, y, x), in image widths."""
    grid = (np.arange(size) + 0.5) / size
    shape = (len(x), size, size)
    across = np.broadcast_to(grid[None, None, :] - x[:, None, None], shape)
    down = np.broadcast_to(grid[None, :, None] - y[:, None, None], shape)
    return across, down


def v1_preferred(size: int, neuroids: int, seed: int) -> NDArray[np.uint8]:
    """Images like the Gabors of V1 at full contrast, (neuroid, image, y, x): eight phases, six widths of the window.

    The largest response to them is close to the most that any image can give: the drive is that of a Gabor divided by
    the contrast in a window of 1.5 times its width.
    """
    unit = np.arange(neuroids)
    frequency, angle = _tuning(seed, "V1", unit)
    x, y = (0.25 + 0.5 * uniform(seed, "V1", unit, axis) for axis in ("x", "y"))
    across, down = _offsets(size, x, y)
    along = across * np.cos(angle)[:, None, None] + down * np.sin(angle)[:, None, None]
    spread = _spread(frequency)[:, None, None]
    images = []
    for width in (0.5, 0.7, 1.0, 1.5, 2.5, np.inf):
        window = np.exp(-(across**2 + down**2) / (2 * (width * spread) ** 2))
        for phase in np.arange(8) * np.pi / 4:
            wave = np.cos(2 * np.pi * frequency[:, None, None] * along - phase)
            images.append(np.rint(127.5 + 127.5 * window * wave).astype(np.uint8))
    return np.stack(images, axis=1)
