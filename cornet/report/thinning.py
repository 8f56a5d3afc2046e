"""Fewer points for plots of very long runs."""

from collections.abc import Hashable

import numpy as np
import pandas as pd

__all__ = ["MOST", "thinned"]

MOST = 2000
"""Points of a curve up to which all are drawn: more than a picture has columns of pixels."""


def thinned(rows: pd.DataFrame, *columns: Hashable) -> pd.DataFrame:
    """All rows up to MOST; of more, the first, the last, and the extremes of each column within equal parts.

    rows: in the order in which they are drawn. columns: those whose lowest and highest values are kept in every part.
    Numbers are never averaged; only which of them are drawn changes.
    """
    if len(rows) <= MOST:
        return rows
    kept = {0, len(rows) - 1}
    for part in np.array_split(np.arange(len(rows)), MOST // (2 * len(columns))):
        for column in columns:
            values = rows[column].to_numpy(float)[part]
            if np.isfinite(values).any():
                low, high = (
                    np.where(np.isfinite(values), values, np.inf),
                    np.where(np.isfinite(values), values, -np.inf),
                )
                kept |= {int(part[low.argmin()]), int(part[high.argmax()])}
    return rows.iloc[sorted(kept)]
