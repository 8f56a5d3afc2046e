"""IT of the simulated brain: tuning to category, object and pose over large receptive fields, with a time course.

The response first depends on the position and size of the object. Tuning to its identity follows with a latency that
grows with the difficulty of the image, as in monkeys (Kar et al. 2019, Nat Neurosci 22:974).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from cornet.brain.simulated.percept import Percept
from cornet.brain.simulated.randomness import normal, uniform

__all__ = ["BIN", "EARLY_BINS", "TIME_BIN_START", "it_drive"]

TIME_BIN_START = np.arange(70.0, 250.0, 10.0)
"""Starts of the 18 time bins, ms after onset."""

BIN = 10.0
EARLY_BINS = 10
"""The first ten bins cover 70 to 170 ms, over which responses are averaged."""

_ONSET, _ONSET_RISE = 85.0, 4.0
_LATENCY, _DELAY, _RISE = 95.0, 85.0, 5.0
"""ms: latency of the object signal at difficulty 0, additional latency at difficulty 1, rise time."""

_CATEGORY, _VIEW, _PLACE = 1.0, 0.55, 0.35
"""Standard deviations of the terms of the drive."""

_VIEW_WIDTH, _FIELD = 5.0, 0.28


def latencies(percept: Percept) -> NDArray[np.float64]:
    """Time at which the object signal reaches half its maximum, in ms after onset, (stimulus,)."""
    return _LATENCY + _DELAY * percept.difficulty


def it_drive(percept: Percept, table: pd.DataFrame, neuroids: int, seed: int) -> NDArray[np.float64]:
    """Drive of IT, (stimulus, neuroid, time bin), >= 0, arbitrary units."""
    unit = np.arange(neuroids)
    x, y = table["x"].to_numpy(float)[:, None], table["y"].to_numpy(float)[:, None]
    size = np.log2(table["size"].to_numpy(float) / 0.78)[:, None]
    preference = normal(seed, "IT", unit, "category", np.arange(percept.category.shape[1])[:, None])
    category = _scaled(percept.category @ preference)
    preferred = (percept.distance.shape[1] * uniform(seed, "IT", unit, "view")).astype(int)
    view = _scaled(np.exp(-percept.distance[:, preferred] / (2 * _VIEW_WIDTH**2)))
    centre_x, centre_y = (0.5 * uniform(seed, "IT", unit, "field", axis) - 0.25 for axis in ("x", "y"))
    field = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * _FIELD**2))
    slopes = [normal(seed, "IT", unit, "slope", name) for name in ("x", "y", "size")]
    place = _scaled(slopes[0] * x / 0.06 + slopes[1] * y / 0.06 + slopes[2] * size / 0.17)
    time = TIME_BIN_START + BIN / 2
    onset = expit((time - _ONSET) / _ONSET_RISE) * (0.6 + 0.4 * np.exp(-np.maximum(time - 90, 0) / 40))
    arrived = expit((time - latencies(percept)[:, None]) / _RISE)
    visual = (0.8 + _PLACE * place)[:, :, None] * onset
    object_ = ((_CATEGORY * category + _VIEW * view) * field)[:, :, None] * arrived[:, None, :]
    return np.logaddexp(0, 2 * (visual + object_)) / 2


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardise over stimuli, per neuroid: mean 0, standard deviation 1; 0 for constant values."""
    centred = values - values.mean(0)
    spread = centred.std(0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
