"""Mappings as modules: ridge against scikit-learn, the factorised one against known weights, and who is refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from cornet.brain.metrics.splits import make_folds
from cornet.errors import CornetError
from cornet.synthesis.driven import factorised_fit
from cornet.synthesis.driven.factorised_fit import fit_factorised
from cornet.synthesis.driven.mapping import check_held_out, fit_ridge, training_moments

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((80, 40)) * np.geomspace(1, 0.1, 40) + 3).astype(np.float32)
Y = np.column_stack([X[:, 0] - X[:, 1], X[:, 2] + RNG.standard_normal(80), RNG.standard_normal(80)])
FOLDS = make_folds(80, 10)


@pytest.mark.parametrize("missing", [False, True])
def test_ridge_equals_scikit_learn(missing):
    answers = Y.copy()
    if missing:
        answers[::7, 1] = np.nan
    fitted = fit_ridge(X, answers, FOLDS)
    predicted = fitted.module(torch.from_numpy(X).reshape(80, 10, 2, 2)).numpy()
    for k, penalty in enumerate(fitted.penalties):
        known = np.isfinite(answers[:, k])
        expected = (
            Ridge(alpha=penalty).fit(X[known].astype(float), answers[known, k]).predict(X.astype(float))
        )
        np.testing.assert_allclose(predicted[:, k], expected, atol=2e-4)
        own = known & np.isfinite(fitted.held_out[:, k])
        assert fitted.r[k] == pytest.approx(np.corrcoef(fitted.held_out[own, k], answers[own, k])[0, 1])
    assert fitted.r[0] > 0.9 > fitted.r[1] > 0.1
    assert abs(fitted.r[2]) < 0.4


def test_a_held_out_image_does_not_see_its_own_response():
    """A response that only memory can predict has no positive r, although the fit to all images does predict it."""
    noise = np.random.default_rng(1).standard_normal((80, 20))
    wide = np.random.default_rng(2).standard_normal((80, 300))
    assert abs(np.median(fit_ridge(wide, noise, FOLDS).r)) < 0.15


def test_groups_stay_in_one_fold():
    """Pairs of images with equal features and equal noise: without groups the twin tells the response."""
    half = np.random.default_rng(3).standard_normal((40, 100))
    both = np.repeat(half, 2, axis=0)
    noise = np.repeat(np.random.default_rng(4).standard_normal((40, 5)), 2, axis=0)
    groups = np.repeat(np.arange(40), 2).astype(str)
    alone = fit_ridge(both, noise, make_folds(80, 10))
    together = fit_ridge(both, noise, make_folds(80, 10, groups), groups)
    assert np.median(alone.r) > 0.7
    assert np.median(together.r) < 0.3


@pytest.mark.slow
def test_a_factorised_mapping_recovers_where_and_what(monkeypatch):
    monkeypatch.setattr(factorised_fit, "STEPS", 100)
    monkeypatch.setattr(factorised_fit, "RATE", 0.1)
    rng = np.random.default_rng(5)
    states = rng.standard_normal((250, 4, 6, 6)).astype(np.float32)
    grid = np.arange(6)
    space = np.exp(-((grid[:, None] - 2) ** 2 + (grid[None] - 3) ** 2) / 3)
    features = rng.standard_normal(4)
    drive = np.einsum("icyx,yx,c->i", states, space, features)
    answers = np.column_stack(
        [10 + 3 * drive + 0.3 * rng.standard_normal(250), 0.3 * rng.standard_normal(250)]
    )
    fitted = fit_factorised(states, answers, make_folds(250, 10))
    assert fitted.r[0] > 0.95
    assert fitted.r[1] < 0.2
    assert fitted.space is not None
    assert np.corrcoef(fitted.space[0].ravel(), space.ravel())[0, 1] > 0.97
    with torch.no_grad():
        predicted = fitted.module(torch.from_numpy(states)).numpy()
    assert np.corrcoef(predicted[:, 0], answers[:, 0])[0, 1] > 0.97
    assert predicted[:, 0].mean() == pytest.approx(answers[:, 0].mean(), abs=0.5)


def test_a_factorised_mapping_without_responses_to_some_images(monkeypatch):
    monkeypatch.setattr(factorised_fit, "STEPS", 20)
    answers = Y.copy()
    answers[::5, 0] = np.nan
    fitted = fit_factorised(X.reshape(80, 10, 2, 2), answers, FOLDS)
    assert np.isnan(fitted.held_out[::5, 0]).all()
    assert np.isfinite(fitted.r).all()
    with pytest.raises(CornetError, match="needs states \\(image, channel, y, x\\), not 1 dimensions"):
        fit_factorised(X, Y, FOLDS)


def test_who_is_refused():
    names = np.array(["a", "b", "c"])
    check_held_out(names, np.array([0.0, 0.5, 0.1]))
    with pytest.raises(
        CornetError, match=r"neuroid b: r of held-out images is -0.20, below 0 \(2 such neuroids\)"
    ):
        check_held_out(names, np.array([0.5, -0.2, -0.1]))
    with pytest.raises(CornetError, match="does not exist"):
        check_held_out(names, np.array([0.5, 0.2, np.nan]))
    check_held_out(names, np.array([0.5, -0.2, np.nan]), force=True)


def test_moments_skip_what_is_missing():
    mean, deviation = training_moments(np.array([[1.0], [3.0], [np.nan]]))
    assert (mean[0], deviation[0]) == (2.0, 1.0)
