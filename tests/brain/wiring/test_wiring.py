"""Measures of the wiring against the public code's values, closed forms and planted truths."""

import numpy as np
import pytest
import torch

from cornet.brain.wiring import (
    count_claws,
    glo_score,
    has_peak,
    infer_threshold,
    similarity_score,
    type_weights,
    types_covered,
)
from cornet.brain.wiring.tables import claw_table, connection_table, measure_wiring
from cornet.errors import CornetError
from cornet.models.fly.wiring import Wiring
from tests.helpers.models.fly import normal, rng
from tests.helpers.paths import GOLDEN


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "olfaction.npz") as file:
        return dict(file)


def planted():
    """Two modes of weights, (KC, PN), as in the golden file; and the next draw, with one mode."""
    draw = rng("olf:bimodal")
    weak, mask = np.exp(draw.normal(-6, 1.2, (50, 400))), draw.random((50, 400)) < 0.14
    two = np.where(mask, np.exp(draw.normal(-0.5, 0.35, (50, 400))), weak)
    return two.T, np.exp(draw.normal(-2, 0.5, (50, 400))).T


def test_glo_score(golden):
    weights = golden["a/glo/in"].T
    score, each = glo_score(type_weights(weights, 6))
    assert round(score, 4) == golden["a/glo/score"]
    np.testing.assert_allclose(each, golden["a/glo/each"], rtol=1e-12)
    large = 0.1 * np.abs(normal("olfaction:glo", (500, 50))).astype(np.float64)
    large[np.arange(500), np.arange(500) % 50] += 0.3
    np.testing.assert_allclose(glo_score(type_weights(large.T, 50))[1], golden["b/glo/tile"], atol=1e-6)
    repeated = large.T.reshape(50, 50, 10).mean(axis=2)  # the wrong order of copies
    np.testing.assert_allclose(glo_score(repeated)[1], golden["b/glo/repeat"], atol=1e-6)
    np.testing.assert_allclose(similarity_score(large.T, 50)[1], golden["b/glo/similarity"], atol=1e-6)


def test_similarity(golden):
    score, each = similarity_score(golden["a/glo/in"].T, 6)
    assert score == pytest.approx(float(golden["a/sim/score"]), rel=1e-12)
    np.testing.assert_allclose(each, golden["a/sim/each"], rtol=1e-12)


def test_closed_forms_of_the_glo_score():
    assert glo_score(np.eye(5))[0] == 1
    assert glo_score(np.ones((4, 5)))[0] == 0
    assert glo_score(np.array([[2.0, 1.0, 0.0]]))[0] == pytest.approx(1 / 3)
    assert glo_score(np.zeros((2, 3)))[0] == 0
    matrix = np.random.default_rng(0).random((6, 4))
    assert glo_score(7 * matrix[::-1])[0] == pytest.approx(glo_score(matrix)[0])
    assert types_covered(np.eye(5)) == 5
    assert types_covered(np.eye(5)[[0, 0, 1, 1, 1]]) == 2
    assert similarity_score(np.random.default_rng(0).random((3, 4)), 4)[0] == pytest.approx(
        1
    )  # one copy each
    with pytest.raises(CornetError, match="multiple of 3 receptor neurons"):
        type_weights(np.ones((2, 4)), 3)
    with pytest.raises(CornetError, match="compares two receptor types"):
        glo_score(np.ones((2, 1)))


def test_the_inferred_threshold(golden):
    two, one = planted()
    claws = count_claws(two)
    assert claws.inferred
    assert claws.threshold == pytest.approx(float(golden["a/thr/inferred"]), abs=1e-3)
    assert claws.mean == pytest.approx(float(golden["a/thr/true_mean"]), abs=0.01)
    np.testing.assert_array_equal(claws.counts[:16], golden["a/thr/counts16"])
    assert count_claws(two, 0.02).mean == pytest.approx(float(golden["a/thr/K_fixed_002"]))
    assert has_peak(two, claws.threshold)
    assert infer_threshold(one) == pytest.approx(float(golden["a/thr/one_mode"]))
    draw = rng("olfaction:claws")
    counts = np.clip(draw.poisson(7, 1000), 1, 50)
    weights = np.exp(draw.normal(-5, 1, (50, 1000)))
    for cell, count in enumerate(counts):
        weights[:count, cell] = np.exp(draw.normal(-0.7, 0.35, count))
    claws = count_claws(weights.T)
    assert claws.threshold == pytest.approx(float(golden["b/claws/threshold"]), rel=1e-6)
    np.testing.assert_array_equal(claws.counts, golden["b/claws/count"])


def test_a_uniform_population_has_no_peak(golden):
    weights = np.random.default_rng(5).random((50, 300)).T * 0.08
    threshold = infer_threshold(weights)
    assert threshold == pytest.approx(float(golden["b/claws/threshold_uniform"]), rel=1e-6)
    assert not has_peak(weights, threshold)


def test_cells_without_claws_are_counted_apart():
    claws = count_claws(np.array([[1.0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0]]), 0.5)
    assert claws.counts.tolist() == [2, 0, 3, 1]
    assert claws.mean == 2
    assert claws.none == 0.25
    assert claws.sd == pytest.approx((2 / 3) ** 0.5)
    empty = count_claws(np.zeros((3, 2)), 0.5)
    assert empty.none == 1
    assert np.isnan(empty.mean)


def wiring(**changes):
    claws = torch.tensor([[0.5, 0.0, 0.1], [0.3, 0.4, 0.0]])
    parts = {"receptors": 3, "glomeruli": torch.eye(3).repeat(1, 2), "claws": claws, "threshold": 0.2}
    return Wiring(**{**parts, **changes})


def test_tables_of_a_known_circuit():
    found = measure_wiring(wiring())
    assert (found["glo"], found["types"], found["claws"], found["no_claws"]) == (1, 3, 1.5, 0)
    assert found["glo_shuffled"] < 1
    assert found["similarity"] == 1
    assert found["types_chance"] == pytest.approx(3 * (1 - (2 / 3) ** 3))
    table = connection_table(wiring())
    assert table.groupby("layer").size().to_dict() == {"claws": 6, "glomeruli": 9}
    assert table[table["layer"] == "claws"]["weight"].tolist() == pytest.approx([0.5, 0, 0, 0.3, 0.4, 0])
    histograms = claw_table(wiring())
    counts = histograms.groupby("kind")["count"].sum()
    assert counts.to_dict() == {"claws": 2, "weights": 4}
    assert (histograms["zeros"] == 2).all()


def test_expressed_receptors_are_read_through_both_layers():
    """Neurons that each express one type, in another order; the projection neurons then read that type."""
    expression = torch.eye(3)[[2, 0, 1, 1, 2, 0]]
    glomeruli = torch.zeros(3, 6)
    glomeruli[0, [0, 4]] = glomeruli[1, [1, 5]] = glomeruli[2, [2, 3]] = 0.5
    found = measure_wiring(wiring(glomeruli=glomeruli, expression=expression))
    assert (found["glo"], found["types"], found["glo_expression"]) == (1, 3, 1)
