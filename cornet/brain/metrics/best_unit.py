"""Neuron to neuron: each neuroid is predicted by the single feature that goes with it best in the training set."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.metrics.correlation import missing_patterns, pearson
from cornet.brain.metrics.gram import centred_blocks
from cornet.brain.metrics.splits import Split

__all__ = ["best_unit_correlations"]


def best_unit_correlations(
    features: Any, responses: NDArray[np.float64], pairs: list[Split], device: torch.device, memory: int
) -> NDArray[np.float64]:
    """Pearson's r on the test set of the feature with the largest signed r on the training set, (split, neuroid).

    features: (stimulus, feature), read once in blocks; responses (stimulus, neuroid), NaN where missing.
    """
    answers = torch.from_numpy(np.nan_to_num(responses)).to(device)
    best = torch.full((len(pairs), responses.shape[1]), -math.inf, dtype=torch.float64, device=device)
    activity = torch.full((len(pairs), *responses.shape), math.nan, dtype=torch.float64, device=device)
    sets = [
        (number, torch.from_numpy(fit).to(device), torch.from_numpy(columns).to(device))
        for present, columns in missing_patterns(responses)
        for number, (train, _) in enumerate(pairs)
        if len(fit := train[present[train]]) >= 2
    ]
    for block in centred_blocks(features, device, memory=memory):
        for number, rows, columns in sets:
            r, which = best_of_block(block[rows], answers[rows][:, columns], block.abs().amax(dim=0))
            better = r > best[number, columns]
            best[number, columns[better]] = r[better]
            activity[number][:, columns[better]] = block[:, which[better]]
    values = np.full((len(pairs), responses.shape[1]), math.nan)
    for present, members in missing_patterns(responses):
        for number, (_, test) in enumerate(pairs):
            check = test[present[test]]
            r = pearson(activity[number][check][:, members], answers[check][:, members])
            values[number, members] = r.cpu().numpy()
    return values


def best_of_block(X: Tensor, Y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """For each neuroid the largest r with a feature of the block, and which; -inf where nothing varies."""
    X, Y = X - X.mean(dim=0), Y - Y.mean(dim=0)
    lengths = X.norm(dim=0)
    varies = lengths > 1e-14 * math.sqrt(len(X)) * scale
    r = (X.T @ Y) / lengths[:, None] / Y.norm(dim=0)
    best, which = torch.where(varies[:, None] & r.isfinite(), r, -math.inf).max(dim=0)
    return best, which
