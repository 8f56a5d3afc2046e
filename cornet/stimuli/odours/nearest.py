"""The nearest prototype of each odour, in blocks that bound the memory."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["distorted", "nearest", "unit_length"]

BLOCK = 8192
"""Odours at a time."""
LAYERS, SPREAD = 5, 0.3
"""Of `distorted`: random layers, and the standard deviation of the output of each."""

Floats = NDArray[np.float64]


def nearest(odours: NDArray[np.floating], prototypes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Index of the nearest prototype by Euclidean distance (the lower one of two), and that distance; (odour,).

    |x - p|^2 is least where x.p - |p|^2 / 2 is largest. Computed in float64.
    """
    index, distance = np.empty(len(odours), np.int64), np.empty(len(odours))
    half = (prototypes**2).sum(axis=1) / 2
    for start in range(0, len(odours), BLOCK):
        block = odours[start : start + BLOCK].astype(np.float64)
        score = block @ prototypes.T - half
        best = score.argmax(axis=1)
        index[start : start + BLOCK] = best
        squared = (block**2).sum(axis=1) - 2 * score[np.arange(len(block)), best]
        distance[start : start + BLOCK] = np.sqrt(np.maximum(squared, 0))
    return index, distance


def unit_length(odours: NDArray[np.floating]) -> Floats:
    """Odours divided by their Euclidean norm, so that their concentration does not count."""
    wide = odours.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def distorted(odours: NDArray[np.floating], seed: int) -> Floats:
    """Odours after five random layers of rectifiers, each divided by its standard deviation and times .3.

    The weights of a layer are normal with variance 1 / N. The public code's own draws are not known.
    """
    rng, current = np.random.RandomState(seed), odours.astype(np.float64)
    units = odours.shape[1]
    for _ in range(LAYERS):
        current = np.maximum(current @ rng.normal(0, units**-0.5, (units, units)), 0)
        current *= SPREAD / current.std()
    return current
