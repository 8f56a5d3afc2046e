"""Plots of very long runs: fewer points, with the first, the last and the extremes."""

import numpy as np
import pandas as pd

from cornet.report.thinning import MAX_POINTS, thinned


def test_ordinary_curves_are_drawn_whole():
    rows = pd.DataFrame({"x": np.arange(MAX_POINTS), "y": 0.0})
    assert thinned(rows, "y") is rows


def test_long_curves_keep_ends_and_extremes():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": np.arange(50_000), "y": rng.normal(size=50_000), "z": rng.normal(size=50_000)})
    rows.loc[[123, 40_000], "y"] = [99.0, -99.0]
    rows.loc[777, "z"] = np.nan
    found = thinned(rows, "y", "z")
    assert len(found) <= MAX_POINTS + 2
    assert found["x"].is_monotonic_increasing
    assert {0, 123, 40_000, 49_999, rows["z"].idxmin(), rows["z"].idxmax()} <= set(found["x"])
    pd.testing.assert_frame_equal(found, rows.loc[found.index])
