"""Correlate over the stimuli for which each neuroid has responses."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["missing_patterns", "pearson"]


def missing_patterns(responses: NDArray[np.float64]) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Group neuroids by the stimuli with responses: a list of (stimulus mask, positions of the neuroids)."""
    present = np.isfinite(responses)
    if present.all():
        return [(present[:, 0], np.arange(responses.shape[1]))]
    patterns, which = np.unique(present, axis=1, return_inverse=True)
    which = which.reshape(-1)
    return [(patterns[:, k], np.flatnonzero(which == k)) for k in range(patterns.shape[1])]


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's r over the first axis of (stimulus, neuroid); NaN if either side is constant up to rounding."""
    if len(a) < 2:
        return torch.full((a.shape[1],), math.nan, dtype=a.dtype, device=a.device)
    sides = []
    for side in (a, b):
        centred = side - side.mean(dim=0)
        length = centred.norm(dim=0)
        level = side.abs().amax(dim=0) * (1e-14 * math.sqrt(len(side)))
        sides.append(torch.where(length > level, centred / length, math.nan))
    return (sides[0] * sides[1]).sum(dim=0).clamp(-1, 1)
