"""Features whose variation was lost by rounding: an offset that they share, too large for their precision."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rounding_notes"]

PROBES = 16
"""Stimuli that are looked at first, so that a large recording is not read once more."""

STEPS = 16
"""Variation over fewer steps of a feature's precision than these counts as lost."""

OFFSET = 0.1
"""Size, over that at which a step is 1 (8.4e6 in float32), from which a constant feature counts as rounded: layers
hold many constants, but none as large."""


def rounding_notes(features: NDArray[Any], name: object) -> tuple[str, ...]:
    """A sentence with the number of features (stimulus, feature) that rounding left without variation, if any.

    name: of the features, for the sentence. Features that differ in none of 16 stimuli are not searched further.
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
        f"{len(columns)} of {features.shape[1]} features of {name} vary less than {features.dtype} resolves beside "
        f"their size (up to {largest:.3g}), so their variation is lost; subtract a constant before they are rounded",
    )
