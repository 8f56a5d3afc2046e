"""Matching units with neuroids: the reference values, closed forms, and noise."""

import sys

import numpy as np
import pytest
from sklearn.model_selection import KFold

from cornet import brain
from cornet.brain.metrics.matching import correlations, matched, pairs_of, transport_plan
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {name.removeprefix("match/"): file[name] for name in file.files if name.startswith("match/")}


def test_equal_to_the_reference_on_all_stimuli(golden):
    (C,) = correlations(golden["X"], golden["Y"], [np.arange(len(golden["X"]))])
    np.testing.assert_allclose(C, golden["correlation"], atol=1e-12)
    pairs = pairs_of(C)
    np.testing.assert_array_equal(pairs, golden["one_to_one_pairs"])
    np.testing.assert_allclose(C[pairs[:, 0], pairs[:, 1]], golden["one_to_one_r"], atol=1e-12)
    x, y, both, _ = matched(C, C, "semi", 1.0)
    assert (x, y, both) == pytest.approx(
        tuple(float(golden[f"semi_{key}"]) for key in ("x_to_y", "y_to_x", "symmetric")), abs=1e-12
    )
    assert (transport_plan(C) * C).sum() == pytest.approx(float(golden["soft_correlation"]), abs=1e-9)
    for mass, cost, mean in zip(
        golden["partial_mass"], golden["partial_cost"], golden["partial_similarity_mean"], strict=True
    ):
        plan = transport_plan(C, float(mass))
        assert plan.sum() == pytest.approx(mass)
        assert (plan * (1 - C)).sum() == pytest.approx(cost, abs=1e-9)
        assert matched(C, C, "partial", float(mass))[0] == pytest.approx(mean, abs=1e-9)


def test_equal_to_the_reference_on_held_out_stimuli(golden):
    X, Y = golden["X"], golden["Y"]
    folds = {k: list(KFold(k, shuffle=True, random_state=42).split(X)) for k in (5, 10)}
    soft = brain.match_units(X, Y, "soft", splits=folds[5])
    np.testing.assert_allclose(soft.values, golden["soft_kfold5"], atol=1e-6)
    partial = brain.match_units(X, Y, "partial", splits=folds[5], mass=0.5)
    np.testing.assert_allclose(
        1 - 0.5 + 0.5 * partial.values, golden["partial_kfold5_m0.5"], atol=1e-6
    )  # the paper's code does not divide by the mass
    one = brain.match_units(X, Y, "one_to_one", splits=folds[10])
    np.testing.assert_allclose(one.values, golden["one_to_one_heldout_r"].mean(axis=1), atol=1e-9)
    assert (one.details["in_sample"] > one.values).mean() > 0.7


def test_closed_forms():
    C = np.array([[1, 0.5], [0.2, 0.9], [0, 0.6]])
    assert matched(C, C, "one_to_one", 1)[0] == pytest.approx(0.95)
    assert matched(C, C, "semi", 1)[:2] == pytest.approx((2.5 / 3, 0.95))
    assert (transport_plan(C) * (1 - C)).sum() == pytest.approx(4 / 15)
    for mass, cost in ((1 / 3, 0), (1 / 2, 1 / 60), (2 / 3, 1 / 30), (5 / 6, 1 / 10), (1, 4 / 15)):
        assert (transport_plan(C, mass) * (1 - C)).sum() == pytest.approx(cost, abs=1e-12)


@pytest.mark.parametrize("method", ["one_to_one", "semi", "soft", "partial"])
def test_a_shuffled_and_scaled_population_is_found_and_noise_is_not(method):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 12))
    same = 3 * X[:, rng.permutation(12)] + 2
    assert brain.match_units(X, same, method).raw == pytest.approx(1)
    noise = brain.match_units(X, rng.standard_normal((200, 12)), method, splits=20, train_fraction=0.5)
    assert noise.details["in_sample"].mean() > 0.1
    assert abs(noise.raw) < 0.05


def test_each_unit_twice():
    X = np.random.default_rng(0).standard_normal((40, 5))
    twice = np.concatenate([X, X], axis=1)
    assert brain.match_units(X, twice, "soft").raw == pytest.approx(1)
    assert brain.match_units(X, twice, "one_to_one").raw == pytest.approx(1)


def test_constant_units_and_missing_responses():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6))
    Y = X[:, :3] + 0.1 * rng.standard_normal((50, 3))
    X[:, 5], Y[:10, 1] = 2.0, np.nan
    score = brain.match_units(X, np.column_stack([Y, np.ones(50)]), "one_to_one", splits=5)
    assert score.raw > 0.9
    assert all((pairs == [[0, 0], [1, 1], [2, 2]]).all() for pairs in score.details["pairs"])
    assert any("1 of 6 units that are constant" in note for note in score.notes)
    assert any("1 of 4 neuroids that are constant" in note for note in score.notes)
    expected = np.corrcoef(X[10:, 1], Y[10:, 1])[0, 1]
    assert correlations(X, Y, [np.arange(len(X))])[0][1, 1] == pytest.approx(expected)
    (blocks,) = correlations(X, Y, [np.arange(len(X))], memory=4 * 8 * 50 * 2)
    np.testing.assert_allclose(blocks, correlations(X, Y, [np.arange(len(X))])[0], rtol=1e-12)


def test_the_ceiling_from_halves():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((80, 8))
    repetitions = signal + rng.standard_normal((10, 80, 8))
    found = brain.match_ceiling(repetitions)
    assert found.raw == pytest.approx(1 / (1 + 1 / 5), abs=0.05)  # r of two halves of five repetitions
    assert brain.match_ceiling(rng.standard_normal((10, 80, 8))).raw == pytest.approx(0, abs=0.1)


def test_what_is_wrong(monkeypatch):
    X = np.random.default_rng(0).standard_normal((30, 4))
    with pytest.raises(CornetError, match="choose one of one_to_one, semi, soft, partial"):
        brain.match_units(X, X, "best")
    with pytest.raises(CornetError, match="mass=0 must be above 0 and at most 1"):
        brain.match_units(X, X, "partial", mass=0)
    with pytest.raises(CornetError, match="features have 30 stimuli, but responses have 29"):
        brain.match_units(X, X[:29])
    with pytest.raises(CornetError, match="more than 5,000,000 pairs"):
        transport_plan(np.zeros((3000, 2000)))
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(CornetError, match=r"need the package POT; install it with pip install"):
        brain.match_units(X, X, "soft")
