"""Slopes, correlations and their intervals, against independent computations and simulations with known truth."""

import math

import numpy as np
import pytest
from scipy.stats import linregress, pearsonr, spearmanr, t

from cornet.report.tradeoff import fit
from cornet.report.tradeoff.fit import band, broken_trend, distance, trend


def independent(n: int = 40, seed: int = 0, slope: float = 0.3, noise: float = 0.05):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 0.9, n)
    return x, 0.2 + slope * x + rng.normal(0, noise, n), [str(k) for k in range(n)]


def test_values_equal_scipy():
    x, y, groups = independent()
    x[:10] = x[0]  # ties
    found, line = trend(x, y, groups), linregress(x, y)
    assert found.slope.value == pytest.approx(0.1 * line.slope, rel=1e-12)
    assert found.intercept == pytest.approx(line.intercept, rel=1e-12)
    assert found.at(0.5) == pytest.approx(line.intercept + 0.5 * line.slope, rel=1e-12)
    assert found.pearson.value == pytest.approx(pearsonr(x, y).statistic, rel=1e-12)
    assert found.spearman.value == pytest.approx(spearmanr(x, y).statistic, rel=1e-12)
    assert (found.n, found.groups) == (40, 40)


def test_a_draw_equals_repeated_points():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, 30).astype(float), rng.integers(0, 5, 30).astype(float)
    times = rng.multinomial(30, np.full(30, 1 / 30), 5)
    slopes, _, _, pearsons, spearmans = fit._moments(x, y, times.astype(float))
    for k, one in enumerate(times):
        a, b = np.repeat(x, one), np.repeat(y, one)
        assert slopes[k] == pytest.approx(linregress(a, b).slope, rel=1e-10)
        assert pearsons[k] == pytest.approx(pearsonr(a, b).statistic, rel=1e-10)
        assert spearmans[k] == pytest.approx(spearmanr(a, b).statistic, rel=1e-10)


def test_interval_of_independent_points_is_the_classical_one():
    x, y, groups = independent(200)
    found, line = trend(x, y, groups), linregress(x, y)
    half = (found.slope.high - found.slope.low) / 2
    assert half == pytest.approx(0.1 * line.stderr * t.ppf(0.975, 198), rel=0.15)


def test_copies_of_points_add_no_certainty():
    x, y, groups = independent(20)
    once = trend(x, y, groups)
    copied = trend(np.tile(x, 8), np.tile(y, 8), groups * 8)
    assert copied.slope == pytest.approx(once.slope, rel=1e-9)
    assert copied.spearman == pytest.approx(once.spearman, rel=1e-9)
    naive = trend(np.tile(x, 8), np.tile(y, 8), [str(k) for k in range(160)])
    assert naive.slope.high - naive.slope.low < 0.5 * (once.slope.high - once.slope.low)


def clustered(rng: np.random.Generator, slope: float, variants: int = 20, seeds: int = 5):
    """Every variant has an offset of its own, as large as the noise of 5 seeds would never average out."""
    x = np.repeat(rng.uniform(0.2, 0.8, variants), seeds) + rng.normal(0, 0.01, variants * seeds)
    offset = np.repeat(rng.normal(0, 0.05, variants), seeds)
    y = slope * x + offset + rng.normal(0, 0.01, variants * seeds)
    return x, y, np.repeat(np.arange(variants), seeds).astype(str).tolist()


@pytest.mark.longest  # draws many samples
def test_intervals_cover_the_truth_with_dependent_seeds():
    rng = np.random.default_rng(2)
    inside = naive_inside = new_inside = 0
    for _ in range(300):
        x, y, groups = clustered(rng, 0.2)
        low, high = trend(x, y, groups).slope[1:]
        inside += low <= 0.02 <= high
        low, high = trend(x, y, [str(k) for k in range(len(x))]).slope[1:]
        naive_inside += low <= 0.02 <= high
        at = rng.uniform(0.2, 0.8)
        far = distance(x, y, groups, at, 0.2 * at + rng.normal(0, 0.05) + rng.normal(0, 0.01))
        new_inside += far.low <= far.value <= far.high
    assert inside / 300 > 0.89
    assert naive_inside / 300 < 0.75  # what an interval over seeds would claim
    assert 0.90 < new_inside / 300 < 0.99


def test_prediction_interval_is_the_classical_one_for_independent_points():
    x, y, groups = independent(60)
    line = linregress(x, y)
    far = distance(x, y, groups, 0.5, 0.7)
    assert far.value == pytest.approx(0.7 - line.intercept - 0.5 * line.slope, rel=1e-10)
    residual = ((y - line.intercept - line.slope * x) ** 2).sum() / 58
    spread = 1 + 1 / 60 + (0.5 - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    assert far.high == pytest.approx(t.ppf(0.975, 58) * math.sqrt(residual * spread), rel=0.02)
    assert far.low == -far.high
    assert not far.outside
    assert distance(x, y, groups, 0.95, 0.7).outside


def test_both_sides_of_a_break():
    x, _, groups = independent(120, noise=0)
    y = np.where(x < 0.5, 0.4 * x, 0.2 - 0.2 * (x - 0.5)) + np.random.default_rng(3).normal(0, 0.005, 120)
    found = broken_trend(x, y, groups, 0.5)
    for side, part in ((found.below, x < 0.5), (found.above, x >= 0.5)):
        assert side.slope.value == pytest.approx(0.1 * linregress(x[part], y[part]).slope, rel=1e-9)
        assert side.n == side.groups == part.sum()
    assert found.below.slope.low > 0 > found.above.slope.high
    assert found.change.value == pytest.approx(found.above.slope.value - found.below.slope.value)
    assert found.change.low < -0.06 < found.change.high < 0


def test_what_cannot_be_fitted_is_undefined():
    assert math.isnan(trend([0.1, 0.2], [1, 2], ["a", "b"]).slope.value)
    assert math.isnan(trend([0.1] * 9, range(9), list("abcdefghi")).slope.value)
    few = trend([0.1, 0.2, 0.3, 0.4], [1, 2, 2, 4], list("aabc"))
    assert math.isfinite(few.slope.value)
    assert math.isnan(few.slope.low)
    assert math.isnan(few.pearson.low)
    flat = trend(np.linspace(0, 1, 9), [0.5] * 9, list("abcdefghi"))
    assert flat.slope.value == flat.slope.low == 0
    assert math.isnan(flat.pearson.value)
    empty = broken_trend(np.linspace(0, 0.4, 9), np.linspace(0, 1, 9), list("abcdefghi"), 0.7)
    assert empty.above.n == 0
    assert math.isnan(empty.change.low)


def test_band_contains_the_line_and_is_narrowest_in_the_middle():
    x, y, groups = independent(50)
    at = np.linspace(0.1, 0.9, 9)
    low, high = band(x, y, groups, at)
    line = np.array([trend(x, y, groups).at(value) for value in at])
    assert (low < line).all()
    assert (line < high).all()
    width = high - low
    assert width[4] < width[0]
    assert width[4] < width[-1]
    low, _ = band(x[:4], y[:4], groups[:4], at)
    assert np.isnan(low).all()
