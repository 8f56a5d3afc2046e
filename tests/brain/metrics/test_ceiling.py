"""Internal consistency against the reference's values and against a loop over halves."""

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit

from cornet import CornetError, brain
from tests.helpers.brain.golden_comparisons import golden


def test_reference_is_met():
    expected = golden("ceiling")
    score = brain.internal_consistency(expected["responses"])
    assert np.abs(score.values - expected["raw"]).max() < 1e-12
    assert score.raw == pytest.approx(float(expected["score"]), abs=1e-12)
    assert score.error == pytest.approx(float(expected["error"]), abs=1e-12)


def test_reference_is_met_on_its_scale():
    neural, expected = golden("neural"), golden("ceiling")
    score = brain.neural_predictivity(neural["features"], neural["responses"], stratify=neural["object_name"])
    ceiling = brain.internal_consistency(expected["responses"])
    shown = score.with_ceiling(ceiling, "r^2/c")
    assert shown.value == pytest.approx(float(expected["explained_variance"]), abs=1e-12)


def by_loop(responses):
    rows = []
    for one, other in ShuffleSplit(10, train_size=0.5, random_state=1).split(np.empty(len(responses))):
        row = []
        for neuroid in range(responses.shape[2]):
            a, b = (
                np.array(
                    [np.mean([v for v in col if v == v] or [np.nan]) for col in responses[half, :, neuroid].T]
                )
                for half in (one, other)
            )
            both = np.isfinite(a) & np.isfinite(b)
            r = np.corrcoef(a[both], b[both])[0, 1]
            row.append(2 * r / (1 + r))
        rows.append(row)
    return np.array(rows)


def test_missing_presentations_are_skipped():
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((1, 30, 4)) + rng.standard_normal((6, 30, 4))
    responses[rng.random(responses.shape) < 0.3] = np.nan
    score = brain.internal_consistency(responses)
    assert np.abs(score.values - by_loop(responses)).max() < 1e-12


def test_weights_make_halves_of_presentations():
    """A response that is the mean of three presentations counts as the three would."""
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((1, 30, 2)) + rng.standard_normal((4, 30, 2))
    weights = rng.integers(1, 4, responses.shape)
    score = brain.internal_consistency(responses, weights)
    halves = list(ShuffleSplit(10, train_size=0.5, random_state=1).split(np.empty(4)))
    a, b = (np.average(responses[half], axis=0, weights=weights[half]) for half in halves[0])
    r = np.corrcoef(a[:, 1], b[:, 1])[0, 1]
    assert score.values[0, 1] == pytest.approx(2 * r / (1 + r))
    assert not np.allclose(score.values, brain.internal_consistency(responses).values)


def test_reliability_of_noise_is_none_and_of_copies_is_one():
    rng = np.random.default_rng(0)
    assert abs(brain.internal_consistency(rng.standard_normal((20, 200, 40))).raw) < 0.1
    copies = np.repeat(rng.standard_normal((1, 50, 3)), 4, axis=0)
    assert brain.internal_consistency(copies).raw == pytest.approx(1)


def test_neuroids_without_variance_or_responses_are_counted():
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((1, 30, 4)) + 0.1 * rng.standard_normal((6, 30, 4))
    good = brain.internal_consistency(responses[:, :, :2])
    responses[:, :, 2] = 5
    responses[:, :, 3] = np.nan
    score = brain.internal_consistency(responses)
    assert np.isnan(score.values[:, 2:]).all()
    assert score.raw == pytest.approx(good.raw, abs=1e-12)
    assert "skipped 2 of 4 neuroids without consistency" in score.notes[0]


@pytest.mark.parametrize(
    ("responses", "words"),
    [
        (np.zeros((1, 5, 2)), "needs at least 2 repetitions, but the responses have 1"),
        (np.zeros((5, 2)), r"shape \(5, 2\) and type float64 must be numbers"),
        (np.full((2, 5, 2), "a"), "must be numbers"),
    ],
)
def test_bad_input_is_refused(responses, words):
    with pytest.raises(CornetError, match=words):
        brain.internal_consistency(responses)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(CornetError, match="weights of shape"):
        brain.internal_consistency(np.zeros((2, 5, 2)), np.zeros((2, 5)))
