"""Fixed training and test sets, with a penalty and a ceiling for each subject: the reference, filters, and errors."""

import numpy as np
import pytest

from cornet import brain
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {name.removeprefix("bench/"): file[name] for name in file.files if name.startswith("bench/")}


def arguments(golden):
    return golden["X"], golden["Y_train"], golden["Y_test_rep"].transpose(1, 0, 2)


@pytest.mark.parametrize("name", ["all", "filtered"])
@pytest.mark.parametrize(("aggregation", "key"), [("median", "explained"), ("neuroid_wise", "neuroid_wise")])
def test_equal_to_the_reference(golden, name, aggregation, key):
    options = {"aggregation": aggregation}
    if name == "filtered":
        options["reliability"] = golden["reliability"]
    score = brain.fixed_split_predictivity(*arguments(golden), subjects=golden["subject"], **options)
    table, prefix = score.details["by_subject"], f"{name}/by_subject/{key}"
    assert score.value == pytest.approx(float(golden[f"{prefix}/score"]), abs=1e-9)
    assert score.ceiling == pytest.approx(float(golden[f"{name}/ceiling"]), abs=1e-9)
    np.testing.assert_allclose(table["value"], golden[f"{prefix}/scores"], atol=1e-9)
    np.testing.assert_allclose(table["ceiling"], golden[f"{prefix}/ceiling"], atol=1e-9)
    np.testing.assert_array_equal(table["alpha"], golden[f"{prefix}/alpha"])
    assert list(table["subject"]) == ["a", "b"]
    np.testing.assert_array_equal(np.flatnonzero(score.details["kept"]), golden[f"{name}/keep"])
    if aggregation == "median":
        np.testing.assert_allclose(table["raw"], golden[f"{prefix}/raw"], atol=1e-9)
        assert score.value != pytest.approx(score.raw**2 / score.ceiling, abs=1e-4)
    together = brain.fixed_split_predictivity(*arguments(golden), **options)
    expected = golden[f"{name}/pooled/{'score' if aggregation == 'median' else 'neuroid_wise'}"]
    assert together.value == pytest.approx(float(expected), abs=1e-9)
    assert (score.details["bootstrap"], together.details["bootstrap"]) == ("subjects", "test stimuli")
    assert 0 < together.error < 0.1


def test_a_silent_neuroid_and_missing_repetitions_are_counted(golden):
    X, train, repetitions = (np.array(one) for one in arguments(golden))
    train[:, 0], repetitions[:, :, 0] = 1.0, 1.0
    repetitions[0, 3] = np.nan
    score = brain.fixed_split_predictivity(X, train, repetitions, subjects=golden["subject"])
    assert np.isnan(score.values[0, 0])
    assert np.isfinite(score.value)
    assert any("1 of 14 neuroids" in note for note in score.notes)


def test_shuffled_stimuli_give_nothing(golden):
    X, train, repetitions = arguments(golden)
    rng = np.random.default_rng(0)
    raws = [
        brain.fixed_split_predictivity(
            X, train[rng.permutation(len(train))], repetitions, subjects=golden["subject"]
        ).raw
        for _ in range(10)
    ]
    assert abs(np.mean(raws)) < 0.12


def test_what_is_wrong(golden):
    X, train, repetitions = arguments(golden)
    with pytest.raises(CornetError, match=r"must be \(repetition, at least 2 test stimuli, 14 neuroids\)"):
        brain.fixed_split_predictivity(X, train, repetitions[:, :1])
    with pytest.raises(CornetError, match="none of 14 neuroids has a reliability above 2"):
        brain.fixed_split_predictivity(X, train, repetitions, reliability=golden["reliability"], threshold=2)
    with pytest.raises(CornetError, match="must have one value for each of 14 neuroids"):
        brain.fixed_split_predictivity(X, train, repetitions, reliability=[1.0])
    with pytest.raises(CornetError, match="subjects has the shape"):
        brain.fixed_split_predictivity(X, train, repetitions, subjects=["a"])
    with pytest.raises(CornetError, match="features have 84 stimuli, but responses have 83"):
        brain.fixed_split_predictivity(X, train[1:], repetitions)
    with pytest.raises(CornetError, match="choose one of median, neuroid_wise"):
        brain.fixed_split_predictivity(X, train, repetitions, aggregation="mean")
