"""Detect features whose variation was lost to rounding because their offset is too large for their precision."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rounding_notes"]

PROBES = 16
"""Number of stimuli checked first, to avoid reading a large recording again."""

STEPS = 16
"""Variation over fewer floating-point steps than this counts as lost."""

OFFSET = 0.1
"""Minimum size of a constant feature that counts as rounded, relative to the size with a step of 1 (8.4e6 in float32):
layers have many constant features, but not that large."""


def rounding_notes(features: NDArray[Any], name: object) -> tuple[str, ...]:
    """Return a note that counts the features (stimulus, feature) whose variation was lost to rounding, if any.

    name: name of the features, for the note. Only features that are constant over 16 stimuli are checked in full.
    """
    if features.dtype.kind != "f":
        return ()
    epsilon = float(np.finfo(features.dtype).eps)

    def lost(rows: NDArray[Any]) -> NDArray[np.bool_]:
        values = np.asarray(rows, np.float64)
        spread, size = np.ptp(values, axis=0), np.abs(values).max(axis=0)
        return (spread <= STEPS * epsilon * size) & ((spread > 0) | (size >= OFFSET / epsilon))

    rows = np.linspace(0, len(features) - 1, min(PROBES, len(features))).astype(int)
    suspects = np.flatnonzero(lost(features[rows]))
    columns = suspects[lost(features[:, suspects])] if len(suspects) else suspects
    if not len(columns):
        return ()
    largest = float(np.abs(features[0, columns]).max())
    return (
        f"{len(columns)} of {features.shape[1]} features of {name} vary less than {features.dtype} can resolve at "
        f"their size (up to {largest:.3g}), so their variation is lost; subtract a constant before rounding",
    )
