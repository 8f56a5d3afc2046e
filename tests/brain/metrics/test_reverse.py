"""Units predicted from neuroids: the reference, scikit-learn, missing responses, and noise."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from cornet import brain
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {
            name.removeprefix("reverse/"): file[name] for name in file.files if name.startswith("reverse/")
        }


@pytest.mark.parametrize("memory", [1 << 28, 8 * 80 * 20 * 4])
def test_equal_to_the_reference(golden, memory):
    repetitions = golden["Y_rep"].transpose(1, 0, 2)
    score = brain.reverse_predictivity(
        golden["X"], repetitions.mean(axis=0), stratify=golden["object_name"], memory=memory
    )
    np.testing.assert_array_equal(np.isnan(score.values), np.isnan(golden["r"]))
    np.testing.assert_allclose(score.values, golden["r"], atol=1e-9)
    assert (score.raw, score.error) == pytest.approx(
        (float(golden["score"]), float(golden["error"])), abs=1e-9
    )
    assert score.notes == ("skipped 1 of 64 units that are constant",)
    ceiling = brain.reverse_ceiling(repetitions, golden["stimulus_id"])
    np.testing.assert_allclose(ceiling.values, golden["ceiling_raw"], atol=1e-9)
    assert ceiling.error == pytest.approx(float(golden["ceiling_error"]), abs=1e-12)
    assert score.with_ceiling(ceiling, "r^2/c").value == pytest.approx(float(golden["shown"]), abs=1e-9)
    ragged = np.where(golden["ragged_keep"].T[:, :, None], repetitions, np.nan)
    ceiling = brain.reverse_ceiling(ragged, golden["stimulus_id"])
    assert ceiling.raw == pytest.approx(float(golden["ragged_ceiling"]), abs=1e-9)
    assert ceiling.error == pytest.approx(float(golden["ragged_ceiling_error"]), abs=1e-12)
    assert "skipped 6 of 80 stimuli with fewer than two repetitions" in ceiling.notes[0]


def test_equal_to_scikit_learn():
    """Also for splits that do not use all stimuli."""
    rng = np.random.default_rng(0)
    neurons = rng.standard_normal((90, 30))
    units = neurons @ rng.standard_normal((30, 50)) + 3 * rng.standard_normal((90, 50))
    units[:, 3] = 0
    splits = [(np.arange(60), np.arange(60, 90)), (np.arange(10, 80), np.arange(80, 90))]
    score = brain.reverse_predictivity(units, neurons, splits=splits)
    for values, (train, test) in zip(score.values, splits, strict=True):
        model = PLSRegression(25, scale=False).fit(neurons[train], units[train])
        predicted = model.predict(neurons[test])
        expected = [np.corrcoef(predicted[:, k], units[test, k])[0, 1] for k in range(50) if k != 3]
        np.testing.assert_allclose(np.delete(values, 3), expected, atol=1e-8)


def test_missing_responses_few_neuroids_and_noise():
    rng = np.random.default_rng(0)
    neurons, units = rng.standard_normal((200, 12)), rng.standard_normal((200, 40))
    neurons[0, 5] = np.nan
    score = brain.reverse_predictivity(units, neurons, splits=20)
    assert abs(score.raw) < 0.05
    assert "skipped 1 of 12 neuroids that lack responses to some stimuli" in score.notes
    assert "used 11 of 25 components: there are 11 neuroids" in score.notes
    copied = brain.reverse_predictivity(neurons[:, :5] * 2, neurons, splits=3)
    assert copied.raw == pytest.approx(1)
    neurons[0] = np.nan
    without = brain.reverse_predictivity(units, neurons)
    assert "skipped 1 of 200 stimuli without responses" in without.notes
    assert without.n == 199
    with pytest.raises(CornetError, match="0 neuroids have responses to 0 stimuli without gaps"):
        brain.reverse_predictivity(units, np.full_like(neurons, np.nan))
    with pytest.raises(CornetError, match="features have 200 stimuli, but responses have 199"):
        brain.reverse_predictivity(units, neurons[:199])
    few = brain.reverse_ceiling(rng.standard_normal((4, 9, 3)))
    assert np.isnan(few.raw)
    assert "9 stimuli are fewer than 10" in few.notes[0]
    with pytest.raises(CornetError, match="stimulus_ids have the shape"):
        brain.reverse_ceiling(rng.standard_normal((4, 20, 3)), ["a"])
