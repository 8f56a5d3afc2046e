"""d' from probabilities against the published i1 and against loops written from the formula."""

import numpy as np
import pytest
from scipy.stats import norm

from cornet.brain.metrics.choices.dprime import dprime, mean_over_distractors
from tests.helpers.brain.golden_comparisons import golden


def by_loops(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    result = np.full(p.shape, np.nan)
    for i, t in enumerate(truth):
        for d in range(p.shape[1]):
            if d == t:
                continue
            hit = 1 - p[i, d] / (p[i, d] + p[i, t])
            alarms = [p[j, t] / (p[j, t] + p[j, d]) for j in range(len(truth)) if truth[j] == d]
            if alarms:
                result[i, d] = np.clip(norm.ppf(hit) - norm.ppf(np.mean(alarms)), -5, 5)
    return result


def test_equals_loops_and_vectorises_over_leading_axes() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 30)  # choice 4 is never shown
    p = rng.dirichlet(np.full(5, 0.3), size=(2, 3, 30))
    result = dprime(p, truth)
    for a in range(2):
        for b in range(3):
            np.testing.assert_allclose(result[a, b], by_loops(p[a, b], truth), rtol=0, atol=1e-12)
    assert np.isnan(result[..., 4]).all()
    assert np.isnan(result[..., np.arange(30), truth]).all()


def test_mean_over_distractors_is_the_published_i1() -> None:
    behavior = golden("behavior")
    truth = np.searchsorted(behavior["choices"], behavior["test_truth"])
    i1 = mean_over_distractors(dprime(behavior["probabilities"], truth))
    order = {name: k for k, name in enumerate(behavior["test_ids"])}
    expected = np.full(len(i1), np.nan)
    expected[[order[name] for name in behavior["i1_ids"]]] = behavior["i1"]
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(i1, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("wrong", "limit"), [(0.0, 5.0), (1.0, -5.0)])
def test_certainty_is_clipped(wrong: float, limit: float) -> None:
    p = np.array([[1 - wrong, wrong], [0.4, 0.6]])
    result = dprime(p, [0, 1])
    assert result[0, 1] == limit
    assert np.isfinite(result[1, 0])


def test_undefined_stays_nan_without_a_warning() -> None:
    result = dprime([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], [0, 0])
    assert np.isnan(mean_over_distractors(result)).all()  # no image shows objects 1 and 2
