"""The drawn parameters against the measured histograms, and the kernels against the formula."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import chisquare, kstest, spearmanr

from cornet import CornetError
from cornet.models.cornet.gabor_bank import GaborBank, check_frequencies, draw_bank, gabor_kernels

DRAWS = 20_000
LEAST = 0.001
"""Of a p value. The seed is fixed, so that a right bank passes always."""

ENVELOPE = 10 ** np.linspace(-1, 0.2, 6)
JOINT = np.array([[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]])


@pytest.fixture(scope="module")
def bank():
    return draw_bank(DRAWS, seed=5)


def agrees(values, edges, counts):
    """Whether values are spread over bins as the counts are; nothing lies in an empty bin, nor outside."""
    counts = np.asarray(counts)
    found = np.histogram(values, edges)[0]
    assert found.sum() == len(values)
    assert not found[counts == 0].any()
    full = counts > 0
    assert chisquare(found[full], len(values) * counts[full] / counts.sum()).pvalue > LEAST


def even_within(values, edges):
    """Whether the values of each bin are spread evenly over it."""
    for low, high in itertools.pairwise(edges):
        here = values[(values >= low) & (values < high)]
        if len(here) > 20:
            assert kstest(here, "uniform", (low, high - low)).pvalue > LEAST


def test_orientations(bank):
    edges = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
    agrees(bank.orientation, edges, [66, 49, 77, 54])
    even_within(bank.orientation, edges)


def test_spatial_frequencies(bank):
    edges = np.array([0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8])
    agrees(bank.frequency, edges, [4, 4, 8, 25, 32, 26, 28, 12])
    even_within(np.log2(bank.frequency), np.log2(edges))


def test_phases_and_colours(bank):
    agrees(bank.phase, np.linspace(0, 360, 13), np.ones(12))
    even_within(bank.phase, np.array([0.0, 360.0]))
    agrees(bank.colour, np.arange(4) - 0.5, np.ones(3))
    assert bank.colour.dtype == np.int64


def test_envelopes(bank):
    """The joint histogram, so ny in each row of nx, too."""
    agrees(bank.nx, ENVELOPE, JOINT.sum(1))
    even_within(np.log10(bank.nx), np.log10(ENVELOPE))
    for row in range(4):
        here = (bank.nx >= ENVELOPE[row]) & (bank.nx < ENVELOPE[row + 1])
        agrees(bank.ny[here], ENVELOPE, JOINT[row])
        even_within(np.log10(bank.ny[here]), np.log10(ENVELOPE))
        # wherever nx is in its row
        within = here & (bank.ny >= ENVELOPE[2]) & (bank.ny < ENVELOPE[3])
        assert spearmanr(bank.nx[within], bank.ny[within]).pvalue > LEAST


def test_rank_correlations(bank):
    """.75 of nx with spatial frequency, within four standard errors; none of what is drawn on its own."""
    found = spearmanr(bank.nx, bank.frequency).statistic
    assert abs(math.atanh(found) - math.atanh(0.75)) < 4 * math.sqrt((1 + 0.75**2 / 2) / (DRAWS - 3))
    alone = [bank.orientation, bank.phase, bank.colour]
    for index, one in enumerate(alone):
        for other in [*alone[index + 1 :], bank.frequency, bank.nx, bank.ny]:
            assert abs(spearmanr(one, other).statistic) < 4 / math.sqrt(DRAWS)


def test_a_bank_follows_from_its_seed_and_begins_with_the_smaller_one(bank):
    parameters = list(vars(bank))
    smaller, other = draw_bank(100, seed=5), draw_bank(100, seed=6)
    assert len(smaller) == 100
    for name in parameters:
        assert np.array_equal(getattr(smaller, name), getattr(bank, name)[:100])
        assert not np.array_equal(getattr(smaller, name), getattr(other, name))
    np.testing.assert_array_equal(draw_bank(50, colours=1).colour, 0)


def test_the_drawn_numbers_stay():
    """Trained networks depend on them: a bank drawn again must be the one drawn before."""
    bank = draw_bank(2)
    found = [[getattr(bank, name)[i] for name in vars(bank)] for i in range(2)]
    expected = [
        [91.86579063, 1.902593067, 292.7772861, 0.1801173322, 0.1025435243, 2],
        [87.50594855, 4.117042652, 293.7072795, 0.4521984818, 0.9590546248, 0],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def formula(x, y, theta, frequency, phase, nx, ny):
    """A Gabor at one place, in plain numbers; frequency in cycles per pixel."""
    angle, start = math.radians(theta), math.radians(phase)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    sx, sy = nx / frequency, ny / frequency
    window = math.exp(-(along**2 / sx**2 + across**2 / sy**2) / 2) / (2 * math.pi * sx * sy)
    return window * math.cos(2 * math.pi * frequency * along + start)


@pytest.mark.parametrize("shift", [0, 90])
def test_kernels_are_the_formula(shift):
    bank = draw_bank(6, seed=3)
    kernels = gabor_kernels(bank, 25, 28.0, shift)
    assert kernels.shape == (6, 25, 25)
    assert kernels.dtype == np.float64
    for index in range(6):
        for row in range(25):
            for column in range(25):
                expected = formula(
                    column - 12,
                    row - 12,
                    bank.orientation[index],
                    bank.frequency[index] / 28,
                    bank.phase[index] + shift,
                    bank.nx[index],
                    bank.ny[index],
                )
                assert kernels[index, row, column] == pytest.approx(expected, rel=1e-9, abs=1e-15)


def single(orientation, frequency=4.0, phase=0.0, nx=0.5, ny=0.8):
    values = [np.array([value]) for value in (orientation, frequency, phase, nx, ny)]
    return GaborBank(*values, colour=np.array([0]))


def test_what_the_parameters_mean():
    """Orientation 0 has upright stripes, turning towards downwards; resolution scales; an envelope of unit volume."""
    upright = gabor_kernels(single(0), 25, 28.0)[0]
    np.testing.assert_allclose(upright, upright[::-1])
    assert (upright[:, 12] > 0).all()
    assert upright[12].min() < -0.1 * upright.max()
    np.testing.assert_allclose(gabor_kernels(single(90), 25, 28.0)[0], upright.T, atol=1e-15)
    slanted = gabor_kernels(single(45), 25, 28.0)[0]  # the carrier runs to the lower right
    assert (np.diag(slanted[:, ::-1]) > 0).all()
    assert np.diag(slanted).min() < -0.1 * slanted.max()
    np.testing.assert_allclose(
        gabor_kernels(single(30, frequency=2.0), 25, 14.0), gabor_kernels(single(30), 25, 28.0)
    )
    pair = [gabor_kernels(single(30, nx=0.3, ny=0.3), 61, 28.0, shift) for shift in (0, 90, 180)]
    np.testing.assert_allclose(pair[2], -pair[0], atol=1e-12)
    wide = gabor_kernels(single(30, frequency=1e-9, nx=3e-10, ny=3e-10), 61, 28.0)
    assert wide.sum() == pytest.approx(1, rel=1e-3)


def test_frequencies_beyond_half_a_cycle_per_pixel_are_refused():
    check_frequencies(16.1)
    with pytest.raises(
        CornetError, match=r"pixels_per_degree=16 must be above 16, .*8 cycles.*; show larger"
    ):
        check_frequencies(16)
