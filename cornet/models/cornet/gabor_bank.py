"""Draw a bank of Gabor filters from distributions measured in macaque V1: parameters and kernels.

Each parameter is drawn from a histogram of cells, uniformly within a bin: orientation and phase on a linear scale,
spatial frequency in log2, the envelope in log10 of cycles. Our choices:

* Spatial frequency and nx, the extent along the carrier, have a rank correlation of .75 (a Gaussian copula: two
  normals with Pearson correlation 2 sin(pi .75 / 6)).
* ny, the extent across the carrier, is drawn from the row of the joint histogram that belongs to nx.
* Other parameters are independent. Each filter uses six random numbers, so a larger bank starts with the smaller one.

Sources: Dapello, Marques et al. 2020 (NeurIPS); cells of De Valois, Yund and Hepler 1982 (Vision Research 22, 531;
orientation), De Valois, Albrecht and Thorell 1982 (22, 545; spatial frequency) and Ringach 2002 (J. Neurophysiology
88, 455; envelope).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from cornet.errors import CornetError

__all__ = ["GaborBank", "check_frequencies", "draw_bank", "gabor_kernels"]

Floats = NDArray[np.float64]

ORIENTATION_EDGES = (-22.5, 22.5, 67.5, 112.5, 157.5)
ORIENTATION_COUNTS = (66, 49, 77, 54)
FREQUENCY_EDGES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
FREQUENCY_COUNTS = (4, 4, 8, 25, 32, 26, 28, 12)
ENVELOPE_EDGES = tuple(10.0 ** (-1.0 + 0.24 * edge) for edge in range(6))
ENVELOPE_COUNTS = ((2, 0, 1, 0, 0), (8, 9, 4, 1, 0), (1, 2, 19, 17, 3), (0, 0, 1, 7, 4), (0, 0, 0, 0, 0))
"""Number of cells by nx (row) and ny (column)."""
RANK_CORRELATION = 0.75


@dataclass(frozen=True)
class GaborBank:
    """Parameters of Gabor filters, one number per filter in each array.

    orientation: direction of the carrier in degrees; 0: rightwards (vertical stripes), 90: downwards.
    frequency: spatial frequency of the carrier, cycles per degree of visual angle.
    phase: of the carrier at the filter's centre, degrees.
    nx, ny: standard deviations of the envelope along the carrier and across it, in cycles of the carrier.
    colour: channel of the image that the filter reads, from 0.
    """

    orientation: Floats
    frequency: Floats
    phase: Floats
    nx: Floats
    ny: Floats
    colour: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.orientation)


def draw_bank(count: int, colours: int = 3, seed: int = 0) -> GaborBank:
    """Draw parameters of `count` filters, each on one of `colours` channels. They depend only on `seed`."""
    draws = np.random.default_rng(seed).random((count, 6))
    pearson = 2 * math.sin(math.pi * RANK_CORRELATION / 6)
    # Normal for nx, correlated with that for the frequency; ndtri(0) is -inf, which maps to the lowest edge.
    partner = pearson * ndtri(draws[:, 1]) + math.sqrt(1 - pearson**2) * ndtri(draws[:, 2])
    row, log_nx = _from_histogram(ndtr(partner), np.log10(ENVELOPE_EDGES), [sum(r) for r in ENVELOPE_COUNTS])
    log_ny = np.empty(count)
    for index, counts in enumerate(ENVELOPE_COUNTS):
        if sum(counts):
            here = row == index
            log_ny[here] = _from_histogram(draws[here, 3], np.log10(ENVELOPE_EDGES), counts)[1]
    return GaborBank(
        orientation=_from_histogram(draws[:, 0], ORIENTATION_EDGES, ORIENTATION_COUNTS)[1],
        frequency=np.exp2(_from_histogram(draws[:, 1], np.log2(FREQUENCY_EDGES), FREQUENCY_COUNTS)[1]),
        phase=360 * draws[:, 4],
        nx=10**log_nx,
        ny=10**log_ny,
        colour=np.floor(colours * draws[:, 5]).astype(np.int64),
    )


def gabor_kernels(bank: GaborBank, kernel: int, pixels_per_degree: float, shift: float = 0.0) -> Floats:
    """(filter, y, x) kernels of `kernel` x `kernel` pixels, an odd number, centred on the middle pixel.

    At (x, y) pixels from the centre, x rightwards and y downwards, with (x', y') turned by the orientation:
    exp(-(x'^2 / sx^2 + y'^2 / sy^2) / 2) / (2 pi sx sy) cos(2 pi f x' + phase), f in cycles per pixel, sx = nx / f,
    sy = ny / f. The mean of a kernel depends on its phase; an envelope wider than the kernel is truncated.

    shift: degrees added to every phase; 90 makes the quadrature partners.
    """
    offset = np.arange(kernel) - kernel // 2
    y, x = np.meshgrid(offset, offset, indexing="ij")
    angle, phase = (np.deg2rad(values)[:, None, None] for values in (bank.orientation, bank.phase + shift))
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    frequency = (bank.frequency / pixels_per_degree)[:, None, None]
    sx, sy = bank.nx[:, None, None] / frequency, bank.ny[:, None, None] / frequency
    envelope = np.exp(-((along / sx) ** 2 + (across / sy) ** 2) / 2) / (2 * math.pi * sx * sy)
    return envelope * np.cos(2 * math.pi * frequency * along + phase)


def check_frequencies(pixels_per_degree: float) -> None:
    """Raise CornetError for a resolution below the Nyquist limit of the bank's highest spatial frequency."""
    highest = FREQUENCY_EDGES[-1]
    if pixels_per_degree <= 2 * highest:
        raise CornetError(
            f"pixels_per_degree={pixels_per_degree:g} must be above {2 * highest:g}, as the filters have up to "
            f"{highest:g} cycles per degree and a cycle needs more than two pixels; show larger images, or let them "
            "span fewer degrees (it is pixels per side / degrees)."
        )


def _from_histogram(
    uniform: Floats, edges: Sequence[float] | Floats, counts: Sequence[int]
) -> tuple[NDArray[np.intp], Floats]:
    """Invert a histogram's distribution function: the bin (from 0) and value for each of `uniform` (0..1)."""
    edges = np.asarray(edges, dtype=float)
    reached = np.cumsum([0, *counts]) / sum(counts)
    # side="right" skips empty bins, where the function is flat. The minimum guards against values rounded to 1.
    last = int(np.flatnonzero(counts)[-1])
    bins = np.minimum(np.searchsorted(reached, uniform, side="right") - 1, last)
    share = (uniform - reached[bins]) / (reached[bins + 1] - reached[bins])
    return bins, edges[bins] + share * (edges[bins + 1] - edges[bins])
