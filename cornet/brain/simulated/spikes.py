"""Scale drives to firing rates of a target reliability, and draw Poisson spikes.

The variance over stimuli of the mean of R Poisson counts with mean m(i) is Var(m) + mean(m) / R, so

    reliability = Var(m) / (Var(m) + mean(m) / R)

The split-half correlation estimates it. Its square root is the correlation of the best predictor with the mean.
"""

import numpy as np
from numpy.typing import NDArray

from cornet.brain.simulated.randomness import poisson, uniform

__all__ = ["gains", "poisson_counts", "reliability", "target_reliability"]


def target_reliability(name: str, neuroids: int, seed: int) -> NDArray[np.float64]:
    """Target reliability of each neuroid, (neuroid,), from .62 to .92 with median .78."""
    drawn = uniform(seed, name, np.arange(neuroids), "reliability")
    return np.where(drawn < 0.5, 0.62 + 0.32 * drawn, 0.64 + 0.28 * drawn)


def gains(
    drive: NDArray[np.float64],
    target: NDArray[np.float64],
    base: NDArray[np.float64],
    repetitions: int,
    seconds: float,
) -> NDArray[np.float64]:
    """Gains g, (neuroid,), so that counts of the rates base + g * drive have the target reliability.

    drive: (stimulus, neuroid), >= 0. target: (neuroid,), 0..1. base: (neuroid,), spikes/s. seconds: duration T of the
    spike count. The gain of a constant drive is 0.

    With k = target / (1 - target) / repetitions, g is the positive root of g^2 Var(drive) T = k (base + g mean(drive)).
    """
    k = target / (1 - target) / repetitions / seconds
    mean, variance = drive.mean(0), drive.var(0)
    root = k * mean + np.sqrt((k * mean) ** 2 + 4 * variance * k * base)
    return np.divide(root, 2 * variance, out=np.zeros_like(root), where=variance > 1e-18)


def reliability(rates: NDArray[np.float64], repetitions: int, seconds: float) -> NDArray[np.float64]:
    """Reliability of the spike count averaged over repetitions, (neuroid,); 0 for constant rates.

    rates: (stimulus, neuroid), spikes/s.
    """
    counts = rates * seconds
    signal = counts.var(0)
    return signal / (signal + counts.mean(0) / repetitions)


def poisson_counts(
    rates: NDArray[np.float64], repetitions: int, seconds: float, name: str, seed: int
) -> NDArray[np.uint8]:
    """Spike counts, (repetition, *rates.shape). Counts of a repetition do not depend on the number of repetitions.

    rates: (stimulus, neuroid[, time]), spikes/s.
    """
    places = np.ix_(*(np.arange(length) for length in rates.shape))
    counts = np.empty((repetitions, *rates.shape), np.uint8)
    for k in range(repetitions):
        counts[k] = poisson(rates * seconds, uniform(seed, name, "spikes", k, *places))
    return counts
