"""Spearman's correlation and its bootstrap against SciPy on the repeated pairs."""

import numpy as np
from scipy.stats import spearmanr

from cornet.brain.metrics.solution_times.timing import _weighted, bootstrap_spearman, spearman


def test_equals_scipy_with_ties_and_missing_values() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 60).astype(float), rng.normal(size=60)
    a[3], b[7] = np.nan, np.nan
    both = np.isfinite(a) & np.isfinite(b)
    np.testing.assert_allclose(spearman(a, b), spearmanr(a[both], b[both])[0], atol=1e-12)


def test_counts_are_repetitions() -> None:
    rng = np.random.default_rng(1)
    a, b, counts = rng.integers(0, 5, 20).astype(float), rng.normal(size=20), rng.integers(0, 4, (7, 20))
    expected = [spearmanr(np.repeat(a, c), np.repeat(b, c))[0] for c in counts]
    np.testing.assert_allclose(_weighted(a, b, counts.astype(float)), expected, atol=1e-12)


def test_undefined_is_nan() -> None:
    assert np.isnan(spearman(np.array([1.0, np.nan]), np.array([1.0, 2.0])))
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_interval_is_that_of_the_images() -> None:
    rng = np.random.default_rng(2)
    widths = []
    for number in (50, 800):
        truth = rng.normal(size=number)
        guess = truth + rng.normal(size=number)
        images = np.arange(number)
        low, high = bootstrap_spearman(guess[None], truth[None], images[None], number, 400)
        assert low < spearman(guess, truth) < high
        # Three copies of a split are no more evidence than one.
        three = [side[None].repeat(3, 0) for side in (guess, truth, images)]
        np.testing.assert_allclose(bootstrap_spearman(*three, number, 400), [low, high], atol=1e-12)
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6  # about the root of 16
