"""Draws of scores: against refitting by hand, against known standard errors, and paired between models."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from cornet.brain.metrics.neural.registry import neural_metric
from cornet.brain.metrics.predictivity import METRICS, neural_predictivity
from cornet.brain.metrics.resampling import UNPAIRED, raw_draws, weighted_correlations
from cornet.brain.metrics.splits import make_splits
from cornet.brain.metrics.transfer import transfer
from cornet.brain.score import Score

STIMULI, NEUROIDS = 80, 12


def data(seed=0, noise=1.0, missing=False):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((STIMULI, 30))
    responses = features @ rng.standard_normal((30, NEUROIDS)) + noise * 5 * rng.standard_normal(
        (STIMULI, NEUROIDS)
    )
    if missing:
        responses[rng.random(responses.shape) < 0.2] = np.nan
        responses[:, 3] = np.nan
        responses[:, 5] = 1.0
    return features, responses


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_the_predictions_have_the_correlations_of_the_score(metric, missing):
    features, responses = data(missing=missing)
    splits = make_splits(STIMULI, splits=4)
    score = neural_predictivity(features, responses, metric, splits=splits)
    for number, (test, predicted) in enumerate(
        zip(score.details["tests"], score.details["predictions"], strict=True)
    ):
        assert (test == splits[number][1]).all()
        r = weighted_correlations(predicted, responses[test], np.ones((1, len(test))))[0]
        np.testing.assert_allclose(r, score.values[number], atol=1e-9)


def test_weights_are_repeated_stimuli():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 20, 3)) + 100
    weights = rng.multinomial(20, np.full(20, 1 / 20), 5).astype(float)
    found = weighted_correlations(x, y, weights)
    for draw, counts in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(20), counts)
        expected = [pearsonr(x[rows, k], y[rows, k]).statistic for k in range(3)]
        np.testing.assert_allclose(found[draw], expected, atol=1e-9)
    y[:, 1] = 7.0
    assert np.isnan(weighted_correlations(x, y, weights)[:, 1]).all()


def test_draws_are_the_same_for_all_models_of_a_benchmark():
    features, responses = data()
    score = neural_predictivity(features, responses, "ridge")
    first, what = raw_draws(score, "bundle.V4", "one", responses)
    second, _ = raw_draws(score, "bundle.V4", "two", responses)
    assert what == "neuroids and stimuli"
    assert (first == second).all()
    assert (raw_draws(score, "bundle.IT", "one", responses)[0] != first).any()
    assert first.mean() == pytest.approx(score.raw, abs=0.05)
    worse = neural_predictivity(
        features + np.random.default_rng(1).standard_normal(features.shape), responses, "ridge"
    )
    other, _ = raw_draws(worse, "bundle.V4", "two", responses)
    assert np.std(first - other) < np.hypot(np.std(first), np.std(other))  # paired


def test_groups_of_stimuli_are_drawn_together():
    """Copies of each stimulus are no new data: the spread stays that of the originals."""
    features, responses = data()
    twice = np.repeat(np.arange(STIMULI), 4)
    splits = make_splits(STIMULI, splits=5)
    copied = [tuple(np.flatnonzero(np.isin(twice, side)) for side in pair) for pair in splits]
    one = neural_predictivity(features, responses, "ridge", splits=splits)
    many = neural_predictivity(features[twice], responses[twice], "ridge", splits=copied)
    spread = np.std(raw_draws(one, "b", "m", responses)[0])
    grouped = np.std(raw_draws(many, "b", "m", responses[twice], groups=twice)[0])
    loose = np.std(raw_draws(many, "b", "m", responses[twice])[0])
    assert grouped == pytest.approx(spread, rel=0.25)
    assert loose < grouped


def test_similarities_have_the_spread_of_their_jackknife():
    features, responses = data()
    score = neural_metric("cka").score(features, responses, [])
    draws, what = raw_draws(score, "b", "m", draws=20_000)
    assert what == "groups of stimuli"
    assert np.std(draws) == pytest.approx(score.error, rel=0.03)
    assert np.mean(draws) == pytest.approx(score.raw, abs=0.02)


def test_transfer_has_the_binomial_spread():
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 100)
    features = np.where(labels == "a", 1.0, -1.0)[:, None] + 1.5 * rng.standard_normal((200, 3))
    score = transfer(features, labels, np.arange(100), np.arange(100, 200))
    draws, what = raw_draws(score, "b", "m", draws=20_000)
    assert what == "images"
    assert np.std(draws) == pytest.approx(score.error, rel=0.03)


def test_other_scores_have_their_error_and_are_not_paired():
    score = Score(raw=0.4, error=0.1)
    one, what = raw_draws(score, "b", "one", draws=20_000)
    other, _ = raw_draws(score, "b", "two", draws=20_000)
    assert what == UNPAIRED
    assert np.std(one) == pytest.approx(0.1, rel=0.03)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    assert (raw_draws(score, "b", "one", draws=20_000)[0] == one).all()
