"""From a drive without unit to firing rates of a chosen reliability, and from rates to Poisson spikes.

The mean of R Poisson counts with mean m(i) has over stimuli the variance Var(m) + mean(m) / R, so that

    reliability = Var(m) / (Var(m) + mean(m) / R)

which the split-half correlation estimates; its root is the best predictor's correlation with the mean.
"""

import numpy as np
from numpy.typing import NDArray

from cornet.brain.simulated.randomness import poisson, uniform

__all__ = ["gains", "poisson_counts", "reliability", "wanted_reliability"]


def wanted_reliability(name: str, neuroids: int, seed: int) -> NDArray[np.float64]:
    """Each neuroid's reliability, (neuroid,), from .62 to .92, .78 in the middle."""
    drawn = uniform(seed, name, np.arange(neuroids), "reliability")
    return np.where(drawn < 0.5, 0.62 + 0.32 * drawn, 0.64 + 0.28 * drawn)


def gains(
    drive: NDArray[np.float64],
    wanted: NDArray[np.float64],
    base: NDArray[np.float64],
    repetitions: int,
    seconds: float,
) -> NDArray[np.float64]:
    """Gains g, (neuroid,), for which the counts of the rates base + g * drive have the wanted reliability.

    drive: (stimulus, neuroid), 0 or more. wanted: (neuroid,), 0..1. base: (neuroid,), spikes a second.
    seconds: the time in which spikes are counted. 0 for a neuroid whose drive does not vary.

    With k = wanted / (1 - wanted) / repetitions, g is the positive root of g^2 Var(drive) T = k (base + g mean(drive)).
    """
    k = wanted / (1 - wanted) / repetitions / seconds
    mean, variance = drive.mean(0), drive.var(0)
    root = k * mean + np.sqrt((k * mean) ** 2 + 4 * variance * k * base)
    return np.divide(root, 2 * variance, out=np.zeros_like(root), where=variance > 1e-18)


def reliability(rates: NDArray[np.float64], repetitions: int, seconds: float) -> NDArray[np.float64]:
    """The reliability of the mean over repetitions of the counts of these rates, (neuroid,); 0 where none varies.

    rates: (stimulus, neuroid), spikes a second.
    """
    counts = rates * seconds
    signal = counts.var(0)
    return signal / (signal + counts.mean(0) / repetitions)


def poisson_counts(
    rates: NDArray[np.float64], repetitions: int, seconds: float, name: str, seed: int
) -> NDArray[np.uint8]:
    """Spike counts, (repetition, *rates.shape). A repetition's counts do not depend on how many there are.

    rates: (stimulus, neuroid[, time]), spikes a second.
    """
    places = np.ix_(*(np.arange(length) for length in rates.shape))
    counts = np.empty((repetitions, *rates.shape), np.uint8)
    for k in range(repetitions):
        counts[k] = poisson(rates * seconds, uniform(seed, name, "spikes", k, *places))
    return counts
