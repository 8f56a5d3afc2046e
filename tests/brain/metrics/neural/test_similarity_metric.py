"""Similarities of whole stimulus sets: the meaning of their ceiling, their error, and missing responses."""

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit

from cornet import CornetError, brain
from cornet.brain.metrics.neural.jackknife import jackknife_groups
from tests.helpers.brain.noisy_responses import Neuroids

DIRECT = {"cka": brain.cka, "rdm": brain.rdm_similarity}
"""The same similarities, from features."""

NAMES = pytest.mark.parametrize("name", DIRECT)


def pair(stimuli=30, width=40, neuroids=12, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((stimuli, width)) + 5
    return features, features[:, :neuroids] + rng.standard_normal((stimuli, neuroids))


@NAMES
@pytest.mark.parametrize("width", [5, 40])
def test_the_value_and_the_error_are_those_of_features(name, width):
    """The jackknife from parts of the matrices, against one that computes all again from features."""
    features, responses = pair(width=width, neuroids=5)
    score = brain.neural_metric(name).score(features, responses, [])
    assert score.raw == pytest.approx(DIRECT[name](features, responses), abs=1e-10)
    folds = jackknife_groups(30)
    left = [folds != fold for fold in range(10)]
    values = np.array([DIRECT[name](features[rows], responses[rows]) for rows in left])
    np.testing.assert_allclose(score.details["jackknife"], values, atol=1e-10)
    assert score.error == pytest.approx(np.sqrt(0.9 * ((values - values.mean()) ** 2).sum()), abs=1e-10)
    assert (score.scale, score.n, score.notes, score.values.tolist()) == ("raw", 30, (), [score.raw])


@NAMES
def test_the_error_is_about_the_spread_over_samples_of_stimuli(name):
    world = Neuroids(0, stimuli=4000)
    responses = world.repetitions(1, 3.0)[0]
    metric = brain.neural_metric(name)
    parts = np.arange(4000).reshape(40, 100)
    scores = [metric.score(world.variables[rows], responses[rows], []) for rows in parts]
    spread = np.std([score.raw for score in scores])
    assert np.mean([score.error for score in scores]) == pytest.approx(spread, rel=0.35)


@NAMES
def test_groups_are_left_out_together(name):
    features, responses = pair()
    movies = np.repeat(["a", "b", "c", "d", "e"], 6)
    score = brain.neural_metric(name).score(features, responses, [], groups=movies)
    values = [DIRECT[name](features[movies != one], responses[movies != one]) for one in "abcde"]
    assert sorted(score.details["jackknife"]) == pytest.approx(sorted(values), abs=1e-10)
    with pytest.raises(CornetError, match="groups has the shape"):
        brain.neural_metric(name).score(features, responses, [], groups=movies[:5])


@NAMES
@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("repetitions", [5, 20])
def test_a_perfect_model_reaches_the_square_root_of_the_ceiling(name, noise, repetitions):
    metric, ratios, ceilings = brain.neural_metric(name), [], []
    for seed in range(5):
        world = Neuroids(seed)
        measured = world.repetitions(repetitions, noise)
        ceiling = metric.ceiling(measured)
        ratios.append(metric.score(world.rates, measured.mean(axis=0), []).raw / np.sqrt(ceiling.raw))
        ceilings.append(ceiling.raw)
    noisy = noise == 2 and repetitions == 5
    assert np.mean(ratios) == pytest.approx(1, abs=0.06 if noisy else 0.02)
    assert (np.mean(ceilings) < 0.8) == noisy


def test_the_ceiling_of_very_noisy_data_is_said_to_be_too_low():
    metric, ratios = brain.neural_metric("cka"), []
    for seed in range(3):
        world = Neuroids(seed)
        measured = world.repetitions(4, 4.0)
        ceiling = metric.ceiling(measured)
        assert f"a reliability of {ceiling.raw:.2f} is an underestimate" in ceiling.notes[0]
        ratios.append(metric.score(world.rates, measured.mean(axis=0), []).raw / np.sqrt(ceiling.raw))
    assert np.mean(ratios) > 1.1
    assert not metric.ceiling(world.repetitions(20, 1.0)).notes


@NAMES
def test_the_ceiling_is_the_corrected_similarity_of_halves(name):
    measured = Neuroids(0).repetitions(7, 1.0)
    weights = np.random.default_rng(0).integers(1, 4, measured.shape)
    halves = list(ShuffleSplit(10, train_size=0.5, random_state=1).split(np.empty(7)))
    for given in (None, weights):
        score, values = brain.neural_metric(name).ceiling(measured, given), []
        for half in halves:
            a, b = (
                np.average(measured[k], axis=0, weights=None if given is None else given[k]) for k in half
            )
            r = DIRECT[name](a, b)
            values.append(2 * r / (1 + r))
        np.testing.assert_allclose(score.values, values, atol=1e-10)
        assert score.raw == pytest.approx(np.mean(values))
        assert score.error == pytest.approx(np.std(values) / np.sqrt(10))


@NAMES
def test_shuffled_stimuli_score_nothing_and_a_random_projection_less_than_the_truth(name):
    metric, shuffled = brain.neural_metric(name), []
    for seed in range(5):
        world = Neuroids(seed)
        responses = world.repetitions(10, 1.0).mean(axis=0)
        truth = metric.score(world.rates, responses, []).raw
        assert metric.score(world.random_projection(), responses, []).raw < 0.8 * truth
        shuffled.append(metric.score(world.rates, world.rng.permutation(responses), []).raw)
    assert np.abs(shuffled).max() < 0.12
    assert abs(np.mean(shuffled)) < 0.04


@NAMES
def test_neuroids_with_missing_responses_are_left_out(name):
    features, responses = pair()
    metric = brain.neural_metric(name)
    holes = responses.copy()
    holes[3, 2] = holes[8, 5] = np.nan
    holes[:, 7] = np.nan
    score = metric.score(features, holes, [])
    rest = np.delete(np.arange(12), [2, 5, 7])
    assert score.raw == pytest.approx(metric.score(features, responses[:, rest], []).raw, abs=1e-12)
    assert score.notes == (
        "skipped 1 of 12 neuroids without responses",
        "skipped 2 of 12 neuroids that lack responses to some stimuli",
    )
    assert score.n == 30


@NAMES
def test_stimuli_are_left_out_if_no_two_neuroids_are_complete(name):
    features, responses = pair()
    metric = brain.neural_metric(name)
    holes = responses.copy()
    holes[np.arange(11), np.arange(11)] = np.nan  # the last neuroid alone is complete
    holes[29] = np.nan
    score = metric.score(features, holes, [])
    expected = metric.score(features[11:29], responses[11:29], []).raw
    assert score.raw == pytest.approx(expected, abs=1e-10)
    assert score.notes[0] == "skipped 1 of 30 stimuli without responses"
    assert "skipped 11 of 30 stimuli that lack responses of some neuroids" in score.notes[1]
    assert score.n == 18


@NAMES
def test_missing_repetitions_are_left_out_of_the_ceiling(name):
    """A stimulus that was shown once is in one half only."""
    measured = Neuroids(0).repetitions(6, 1.0)
    whole = brain.neural_metric(name).ceiling(np.delete(measured, 4, axis=1))
    measured[1:, 4] = np.nan
    score = brain.neural_metric(name).ceiling(measured)
    assert score.raw == pytest.approx(whole.raw, abs=1e-10)
    assert score.notes == (
        "ceiling: skipped 10 of 600 pairs of halving and stimulus without all responses in both halves",
    )
    measured[1:, 5, 3] = np.nan
    notes = brain.neural_metric(name).ceiling(measured).notes
    assert "ceiling: skipped 10 of 500 pairs of halving and neuroid" in notes[1]


@NAMES
def test_what_is_undefined_is_said(name):
    features, responses = pair()
    metric = brain.neural_metric(name)
    score = metric.score(features * 0, responses, [])
    assert np.isnan(score.raw)
    assert np.isnan(score.error)
    assert any(f"{name} is undefined" in note for note in score.notes)
    flat = metric.ceiling(np.ones((4, 30, 5)))
    assert np.isnan(flat.raw)
    assert flat.notes == ("ceiling: skipped 10 of 10 halvings without a defined similarity",)


@NAMES
def test_bad_input_is_refused(name):
    features, responses = pair()
    metric = brain.neural_metric(name)
    for call, words in (
        (lambda: metric.score(features[:7], responses, []), "features have 7 stimuli, but responses have 30"),
        (lambda: metric.score(features[:2], responses[:2], []), f"{name} needs at least . stimuli"),
        (lambda: metric.score(features * np.nan, responses, []), "must be finite"),
        (lambda: metric.score(features[0], responses, []), "must be .stimulus, feature."),
        (lambda: metric.ceiling(responses[None]), "a ceiling needs at least 2 repetitions"),
        (lambda: metric.ceiling(responses), "must be numbers, .repetition, stimulus, neuroid."),
        (lambda: metric.ceiling(np.ones((2, 5, 4)), np.ones((2, 5))), "weights of shape"),
    ):
        with pytest.raises(CornetError, match=words):
            call()
