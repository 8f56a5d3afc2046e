"""Parts of the simulated brain against closed forms: Poisson counts, gains, curvature, normalisation."""

import numpy as np
import pytest
from scipy import stats

from cornet.brain.simulated.early import v1_drive, v2_drive
from cornet.brain.simulated.randomness import normal, poisson, uniform
from cornet.brain.simulated.shape import outline_curvature, v4_drive
from cornet.brain.simulated.spikes import gains, poisson_counts, reliability, target_reliability


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.7, 6.0, 40.0])
def test_poisson_is_the_inverse_of_its_distribution_function(mean):
    u = np.concatenate([uniform(0, "test", np.arange(2000)), [0.0, 1 - 2.0**-53]])
    counts = poisson(np.full(u.shape, mean), u)
    expected = np.maximum(stats.poisson.ppf(u[:-1], mean), 0)
    assert (counts[:-1] != expected).mean() < 1e-3  # rounding at the edge of a step
    assert counts[-1] >= counts[:-1].max()


def test_poisson_in_the_extreme_tail_ends():
    assert poisson(np.array([200.0]), np.array([1 - 2.0**-53]))[0] == 255


def test_normal_numbers_are_normal_and_follow_their_place():
    drawn = normal(1, "test", np.arange(20000))
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    np.testing.assert_array_equal(drawn[5:7], normal(1, "test", np.arange(5, 7)))
    assert np.isfinite(drawn).all()


def test_gains_give_the_target_reliability():
    drive = uniform(0, "drive", np.arange(300)[:, None], np.arange(7)) ** 2
    target = target_reliability("V4", 7, 0)
    base = np.full(7, 4.0)
    rates = base + gains(drive, target, base, 10, 0.1) * drive
    np.testing.assert_allclose(reliability(rates, 10, 0.1), target, rtol=1e-9)
    flat = gains(np.ones((300, 7)), target, base, 10, 0.1)
    np.testing.assert_array_equal(flat, 0)


def test_reliability_is_what_simulated_means_share_with_their_rates():
    rates = 4 + 40 * uniform(0, "rates", np.arange(4000)[:, None], np.arange(3))
    counts = poisson_counts(rates, 10, 0.1, "test", 0)
    assert counts.mean() == pytest.approx(rates.mean() * 0.1, rel=0.01)
    assert counts.var(0, ddof=1).mean() == pytest.approx(rates.mean() * 0.1, rel=0.02)
    r = [np.corrcoef(rates[:, n], counts.mean(0)[:, n])[0, 1] for n in range(3)]
    np.testing.assert_allclose(np.square(r), reliability(rates, 10, 0.1), atol=0.02)


def test_more_repetitions_leave_the_first_as_they_are():
    rates = np.full((5, 4, 3), 30.0)
    few, more = (poisson_counts(rates, n, 0.1, "test", 0) for n in (2, 4))
    np.testing.assert_array_equal(few, more[:2])
    assert not np.array_equal(more[2], more[3])


def _disc(size: int, radius: float, x: float = 0.5, y: float = 0.5) -> np.ndarray:
    grid = (np.arange(size) + 0.5) / size
    distance = np.hypot(grid[None, :] - x, grid[:, None] - y)
    return np.clip((radius - distance) * size + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("radius", [0.2, 0.3])
def test_a_disc_is_as_convex_all_around(radius):
    weight, side, curvature = (part[0] for part in outline_curvature(_disc(128, radius)[None]))
    assert weight.sum() == pytest.approx(1, abs=1e-4)
    assert (weight * curvature).sum() == pytest.approx(0.5, abs=0.02)
    quarters = [
        weight[(side > low) & (side <= low + np.pi / 2)].sum() for low in np.arange(-2, 2) * np.pi / 2
    ]
    np.testing.assert_allclose(quarters, 0.25, atol=0.01)


def test_a_notch_is_concave_and_to_the_right_where_it_is():
    mask = _disc(128, 0.3) * (1 - _disc(128, 0.12, x=0.8))
    weight, side, curvature = (part[0] for part in outline_curvature(mask[None]))
    right = np.abs(side) < 0.3
    assert (weight * curvature)[right].sum() < 0
    assert (weight * curvature)[~right].sum() > 0


def test_v4_follows_the_shape_wherever_it_is():
    here, there = (_disc(128, 0.2, x) * (1 - _disc(128, 0.1, x + 0.15)) for x in (0.35, 0.55))
    other = _disc(128, 0.2, 0.55) * (1 - _disc(128, 0.1, 0.4))
    a, b, c = v4_drive(np.stack([here, there, other]), 30, 0)
    np.testing.assert_allclose(a, b, rtol=0.1, atol=0.02)
    assert np.abs(a - c).max() > 0.2
    assert not v4_drive(np.zeros((1, 64, 64), np.float32), 4, 0).any()


def test_early_areas_answer_contrast_and_not_uniform_light():
    flat = np.stack([np.full((64, 64), level, np.uint8) for level in (30, 128, 220)])
    assert np.abs(v1_drive(flat, 40, 0)).max() < 1e-3
    assert np.abs(v2_drive(flat, 40, 0)).max() < 1e-3
    noise = (255 * uniform(0, "pixels", np.arange(64)[:, None], np.arange(64))).astype(np.uint8)
    for drive in (v1_drive(noise[None], 40, 0), v2_drive(noise[None], 40, 0)):
        assert drive.min() >= 0
        assert np.median(drive) > 0.01
    # Normalised: half the contrast gives much more than half the response.
    half = (128 + (noise.astype(int) - 128) // 2).astype(np.uint8)
    assert np.median(v1_drive(half[None], 40, 0) / np.maximum(v1_drive(noise[None], 40, 0), 1e-9)) > 0.75
