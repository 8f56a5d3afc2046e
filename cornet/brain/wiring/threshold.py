"""The weight above which a connection exists, where weights have two modes: weak ones, and connections."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NO_MODES", "infer_threshold"]

NO_MODES = 0.1
"""The threshold where the weights have one mode."""
LEAST = 1e-4
OUTLYING = 15
"""Ratio of the largest to the median weight of a Kenyon cell with connections."""
MOST = 100_000
GRID = 1000
SMALL = 1e-10


def infer_threshold(claws: ArrayLike, seed: int = 0) -> float:
    """Infer the threshold of connections (KC, PN), as in Wang et al. 2021.

    Logarithms of the weights of cells with an outlying weight (of all cells, if there are none) are described by one
    Gaussian and by a mixture of two; by the Bayesian information criterion one of them is chosen. The threshold is
    where the weighted density of the lower Gaussian falls below that of the upper one; NO_MODES for one Gaussian, where
    they do not cross, and for a threshold below 1e-4. A single skewed mode may be described by two Gaussians: see
    `cornet.brain.wiring.has_peak`. seed: of the fits, and of the weights that are used if there are more than 100,000.
    """
    from sklearn.mixture import GaussianMixture

    weights = np.abs(np.asarray(claws, np.float64))
    median = np.maximum(np.median(weights, axis=1), 1e-300)
    outlying = weights.max(axis=1) / median > OUTLYING
    flat = (weights[outlying] if outlying.any() else weights).ravel()
    if len(flat) > MOST:
        flat = np.random.default_rng(seed).choice(flat, MOST)
    logs = np.log(flat + SMALL)[:, None]
    one = GaussianMixture(1, means_init=[[-2.0]], random_state=seed).fit(logs)
    two = GaussianMixture(2, means_init=[[-5.0], [0.0]], weights_init=[0.9, 0.1], random_state=seed).fit(logs)
    if one.bic(logs) < two.bic(logs):
        return NO_MODES
    grid = np.linspace(logs.min(), logs.max(), GRID)
    densities = two.weights_ * np.exp(
        -((grid[:, None] - two.means_[:, 0]) ** 2) / (2 * two.covariances_[:, 0, 0])
    )
    densities /= np.sqrt(two.covariances_[:, 0, 0])
    below = crossing(densities[:, 0], densities[:, 1])
    found = float(np.exp(grid[below])) if below is not None else 0.0
    return found if found >= LEAST else NO_MODES


def crossing(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> int | None:
    """The first place where the first density is below the second; None: nowhere."""
    places = np.flatnonzero(lower < upper)
    return int(places[0]) if len(places) else None
