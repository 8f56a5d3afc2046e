"""Random numbers of the simulated brain, each a function of where it is used (`cornet.stimuli.draws`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from cornet.stimuli import draws

__all__ = ["normal", "poisson", "uniform"]

_STREAM = "cornet simulated brain"


def uniform(seed: int, *place: "int | str | NDArray[Any]") -> NDArray[np.float64]:
    """Uniform in [0, 1), one for each combination of the parts of a place, which broadcast; at least 1-D."""
    return draws.uniform(_STREAM, seed, *place)


def normal(seed: int, *place: "int | str | NDArray[Any]") -> NDArray[np.float64]:
    """Standard normal numbers, by the inverse of the distribution function; shapes as in `uniform`."""
    return ndtri(uniform(seed, *place) + 2.0**-54)


def poisson(mean: NDArray[np.float64], uniforms: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Counts with these means (...), at most 255, from as many uniform numbers: by inversion, k = 0, 1, 2, ..."""
    means, drawn = np.ravel(mean), np.ravel(uniforms)
    counts = np.zeros(means.size, np.uint8)
    term = np.exp(-means)
    total = term.copy()
    open_ = np.flatnonzero(drawn >= total)
    means, drawn, term, total = means[open_], drawn[open_], term[open_], total[open_]
    for k in range(1, 256):
        if not open_.size:
            break
        counts[open_] = k
        term = term * means / k
        total = total + term
        # Far in the tail `total` stops growing below 1; there the count is settled as well.
        left = (drawn >= total) & ((term > 1e-18) | (k < means))
        open_, means, drawn, term, total = open_[left], means[left], drawn[left], term[left], total[left]
    return counts.reshape(np.shape(mean))
