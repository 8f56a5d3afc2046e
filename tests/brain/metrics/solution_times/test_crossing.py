"""Solution times against a loop written from the rule."""

import numpy as np
import pytest

from cornet.brain.metrics.solution_times.timing import solution_times


def by_loop(curve: np.ndarray, threshold: float, times: np.ndarray, highest: bool) -> tuple[float, bool]:
    last = None
    for time, value in zip(times, curve, strict=True):
        if value >= threshold:
            if last is None:
                return time, True
            return last[0] + (threshold - last[1]) / (value - last[1]) * (time - last[0]), False
        if np.isfinite(value) and (last is None or not highest or value > last[1]):
            last = (time, value)
    return np.nan, False


@pytest.mark.parametrize("highest", [True, False])
def test_equals_the_loop(highest: bool) -> None:
    rng = np.random.default_rng(0)
    curves = rng.standard_normal((4, 50, 12)).round(1).cumsum(-1)  # rounded, so that values repeat
    curves[rng.random(curves.shape) < 0.1] = np.nan
    threshold = rng.normal(1, 1, (4, 50)).round(1)
    threshold[0, :5] = np.nan
    times = np.sort(rng.uniform(0, 300, 12))
    found, first = solution_times(curves, threshold, times, highest)
    expected = [[by_loop(curves[a, b], threshold[a, b], times, highest) for b in range(50)] for a in range(4)]
    expected, expected_first = np.moveaxis(np.array(expected), -1, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(first, expected_first.astype(bool))
    assert np.isnan(found).any()
    assert first.any()


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([2, 3, 4], 70),  # in the first bin: its start
        ([0, 0.5, 1.5], 85),
        ([0.5, 0.5, 1.5], 80),  # of equal points the earlier stays: it is replaced only by a strict rise
        ([0.5, 0.0, 1.5], 80),  # the highest point before, not the last
        ([0.0, 1.0, 0.0], 80),  # reaching is enough, and nothing after it matters
        ([0.0, 0.5, 0.9], np.nan),
    ],
)
def test_rule(curve: list[float], expected: float) -> None:
    times = [70, 80, 90]
    found, _ = solution_times(curve, 1.0, times)
    np.testing.assert_allclose(found, expected)
