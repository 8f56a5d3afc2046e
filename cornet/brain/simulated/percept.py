"""Percepts of the simulated IT: similarity to stored views of all 64 objects, and difficulty.

Similar shapes are therefore confused. Views: Poggio, Edelman 1990; Logothetis, Pauls 1995.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit, logsumexp, softmax

from cornet.brain.simulated.stimuli import Scenes
from cornet.stimuli.objects import CATEGORIES

__all__ = ["Percept", "perceive"]

_COMPONENTS = 30
_KERNEL = 1.5
"""Width of the similarity kernel. The nearest stored view is at a distance of 1 to 4, the average one at 9."""

_WEIGHT, _BONUS = 0.7, 1.0
"""Weight of similarity, and bonus of the true category, in log probability."""


@dataclass(frozen=True, eq=False)
class Percept:
    """category: (stimulus, category), resemblance to each category; rows sum to 1, columns as CATEGORIES.
    distance: (stimulus, reference view), squared. difficulty: (stimulus,), 0 to 1."""

    category: NDArray[np.float64]
    distance: NDArray[np.float64]
    difficulty: NDArray[np.float64]


def perceive(scenes: Scenes, truth: NDArray[np.intp]) -> Percept:
    """Percepts of all stimuli. truth: (stimulus,), indices of their categories."""
    references = scenes.reference_views.astype(np.float64)
    stored = references.reshape(-1, references.shape[-1])
    mean = stored.mean(0)
    axes = np.linalg.svd(stored - mean, full_matrices=False)[2][:_COMPONENTS]
    views, stored_views = (scenes.views - mean) @ axes.T, (stored - mean) @ axes.T
    distance = (views**2).sum(1)[:, None] + (stored_views**2).sum(1)[None] - 2 * views @ stored_views.T
    distance = np.maximum(distance, 0)
    number = len(CATEGORIES)
    by_category = distance.reshape(len(views), number, -1)
    resemblance = logsumexp(-by_category / (2 * _KERNEL**2), axis=2)
    right = np.eye(number)[truth]
    category = softmax(_WEIGHT * resemblance + _BONUS * right, axis=1)
    ambiguity = 1 - (category * right).sum(1)
    return Percept(category, distance, expit(_difficulty_logit(scenes, ambiguity)))


def _difficulty_logit(scenes: Scenes, ambiguity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of the difficulty of each stimulus: small, off-centre, cluttered, ambiguous or bright objects are hard.

    Objects darker than their surround are easier, as dark stimuli evoke stronger responses in macaque cortex
    (Yeh, Xing, Shapley 2009, J Neurosci 29:11753).
    """
    grey = scenes.images.astype(np.float64) / 255
    masks = scenes.masks.astype(np.float64)
    size = masks.shape[1]
    near = gaussian_filter(masks, (0, 0.05 * size, 0.05 * size), mode="constant")
    ring = np.clip(3 * near, 0, 1) * (1 - masks) + 1e-9
    area = masks.mean((1, 2)) + 1e-3
    inside = _mean(grey, masks + 1e-9)
    around = _mean(grey, ring)
    rough = np.sqrt(_mean((grey - around[:, None, None]) ** 2, ring))
    contrast = np.abs(inside - around) + 0.05
    grid = (np.arange(size) + 0.5) / size - 0.5
    x = _mean(np.broadcast_to(grid, masks.shape), masks + 1e-9)
    y = _mean(np.broadcast_to(grid[:, None], masks.shape), masks + 1e-9)
    return (
        -1.0 * np.log2(area / 0.2)
        + 0.8 * np.log2(rough / contrast / 0.33)
        + 8.0 * (np.hypot(x, y) - 0.07)
        + 3.0 * ambiguity
        + np.where(inside < around, -1.2, 0.6)
    )


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values * weights).sum((1, 2)) / weights.sum((1, 2))
