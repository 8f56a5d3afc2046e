"""Reduce the number of points in plots of long runs."""

from collections.abc import Hashable

import numpy as np
import pandas as pd

__all__ = ["MAX_POINTS", "thinned"]

MAX_POINTS = 2000
"""Maximum number of points of a curve, more than a picture has columns of pixels."""


def thinned(rows: pd.DataFrame, *columns: Hashable) -> pd.DataFrame:
    """Select about MAX_POINTS rows: the first, the last, and the extremes of each column in parts of equal length.

    rows: in drawing order. columns: those whose minimum and maximum are selected in every part. Values are never
    averaged. Up to MAX_POINTS rows are returned unchanged.
    """
    if len(rows) <= MAX_POINTS:
        return rows
    selected = {0, len(rows) - 1}
    for part in np.array_split(np.arange(len(rows)), MAX_POINTS // (2 * len(columns))):
        for column in columns:
            values = rows[column].to_numpy(float)[part]
            if np.isfinite(values).any():
                low, high = (
                    np.where(np.isfinite(values), values, np.inf),
                    np.where(np.isfinite(values), values, -np.inf),
                )
                selected |= {int(part[low.argmin()]), int(part[high.argmax()])}
    return rows.iloc[sorted(selected)]
