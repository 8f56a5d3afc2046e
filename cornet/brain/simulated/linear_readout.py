"""A linear softmax read-out of simulated responses, fitted to convergence with 10-fold cross-validation."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from cornet.brain.simulated.randomness import uniform

__all__ = ["cross_validated"]

_FOLDS = 10


def cross_validated(
    features: NDArray[np.float64], labels: NDArray[np.intp], penalty: float, seed: int
) -> NDArray[np.float64]:
    """Log probabilities of the classes, (stimulus, class), from read-outs fitted on the other nine folds.

    features: (stimulus, feature), standardised with the training images. labels: (stimulus,), 0, 1, ...
    penalty: 0.5 * penalty * (|W|^2 + |b|^2) is added to the mean cross-entropy.
    """
    target = np.eye(int(labels.max()) + 1)[labels]
    # Distribute every class evenly over the folds.
    order = np.lexsort((uniform(seed, "folds", np.arange(len(labels))), labels))
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % _FOLDS
    result = np.empty(target.shape)
    for k in range(_FOLDS):
        test = fold == k
        mean, spread = features[~test].mean(0), features[~test].std(0)
        z = (features - mean) / np.where(spread > 1e-12, spread, 1.0)
        z = np.concatenate([z, np.ones((len(z), 1))], axis=1)
        result[test] = log_softmax(z[test] @ _fit(z[~test], target[~test], penalty), axis=1)
    return result


def _fit(x: NDArray[np.float64], target: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Weights at the minimum, by Nesterov's accelerated gradient method for strongly convex functions."""
    n = len(x)
    steepest = 0.5 * np.linalg.eigvalsh(x.T @ x / n)[-1] + penalty
    ratio = np.sqrt(penalty / steepest)
    momentum = (1 - ratio) / (1 + ratio)
    weights = np.zeros((x.shape[1], target.shape[1]))
    ahead = weights
    for _ in range(1000):
        slope = x.T @ (softmax(x @ ahead, axis=1) - target) / n + penalty * ahead
        stepped = ahead - slope / steepest
        ahead = stepped + momentum * (stepped - weights)
        moved = np.abs(stepped - weights).max()
        weights = stepped
        if moved < 1e-7:
            break
    return weights
