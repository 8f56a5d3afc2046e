"""Random numbers of the simulated brain, each a function of the seed and a key (`cornet.stimuli.draws`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from cornet.stimuli import draws

__all__ = ["normal", "poisson", "uniform"]

_STREAM = "cornet simulated brain"


def uniform(seed: int, *key: "int | str | NDArray[Any]") -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one for each element of the broadcast parts of the key; at least 1-D."""
    return draws.uniform(_STREAM, seed, *key)


def normal(seed: int, *key: "int | str | NDArray[Any]") -> NDArray[np.float64]:
    """Standard normal numbers, from the inverse distribution function; shapes as in `uniform`."""
    return ndtri(uniform(seed, *key) + 2.0**-54)


def poisson(mean: NDArray[np.float64], uniforms: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Poisson counts, at most 255, from means (...) and uniform numbers (...), by inversion, k = 0, 1, 2, ..."""
    means, drawn = np.ravel(mean), np.ravel(uniforms)
    counts = np.zeros(means.size, np.uint8)
    term = np.exp(-means)
    total = term.copy()
    pending = np.flatnonzero(drawn >= total)
    means, drawn, term, total = means[pending], drawn[pending], term[pending], total[pending]
    for k in range(1, 256):
        if not pending.size:
            break
        counts[pending] = k
        term = term * means / k
        total = total + term
        # Far in the tail, rounding stops `total` below 1; the count is final there, too.
        left = (drawn >= total) & ((term > 1e-18) | (k < means))
        pending, means, drawn, term, total = pending[left], means[left], drawn[left], term[left], total[left]
    return counts.reshape(np.shape(mean))
