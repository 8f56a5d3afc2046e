"""Scores, their scales, and differences between them."""

import math

import numpy as np
import pytest

from cornet import CornetError
from cornet.brain import Score, paired_difference
from cornet.brain.scales import SCALES, slope, to_scale

HAND = {"raw": 0.6, "r/c": 0.75, "(r/c)^2": 0.5625, "r^2/c": 0.45, "r/sqrt(c)": 0.6 / math.sqrt(0.8)}


@pytest.mark.parametrize("scale", SCALES)
def test_scales_by_hand_and_their_slopes(scale):
    assert to_scale(0.6, 0.8, scale) == pytest.approx(HAND[scale])
    assert to_scale(-0.6, 0.8, scale) == pytest.approx(-HAND[scale])  # a negative one keeps its sign
    step = 1e-6
    for raw in (0.6, -0.3):
        numeric = (to_scale(raw + step, 0.8, scale) - to_scale(raw - step, 0.8, scale)) / (2 * step)
        assert slope(raw, 0.8, scale) == pytest.approx(numeric, rel=1e-6)


def test_values_become_medians_and_means():
    values = np.array([[0.1, 0.5, np.nan, 0.3], [0.2, 0.4, 0.9, np.nan]])
    score = Score.of_splits(values, n=7)
    assert score.raw == pytest.approx((0.3 + 0.4) / 2)
    assert score.error == pytest.approx(0.05 / math.sqrt(2))
    assert score.value == score.raw
    row = score.row()
    assert (row["n"], row["splits"], row["neuroids"], row["scale"]) == (7, 2, 4, "raw")


def test_splits_without_a_value_are_skipped():
    score = Score.of_splits([[np.nan, np.nan], [0.2, 0.4]])
    assert score.raw == pytest.approx(0.3)
    assert math.isnan(Score.of_splits([[np.nan], [np.nan]]).raw)


def test_a_ceiling_puts_the_score_on_a_scale_and_carries_the_error():
    score = Score(raw=0.6, error=0.01, n=10).with_ceiling(0.8, "(r/c)^2")
    assert score.value == pytest.approx(0.5625)
    assert score.value_error == pytest.approx(2 * 0.6 / 0.64 * 0.01)
    assert str(score) == "0.562 +- 0.019 ((r/c)^2; raw 0.600 +- 0.010, ceiling 0.800), n = 10"


def test_repetitions_are_paired_on_the_scale_of_i2n():
    raw, ceiling = Score.of_splits([0.2, 0.3]), Score.of_splits([0.5, 0.4])
    expected = (0.2 / math.sqrt(0.5) + 0.3 / math.sqrt(0.4)) / 2
    assert raw.with_ceiling(ceiling, "r/sqrt(c)").value == pytest.approx(expected)


@pytest.mark.parametrize("ceiling", [0.0, -0.2, math.nan])
@pytest.mark.parametrize("scale", ["r/c", "r^2/c", "(r/c)^2", "r/sqrt(c)"])
def test_a_ceiling_that_is_not_above_zero_gives_no_value_and_says_so(ceiling, scale):
    score = Score(raw=0.3, error=0.1).with_ceiling(ceiling, scale)
    assert math.isnan(score.value)
    assert math.isnan(score.value_error)
    assert score.raw == 0.3
    assert "but must be above 0" in score.notes[0]


def test_an_unknown_scale_is_refused():
    with pytest.raises(CornetError, match="scale='percent' is unknown; choose one of raw, r/c"):
        Score(raw=0.1).with_ceiling(0.5, "percent")


def test_the_notes_of_the_ceiling_come_along():
    ceiling = Score(raw=0.9, notes=("2 neuroids",))
    assert Score(raw=0.3, notes=("one",)).with_ceiling(ceiling, "r/c").notes == ("one", "2 neuroids")


def drawn(shift=0.0, seed=0, neuroids=80):
    rng = np.random.default_rng(seed)
    own = rng.normal(0.5, 0.2, neuroids)
    noise = np.random.default_rng(seed + 1).normal(0, 0.02, (10, neuroids))
    return Score.of_splits(own + noise + shift)


def test_a_paired_difference_sees_what_unpaired_errors_hide():
    better, worse = drawn(0.02), drawn()
    told = paired_difference(better, worse)
    assert told.value == pytest.approx(better.raw - worse.raw)
    assert told.low <= 0.02 <= told.high
    assert told.high - told.low < 0.04  # the neuroids' own spread (.2) cancels
    assert told.p < 0.01
    assert paired_difference(worse, better).value == pytest.approx(-told.value)


def test_equal_models_do_not_differ():
    score = drawn()
    told = paired_difference(score, score)
    assert (told.value, told.low, told.high, told.p) == (0, 0, 0, 1)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Neuroids with a true median difference of 0: 95 % intervals leave it out in about 5 of 100 experiments."""
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(100):
        a, b = (Score.of_splits(np.tile(rng.normal(0.4, 0.1, 60), (3, 1))) for _ in range(2))
        told = paired_difference(a, b, draws=300)
        missed += not told.low <= 0 <= told.high
    assert missed <= 12


def test_only_shared_neuroids_are_compared():
    a, b = drawn(0.1), drawn()
    a.values[:, :5] = np.nan
    b.values[:, 70:] = np.nan
    b.values[3, 20] = np.nan
    told = paired_difference(a, b)
    assert told.neuroids == 65
    assert told.value == pytest.approx(0.1, abs=0.02)


def test_scores_that_cannot_be_paired_are_refused():
    with pytest.raises(CornetError, match=r"shapes \(10, 80\) and \(10, 60\) cannot be paired"):
        paired_difference(drawn(), drawn(neuroids=60))
    with pytest.raises(CornetError, match="no neuroid has a value in both scores"):
        paired_difference(drawn(), Score.of_splits(np.full((10, 80), np.nan)))
