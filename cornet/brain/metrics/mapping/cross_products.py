"""Sums of products of few neuroids and many units, over several sets of stimuli, in one pass over the features.

A set with more than half of the stimuli, such as a training set, is computed as all stimuli minus the others.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cornet.brain.metrics.mapping.gram import column_blocks

__all__ = ["cross_products"]

CANCELLED = 1e-8
"""All stimuli minus the others loses digits if the result is small: below this share of the whole, a unit's sums are
computed from the set alone."""

ROWS = 64
"""Stimuli whose squares are summed at a time."""


def cross_products(
    X: Tensor, features: Any, sets: Sequence[Tensor], device: torch.device, memory: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Return two lists with an entry for each set: X'Y (neuroid, unit), and each unit's sum of squares (0 if constant).

    Both are centred over the set. X: (stimulus, neuroid) float64, responses. features: (stimulus, unit), from
    `as_matrix`. sets: positions of stimuli. memory: bytes for blocks of features. Raises CornetError for features that
    are not finite.
    """
    units = features.shape[1]
    crosses = [X.new_zeros(X.shape[1], units) for _ in sets]
    variances = [X.new_zeros(units) for _ in sets]
    X = X - X.mean(dim=0)
    others = [complement(rows, len(X)) if len(rows) > len(X) // 2 else None for rows in sets]
    start = 0
    for block in column_blocks(features, device, "features", memory // 4):
        columns = slice(start, start + block.shape[1])
        means = block.mean(dim=0)
        Y = block.sub_(means)
        squares = sums_of_squares(Y)
        whole = X.T @ Y if any(one is not None for one in others) else None
        for number, (rows, left) in enumerate(zip(sets, others, strict=True)):
            own = Y[rows if left is None else left]
            S = X[rows if left is None else left].T @ own
            total, square = own.sum(dim=0), sums_of_squares(own)
            if left is not None and whole is not None:
                S, total, square = whole - S, -total, squares - square
            n = len(rows)
            x = X[rows].mean(dim=0)
            S -= torch.outer(x, total)
            square -= total.square() / n
            if len(close := torch.nonzero(square <= CANCELLED * squares)[:, 0]):
                S[:, close], square[close] = exact(X[rows] - x, Y[rows][:, close] + means[close])
            crosses[number][:, columns], variances[number][columns] = S, square
        start = columns.stop
    return crosses, variances


def sums_of_squares(Y: Tensor) -> Tensor:
    """Of each column. In parts that stay in the processor's cache: five times as fast as all at once."""
    total = Y.new_zeros(Y.shape[1])
    for part in Y.split(ROWS):
        total += part.square().sum(dim=0)
    return total


def exact(X: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """X'Y and sums of squares of units that vary little; 0 for those that are constant up to rounding."""
    Y = values - values.mean(dim=0)
    level = values.abs().amax(dim=0) * (1e-14 * math.sqrt(len(values)))
    constant = ~(Y.norm(dim=0) > level)
    return (X.T @ Y).masked_fill(constant, 0.0), Y.square().sum(dim=0).masked_fill(constant, 0.0)


def complement(rows: Tensor, count: int) -> Tensor:
    """Positions that are not in `rows`."""
    mask = torch.ones(count, dtype=torch.bool, device=rows.device)
    mask[rows] = False
    return torch.nonzero(mask)[:, 0]
