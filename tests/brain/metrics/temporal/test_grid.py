"""Bins against steps: reference values, a known order of latencies, and what is wrong."""

import numpy as np
import pytest

from cornet import brain
from cornet.brain.metrics.predictivity import neural_predictivity
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


def golden(part):
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {
            name.removeprefix(f"{part}/"): file[name] for name in file.files if name.startswith(f"{part}/")
        }


def splits_of(tests, stimuli):
    return [(np.setdiff1d(np.arange(stimuli), test), test) for test in tests]


@pytest.mark.parametrize("metric", ["pls", "ridge"])
def test_equal_to_the_reference_in_every_cell(metric):
    expected = golden("grid")
    states = {f"V4[{step}]": features for step, features in enumerate(expected["X"])}
    bins = [(10 * k, 10 * k + 10) for k in range(6)]
    splits = splits_of(expected["test_indices"], 48)
    found = brain.temporal_predictivity(states, expected["Y"], bins, metric, splits=splits)
    np.testing.assert_allclose(found.raw.T, expected[f"{metric}/raw"], atol=1e-9)
    np.testing.assert_allclose(found.error.T, expected[f"{metric}/error"], atol=1e-9)
    table = found.table()
    row = table[(table["step"] == 2) & (table["start"] == 30)].iloc[0]
    assert row["raw"] == pytest.approx(expected[f"{metric}/raw"][3, 2])


def test_ridgecv_chooses_a_penalty_for_each_bin():
    expected = golden("grid")
    splits = splits_of(expected["test_indices"], 48)
    found = brain.temporal_predictivity(
        {"V4": expected["X"][0]}, expected["Y"], np.arange(12).reshape(6, 2), splits=splits
    )
    for b, responses in enumerate(expected["Y"]):
        alone = neural_predictivity(expected["X"][0], responses, "ridgecv", splits=splits)
        np.testing.assert_allclose(found.values[0, :, b], alone.values, atol=1e-12)


@pytest.mark.parametrize(("metric", "atol"), [("pls", 1e-6), ("ridge", 2e-5)])
def test_one_mapping_for_all_bins(metric, atol):
    """The reference fits its ridge in float32."""
    expected = golden("span")
    X, Y = (expected[key].transpose(2, 0, 1) for key in ("X", "Y"))
    score = brain.spantime_predictivity(X, Y, metric, splits=splits_of(expected["test_indices"], 50))
    key = f"spantime_{metric}"
    np.testing.assert_allclose(score.details["r"], expected[f"{key}/r"], atol=atol)
    np.testing.assert_allclose(score.details["by_bin"], expected[f"{key}/score_per_bin"], atol=1e-6)
    np.testing.assert_allclose(score.details["error_by_bin"], expected[f"{key}/error_per_bin"], atol=1e-6)


def recording(shuffled=False):
    """V1 drives the responses from 60 ms, IT[0] from 120 ms, and IT[1] from 170 ms in its place."""
    rng = np.random.default_rng(0)
    states = {name: rng.standard_normal((160, 10)) for name in ("V1[0]", "IT[0]", "IT[1]")}
    bins = np.array([(start, start + 10) for start in range(-200, 250, 10)], float)
    weights = {name: rng.standard_normal((10, 15)) / np.sqrt(10) for name in states}
    signal = np.zeros((len(bins), 160, 15))
    for name, start, end in (("V1[0]", 60, 250), ("IT[0]", 120, 170), ("IT[1]", 170, 250)):
        driven = (bins[:, 0] >= start) & (bins[:, 0] < end)
        signal[driven] += states[name] @ weights[name]
    repetitions = signal + rng.standard_normal((6, *signal.shape))
    if shuffled:
        repetitions = repetitions[:, :, rng.permutation(160)]
    return states, bins, repetitions


def test_a_known_order_of_latencies_is_recovered():
    states, bins, repetitions = recording()
    found = brain.temporal_predictivity(
        states, repetitions.mean(axis=0), bins, repetitions=repetitions, splits=5
    )
    early, late = found.onset("V1"), found.onset("IT")
    assert (early.value, late.value) == (60, 120)
    assert early.low <= 60 <= early.high
    assert late.low <= 120 <= late.high
    assert found.areas == ["V1", "IT"]
    assert set(found.best_steps("IT")[(bins[:, 0] >= 120) & (bins[:, 0] < 170)]) == {0}
    assert set(found.best_steps("IT")[bins[:, 0] >= 170]) == {1}
    assert 60 <= found.peak("V1").value <= 250
    first, second = (found.late_minus_early(Site("IT", step)) for step in (0, 1))
    assert first.value < second.value
    assert second.low > 0
    silent, driven = bins[:, 0] < 60, bins[:, 0] >= 60
    assert abs(np.median(found.ceiling[silent])) < 0.2
    assert found.ceiling[driven].min() > 0.6
    assert (found.reliable[driven] == 15).all()
    assert np.abs(found.raw[:, silent]).max() < 0.25


def test_shuffled_stimuli_give_nothing():
    states, bins, repetitions = recording(shuffled=True)
    found = brain.temporal_predictivity(states, repetitions.mean(axis=0), bins, splits=5)
    assert abs(found.raw.mean()) < 0.03
    assert np.isnan(found.ceiling).all()


def test_without_a_baseline_there_is_no_onset():
    states, bins, repetitions = recording()
    after = bins[:, 0] >= 0
    found = brain.temporal_predictivity(states, repetitions[:, after].mean(axis=0), bins[after], splits=3)
    onset = found.onset("V1")
    assert np.isnan([onset.value, onset.low, onset.high]).all()
    assert np.isfinite(found.peak("V1").value)
    with pytest.raises(CornetError, match="no steps of the area 'V3'; choose one of V1, IT"):
        found.onset("V3")


def test_what_is_wrong():
    X, Y = {"V4": np.random.default_rng(0).standard_normal((40, 5))}, np.ones((2, 40, 3))
    for bins, message in (
        ([(0, 20), (10, 30)], "the bins 0 to 20 and 10 to 30 ms overlap"),
        ([(0, 10), (20, 20)], "the bin 20 to 20 ms must end after it starts"),
        ([(0, 10)], r"must be \(2, 2\): start and end"),
    ):
        with pytest.raises(CornetError, match=message):
            brain.temporal_predictivity(X, Y, bins)
    with pytest.raises(CornetError, match="states is empty"):
        brain.temporal_predictivity({}, Y, [(0, 10), (10, 20)])
    with pytest.raises(CornetError, match=r"must be \(bin, stimulus, neuroid\)"):
        brain.temporal_predictivity(X, Y[0], [(0, 10)])
    with pytest.raises(CornetError, match="missing values"):
        brain.spantime_predictivity(np.ones((2, 40, 4)), np.full((2, 40, 3), np.nan))
