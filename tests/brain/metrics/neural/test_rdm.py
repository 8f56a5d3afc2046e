"""Representational similarity as a metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from cornet import CornetError, brain
from cornet.brain.metrics.neural.rdm import ranks_of_codes
from tests.helpers.brain.golden_comparisons import golden


def test_the_references_value_is_met():
    g = golden("neural")
    score = brain.neural_metric("rdm").score(g["features"], g["responses"], [])
    assert score.raw == pytest.approx(float(g["rdm"]), abs=1e-10)
    assert score.details["metric"] == "rdm"


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_ranks_of_codes_are_scipys(codes):
    assert ranks_of_codes(np.array(codes)).tolist() == rankdata(codes).tolist()


def test_stimuli_with_equal_values_are_left_out_and_counted():
    rng = np.random.default_rng(0)
    features, responses = rng.standard_normal((20, 8)), rng.standard_normal((20, 6))
    features[4], responses[[7, 9]] = 0.3, 2.0
    score = brain.neural_metric("rdm").score(features, responses, [])
    rest = np.delete(np.arange(20), [4, 7, 9])
    assert score.raw == pytest.approx(brain.rdm_similarity(features[rest], responses[rest]), abs=1e-10)
    assert np.isfinite(score.error)
    assert score.notes == (
        "1 of 20 stimuli have equal values of all features and are left out",
        "2 of 20 stimuli have equal values of all responses and are left out",
    )
    assert score.n == 17


def test_a_single_neuroid_has_no_dissimilarities():
    with pytest.raises(
        CornetError, match=r"rdm needs at least 3 stimuli and 2 neuroids .* there are 20 and 1"
    ):
        brain.neural_metric("rdm").score(np.ones((20, 3)), np.arange(20.0), [])
