"""Object solution times against the published implementation, and what a user may get wrong."""

from typing import Any

import numpy as np
import pytest
import torch

from cornet import brain
from cornet.brain.score import Score
from cornet.errors import CornetError
from tests.helpers.brain.golden_comparisons import golden
from tests.helpers.brain.solution_time_cases import made_up

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def from_golden(**options: Any) -> Score:
    ost = golden("ost")
    names = ("features", "labels", "target_ost", "threshold_i1", "time_bin_start")
    return brain.object_solution_times(*(ost[name] for name in names), **options)


@pytest.mark.parametrize("device", DEVICES)
def test_reference_with_its_own_initial_weights(device: str) -> None:
    ost = golden("ost")
    score = from_golden(initial_weights=ost["initial_weights"], device=device)
    np.testing.assert_allclose(score.values, ost["raw"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(score.raw, ost["score"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(score.error, ost["raw"].std() / np.sqrt(10), rtol=0, atol=1e-3)
    assert score.n == np.isfinite(ost["target_ost"]).sum()
    low, high = score.details["interval"]
    assert low < score.raw < high
    shown = score.with_ceiling(0.79, "r/c")
    assert shown.value == pytest.approx(score.raw / 0.79)


def test_order_of_the_stimuli_is_that_of_their_ids() -> None:
    data = made_up()
    straight = brain.object_solution_times(**data)
    order = np.random.default_rng(1).permutation(200)
    shuffled = {name: np.asarray(data[name])[order] for name in ("labels", "target_ost", "threshold_i1")}
    ids = np.array([f"s{k:04d}" for k in range(200)])[order]
    features = [array[order] for array in data["features"]]
    again = brain.object_solution_times(
        features, **shuffled, time_bin_start=data["time_bin_start"], stimulus_ids=ids
    )
    np.testing.assert_allclose(again.values, straight.values, atol=1e-9)
    np.testing.assert_array_equal(again.details["tested"], straight.details["tested"][order])
    np.testing.assert_allclose(again.details["i1"], straight.details["i1"][order], atol=1e-5)
    other = brain.object_solution_times(features, **shuffled, time_bin_start=data["time_bin_start"])
    assert (other.details["tested"] != again.details["tested"]).any()


@pytest.mark.parametrize("decoder", ["reference", "optimum"])
def test_an_array_and_a_list_over_time_are_the_same(decoder: str) -> None:
    data = made_up()
    listed = brain.object_solution_times(**data, decoder=decoder)
    whole = brain.object_solution_times(
        **data | {"features": np.stack(data["features"], -1)}, decoder=decoder
    )
    np.testing.assert_array_equal(listed.values, whole.values)
    assert listed.details["distinct_bins"] == whole.details["distinct_bins"] == 2
    np.testing.assert_array_equal(listed.details["i1"][:, 0], listed.details["i1"][:, 2])


def test_optimum_finds_what_is_there() -> None:
    data = made_up()
    score = brain.object_solution_times(**data, decoder="optimum")
    details = score.details
    assert score.raw > 0.3  # easy images pass their threshold earlier between the two states
    np.testing.assert_array_equal(score.values, brain.object_solution_times(**data, decoder="optimum").values)
    assert (np.diff(details["accuracy"][[0, 4]]) > 0).all()
    assert (np.diff(details["dprime"][[0, 4]]) > 0).all()
    assert 0 < details["share_solved_first_bin"] < details["share_solved"] < 1
    assert details["tested"].sum() == 10 * 20
    np.testing.assert_array_equal(np.isnan(details["i1"][:, 0]), details["tested"] == 0)
    predicted = details["predicted_ost"]
    assert np.nanmin(predicted) >= 70
    assert np.nanmax(predicted) <= 100
    assert details["entering"].shape == (10,)


def test_seeds() -> None:
    data = made_up()
    score = brain.object_solution_times(**data, seed=1, seeds=(0, 1, 2))
    raw = score.details["raw_by_seed"]
    assert score.raw == raw[1]
    assert score.details["values_by_seed"].shape == (3, 10)
    assert raw[0] == brain.object_solution_times(**data, seed=0).raw
    assert len({round(value, 6) for value in raw}) == 3


def test_answers_that_do_not_change_have_no_solution_time() -> None:
    data = made_up()
    late = data["features"][-1]
    score = brain.object_solution_times(**data | {"features": [late, late.copy(), late, late, late]})
    assert np.isnan(score.raw)
    assert np.isnan(score.values).all()
    assert "identical" in score.notes[-1]
    assert "skipped 27 of 200 images without a solution time in the brain" in score.notes
    assert score.n == np.isfinite(data["target_ost"]).sum()


def test_splits_without_a_correlation_are_counted() -> None:
    data = made_up()
    target = np.full(200, np.nan)
    target[:8] = data["target_ost"][:8]
    target[0] = 100.0
    score = brain.object_solution_times(**data | {"target_ost": target}, decoder="optimum")
    assert any("splits have no correlation" in note for note in score.notes)
    assert any("each split correlates only" in note for note in score.notes)


BAD = [
    ({"labels": ["a", "b"]}, "labels of shape"),
    ({"target_ost": np.zeros(3)}, "target_ost of shape"),
    ({"target_ost": np.full(200, np.nan)}, "target_ost has no finite value"),
    ({"threshold_i1": np.full(200, np.nan)}, "threshold_i1 has no finite value"),
    ({"time_bin_start": [70, 80]}, "time_bin_start of shape"),
    ({"time_bin_start": [70, 80, 80, 90, 100]}, "must increase"),
    ({"labels": np.arange(200)}, "too few for 200 objects"),
    ({"labels": np.array(["a"] * 200)}, "at least 2"),
    ({"labels": np.array(["rare"] + ["a", "b"] * 99 + ["a"])}, "no training image of rare"),
    ({"stimulus_ids": np.zeros(200, int)}, "199 duplicates"),
    ({"decoder": "svm"}, "choose one of reference, optimum"),
    ({"decoder": "optimum", "seeds": (1,)}, "does not use initial weights"),
    ({"initial_weights": np.zeros((4, 30))}, r"shape \(feature, class\) = \(30, 4\)"),
    ({"features": np.full((200, 3, 5), np.nan)}, "600 of 600"),
    ({"memory": 1000}, "set at least"),
    ({"device": "gpu"}, "is unknown"),
    ({"device": "mps"}, "not available for decoding"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes_are_said_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CornetError, match=message) as caught:
        brain.object_solution_times(**made_up() | change)
    assert str(caught.value).endswith(".")
