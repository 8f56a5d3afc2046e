"""Centred kernel alignment as a metric."""

import numpy as np
import pytest

from cornet import brain
from tests.helpers.brain.golden_comparisons import golden


def test_the_references_value_is_met():
    g = golden("neural")
    score = brain.neural_metric("cka").score(g["features"], g["responses"], [])
    assert score.raw == pytest.approx(float(g["cka"]), abs=1e-10)
    assert score.details["metric"] == "cka"


def test_rotation_scale_and_offset_change_nothing():
    rng = np.random.default_rng(0)
    features, responses = rng.standard_normal((40, 8)), rng.standard_normal((40, 6))
    responses[:, :3] += features[:, :3]
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    metric = brain.neural_metric("cka")
    plain, other = (
        metric.score(features, responses, []),
        metric.score(3 * features @ rotation + 7, responses, []),
    )
    assert plain.raw == pytest.approx(other.raw, abs=1e-10)
    assert plain.error == pytest.approx(other.error, abs=1e-10)


def test_a_single_neuroid_can_be_compared():
    features = np.random.default_rng(0).standard_normal((40, 3))
    assert brain.neural_metric("cka").score(features[:, :1], features[:, 0], []).raw == pytest.approx(1)
