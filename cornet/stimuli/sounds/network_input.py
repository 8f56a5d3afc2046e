"""What networks get of a cochleagram: scaled per clip, and resized as in the public demo of Kell et al. 2018."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["lanczos_matrix", "min_max", "resized"]

SUPPORT = 3


def min_max(cochleagrams: Tensor, top: float = 1.0) -> Tensor:
    """Scale each cochleagram (batch, channel, frame) to 0..`top`; a constant one, as of silence, becomes 0."""
    low, high = cochleagrams.amin((-2, -1), True), cochleagrams.amax((-2, -1), True)
    span = high - low
    return (cochleagrams - low) * (top / span.where(span > 0, torch.ones_like(span)))


def resized(cochleagrams: Tensor, channels: int, frames: int) -> Tensor:
    """Resize (batch, channel, frame) to (batch, `channels`, `frames`) with Lanczos filters, in the values' dtype.

    The result can exceed the range of the values. It equals PIL's `resize` of an image of floats.
    """
    rows, columns = (
        torch.as_tensor(lanczos_matrix(old, new), dtype=cochleagrams.dtype, device=cochleagrams.device)
        for old, new in zip(cochleagrams.shape[-2:], (channels, frames), strict=True)
    )
    return rows @ cochleagrams @ columns.T


def lanczos_matrix(old: int, new: int) -> np.ndarray:
    """Weights (new, old) of a Lanczos filter with three lobes, which is widened when it shrinks; rows sum to 1."""
    scale = old / new
    width = max(scale, 1.0)
    weights = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * scale
        first = max(int(centre - SUPPORT * width + 0.5), 0)
        last = min(int(centre + SUPPORT * width + 0.5), old)
        distance = (np.arange(first, last) + 0.5 - centre) / width
        taps = np.sinc(distance) * np.sinc(distance / SUPPORT) * (np.abs(distance) < SUPPORT)
        weights[row, first:last] = taps / taps.sum()
    return weights
