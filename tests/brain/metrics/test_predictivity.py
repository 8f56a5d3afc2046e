"""Predictivity against the reference's values, and against scikit-learn over random shapes."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression, Ridge

from cornet import CornetError, brain
from cornet.brain.metrics.splits import make_splits
from tests.helpers.brain.golden_comparisons import golden

CASES = {
    "pls": ("features", "pls", True),
    "pls_wide": ("wide_features", "pls", True),
    "pls_unstratified": ("features", "pls", False),
    "ridge": ("features", "ridge", True),
    "linear_predictivity": ("features", "linear", True),
    "neuron_to_neuron": ("features", "neuron_to_neuron", True),
}


@pytest.mark.parametrize("name", CASES)
def test_reference_is_met_in_every_split_and_neuroid(name):
    expected = golden("neural")
    features, metric, stratified = CASES[name]
    score = brain.neural_predictivity(
        expected[features],
        expected["responses"],
        metric,
        stratify=expected["object_name"] if stratified else None,
    )
    assert score.values.shape == (10, 24)
    assert np.abs(score.values - expected[f"{name}/raw"]).max() < 1e-11
    assert score.raw == pytest.approx(float(expected[f"{name}/score"]), abs=1e-12)
    assert score.error == pytest.approx(float(expected[f"{name}/error"]), abs=1e-12)
    assert score.n == 320
    assert not score.notes


@pytest.mark.parametrize("metric", ["pls", "ridge"])
@pytest.mark.parametrize("name", ["features", "wide_features"])
def test_blocks_memory_maps_and_tensors_change_nothing(metric, name, tmp_path):
    expected = golden("neural")
    features, responses = expected[name], expected["responses"]
    whole = brain.neural_predictivity(features, responses, metric)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    small = brain.neural_predictivity(mapped, responses, metric, memory=320 * 24 * 7)  # blocks of 7 columns
    tensor = brain.neural_predictivity(torch.from_numpy(features), torch.from_numpy(responses), metric)
    assert np.abs(small.values - whole.values).max() < 1e-11
    assert np.array_equal(tensor.values, whole.values)


def test_single_precision_products_move_correlations_little():
    expected = golden("neural")
    exact, rough = (
        brain.neural_predictivity(expected["wide_features"], expected["responses"], precision=precision)
        for precision in ("float64", "float32")
    )
    difference = np.abs(exact.values - rough.values).max()
    assert 0 < difference < 1e-4


def oracle(X, Y, metric, splits, components=25):
    """The same by scikit-learn's own estimators: r per split and neuroid."""
    rows = []
    for train, test in splits:
        if metric == "pls":
            model = PLSRegression(n_components=min(components, X.shape[1], len(train)), scale=False)
        else:
            model = {"ridge": Ridge(alpha=1.0), "linear": LinearRegression()}[metric]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of iterations at their end
            predicted = model.fit(X[train], Y[train]).predict(X[test]).reshape(len(test), -1)
        rows.append([np.corrcoef(predicted[:, k], Y[test][:, k])[0, 1] for k in range(Y.shape[1])])
    return np.array(rows)


@settings(max_examples=25, deadline=None)
@example(seed=0, stimuli=87, features=86, neuroids=1, metric="linear")  # more than training stimuli
@example(seed=0, stimuli=60, features=54, neuroids=2, metric="linear")  # as many as training stimuli
@given(
    seed=st.integers(0, 10**6),
    stimuli=st.integers(40, 90),
    features=st.integers(1, 150),
    neuroids=st.integers(1, 6),
    metric=st.sampled_from(["pls", "ridge", "linear"]),
)
def test_scikit_learn_agrees_on_any_shape(seed, stimuli, features, neuroids, metric):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((stimuli, features)) * rng.uniform(0.1, 5, features) + rng.normal(0, 3, features)
    Y = X @ rng.standard_normal((features, neuroids)) + 3 * rng.standard_normal((stimuli, neuroids))
    splits = make_splits(stimuli, splits=3)
    score = brain.neural_predictivity(X, Y, metric, splits=3)
    assert np.abs(score.values - oracle(X, Y, metric, splits)).max() < 1e-7


@pytest.mark.parametrize("metric", ["pls", "ridge"])
@pytest.mark.parametrize("features", [30, 200])
def test_duplicated_stimuli_give_what_their_distinct_ones_allow(metric, features):
    """18 distinct stimuli, five times each: PLS must stop when nothing is left, and not fit rounding."""
    rng = np.random.default_rng(0)
    X = np.tile(rng.standard_normal((18, features)), (5, 1))
    Y = np.tile(30 + rng.standard_normal((18, 4)), (5, 1))
    score = brain.neural_predictivity(X, Y, metric, splits=3)
    assert np.abs(score.values - 1).max() < (
        1e-8 if metric == "pls" else 0.02
    )  # all test stimuli were trained on


def exact(X, Y, splits, fit):
    """r per split and neuroid of `fit`, which gives coefficients for centred training data."""
    rows = []
    for train, test in splits:
        X_mean, Y_mean = X[train].mean(axis=0), Y[train].mean(axis=0)
        predicted = (X[test] - X_mean) @ fit(X[train] - X_mean, Y[train] - Y_mean)
        rows.append([np.corrcoef(predicted[:, k], Y[test][:, k])[0, 1] for k in range(Y.shape[1])])
    return np.array(rows)


def nipals(X, Y, components=25):
    """PLS as published, with the reference's early stop, in NumPy's extended precision; the features are deflated."""
    X, Y = X.astype(np.longdouble), Y.astype(np.longdouble)
    W, P, Q = [], [], []
    for _ in range(components):
        w, old = X.T @ Y[:, 0], None
        for _ in range(500):
            w /= np.sqrt(w @ w)
            if old is not None and (w - old) @ (w - old) < 1e-6:
                break
            w, old = X.T @ (Y @ (Y.T @ (X @ w))), w
        t = X @ w
        p, q = X.T @ t / (t @ t), Y.T @ t / (t @ t)
        X, Y = X - np.outer(t, p), Y - np.outer(t, q)
        W, P, Q = [*W, w], [*P, p], [*Q, q]
    rotated = []
    for number, w in enumerate(W):  # W (P'W)^-1, whose factor is triangular with ones on its diagonal
        rotated.append(w - sum((r * (p @ w) for r, p in zip(rotated, P[:number], strict=True)), 0 * w))
    return (np.array(rotated).T @ np.array(Q)).astype(float)


def one_long_direction(X, kind, strength):
    """The features with a gain that all share, or with one feature far stronger than the others."""
    if kind == "gain":
        gain = np.random.default_rng(0).standard_normal((len(X), 1))
        return X + strength * X.std() * gain
    return np.column_stack([X[:, :1] * strength, X[:, 1:]])


@pytest.mark.slow  # repeats PLS at high precision
@pytest.mark.parametrize("kind", ["gain", "one feature"])
@pytest.mark.parametrize("strength", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("name", ["features", "wide_features"])
def test_one_long_direction_costs_pls_no_digits(name, strength, kind):
    """A Gram matrix alone would square the condition number: at a gain of 1e5 it gave .46 where .85 is right."""
    expected = golden("neural")
    X = one_long_direction(expected[name][::2].astype(float), kind, strength)
    Y = expected["responses"][::2, :5].astype(float)
    splits = make_splits(len(X), splits=1)
    score = brain.neural_predictivity(X, Y, splits=splits)
    assert np.abs(score.values - exact(X, Y, splits, nipals)).max() < 1e-8


@pytest.mark.parametrize("alpha", [1.0, 0.0])
@pytest.mark.parametrize("strength", [1e-9, 1e3, 1e6])
@pytest.mark.parametrize("name", ["features", "wide_features"])
def test_one_long_direction_costs_ridge_and_least_squares_no_digits(name, strength, alpha):
    def by_singular_values(X, Y):
        U, s, V = np.linalg.svd(X, full_matrices=False)
        keep = s > s[0] * len(X) * 1e-15
        return (V[keep].T * (s[keep] / (s[keep] ** 2 + alpha))) @ (U[:, keep].T @ Y)

    expected = golden("neural")
    X = one_long_direction(expected[name][::2].astype(float), "gain", strength)
    Y = expected["responses"][::2]
    splits = make_splits(len(X), splits=2)
    right = exact(X, Y, splits, by_singular_values)
    assert (
        np.abs(brain.neural_predictivity(X, Y, "ridge", splits=splits, alpha=alpha).values - right).max()
        < 1e-7
    )
    if alpha == 0:
        assert np.abs(brain.neural_predictivity(X, Y, "linear", splits=splits).values - right).max() < 1e-7


@pytest.mark.parametrize("width", [60, 700])
def test_pls_stops_where_features_of_low_rank_have_no_more_to_give(width):
    """The reference goes on with rounding noise, and its score falls to nothing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((320, 10)) @ rng.standard_normal((10, width))
    Y = X @ rng.standard_normal((width, 6)) / width + rng.standard_normal((320, 6))
    stopped, ten = brain.neural_predictivity(X, Y), brain.neural_predictivity(X, Y, components=10)
    assert np.abs(stopped.values - ten.values).max() < 1e-8
    assert np.abs(ten.values - oracle(X, Y, "pls", make_splits(320), 10)).max() < 1e-8


@pytest.mark.parametrize("name", ["features", "wide_features"])
def test_threads_change_nothing(name):
    expected = golden("neural")
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(brain.neural_predictivity(expected[name], expected["responses"]).values)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.abs(found[0] - found[1]).max() < 1e-13  # the products of all stimuli are made with all threads


def test_a_single_stratum_and_a_single_neuroid():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    Y = X[:, :1] + 0.5 * rng.standard_normal((60, 1))
    score = brain.neural_predictivity(X, Y[:, 0], stratify=["all"] * 60)
    splits = make_splits(60, stratify=["all"] * 60)
    assert score.values.shape == (10, 1)
    assert np.abs(score.values - oracle(X, Y, "pls", splits)).max() < 1e-9


def test_responses_that_are_the_features_are_predicted_perfectly():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 10))
    assert brain.neural_predictivity(X, X).raw == pytest.approx(1)
    assert brain.neural_predictivity(X, X, "neuron_to_neuron").raw == pytest.approx(1)
    assert (
        brain.neural_predictivity(X, -X[:, :1], "neuron_to_neuron").raw < 0.5
    )  # the largest signed r is taken


@pytest.mark.parametrize("metric", ["pls", "ridge", "linear", "neuron_to_neuron"])
def test_shuffled_responses_score_nothing(metric):
    expected = golden("neural")
    order = np.random.default_rng(0).permutation(320)
    score = brain.neural_predictivity(expected["features"], expected["responses"][order], metric)
    assert abs(score.raw) < 0.1


@pytest.mark.parametrize("metric", ["pls", "ridge", "linear", "neuron_to_neuron"])
@pytest.mark.parametrize("name", ["features", "wide_features"])
def test_missing_responses_are_left_out_for_their_neuroid_only(metric, name):
    """Each pattern of missing stimuli is fitted as if its neuroids and stimuli were all there is."""
    expected = golden("neural")
    X, Y = expected[name], expected["responses"][:, :6].astype(float)
    Y[5:40, 2:4] = np.nan
    Y[300:, 5] = np.nan
    splits = make_splits(320, splits=4)
    score = brain.neural_predictivity(X, Y, metric, splits=splits)
    for columns in ([0, 1, 4], [2, 3], [5]):
        rows = np.flatnonzero(np.isfinite(Y[:, columns[0]]))
        place = {row: k for k, row in enumerate(rows)}
        inner = [[[place[i] for i in side if i in place] for side in split] for split in splits]
        alone = brain.neural_predictivity(X[rows], Y[np.ix_(rows, columns)], metric, splits=inner)
        assert np.abs(score.values[:, columns] - alone.values).max() < 1e-9


@pytest.mark.parametrize("metric", ["pls", "ridge", "linear", "neuron_to_neuron"])
def test_neuroids_without_variance_or_responses_are_counted_and_change_nothing(metric):
    expected = golden("neural")
    X, Y = expected["features"], expected["responses"][:, :5].astype(float)
    good = brain.neural_predictivity(X, Y, metric)
    spoilt = np.column_stack([np.full(320, 7.0), Y, np.full(320, np.nan)])
    score = brain.neural_predictivity(X, spoilt, metric)
    assert np.isnan(score.values[:, [0, 6]]).all()
    assert np.abs(score.values[:, 1:6] - good.values).max() < 1e-12
    assert score.raw == pytest.approx(good.raw, abs=1e-12)
    assert "skipped 1 of 7 neuroids without responses" in score.notes[0]
    assert "skipped 1 of 7 neuroids with constant responses" in score.notes[1]


def test_neuroid_that_varies_in_the_test_set_only_is_left_out_of_that_split():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 5)), rng.standard_normal((40, 3))
    Y[:, 1] = 0
    Y[3, 1] = 1
    splits = [(np.arange(10, 40), np.arange(10)), (np.arange(30), np.arange(30, 40))]
    score = brain.neural_predictivity(X, Y, splits=splits)
    assert np.isnan(score.values[:, 1]).all()
    assert np.isfinite(score.values[:, [0, 2]]).all()
    assert "skipped 2 of 6 undefined correlations" in score.notes[0]


def test_features_that_never_vary_give_no_number():
    rng = np.random.default_rng(0)
    for metric in ("pls", "ridge", "linear", "neuron_to_neuron"):
        score = brain.neural_predictivity(np.full((40, 4), 3.3), rng.standard_normal((40, 3)), metric)
        assert math.isnan(score.raw)
        assert "skipped 30 of 30 undefined correlations" in score.notes[0]


def test_fewer_components_are_said():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 7)), rng.standard_normal((40, 3))
    assert "used 7 of 25 components: there are 7 features" in brain.neural_predictivity(X, Y).notes[0]
    assert not brain.neural_predictivity(X, Y, components=7).notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "lasso"}, "metric='lasso' is unknown; choose one of pls, ridge"),
        ({"features": np.zeros((39, 4))}, "features have 39 stimuli, but responses have 40"),
        ({"features": np.zeros((40, 4, 2))}, r"shape \(40, 4, 2\) must be \(stimulus, feature\)"),
        ({"features": np.array([["a"] * 4] * 40)}, "must be real numbers"),
        ({"responses": np.full((40, 2), np.inf)}, "the responses contain 80 infinite values"),
        ({"responses": np.array([["a"]] * 40)}, "responses must be numbers"),
        ({"responses": np.zeros((40, 2, 2))}, "responses of shape"),
        ({"precision": "float16"}, "precision='float16' is unknown"),
        ({"splits": 0}, "splits=0 must be at least 1"),
        ({"train_fraction": 1.5}, "train_fraction=1.5 must be between 0 and 1"),
        ({"stratify": [str(i) for i in range(40)]}, "40 stimuli of 40 strata leave 4 for testing"),
        ({"stratify": ["a"] * 39 + ["b"]}, "the stratum 'b' has a single stimulus"),
        ({"stratify": ["a"] * 39}, r"stratify has the shape \(39,\), but there are 40 stimuli"),
        ({"stratify": ["a"] * 40, "groups": ["a"] * 40}, "are mutually exclusive"),
        ({"groups": ["a"] * 40}, "1 groups are too few"),
        ({"splits": [([0, 1], [1, 2])]}, "1 stimuli are in both the training and the test set"),
        ({"splits": [([0, 1], [40])]}, "the test set has positions outside 0 to 39"),
        ({"splits": [([0, 1, 2], [39])]}, "the test set has 1 stimulus, but a correlation needs at least 2"),
        ({"splits": [([0.5, 1], [40])]}, "must be a list of positions"),
        ({"splits": []}, "splits is empty"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, words):
    rng = np.random.default_rng(0)
    given = {"features": rng.standard_normal((40, 4)), "responses": rng.standard_normal((40, 2)), **change}
    with pytest.raises(CornetError, match=words) as error:
        brain.neural_predictivity(**given)
    assert str(error.value).count(". ") == 0


@pytest.mark.parametrize("width", [4, 60])
@pytest.mark.parametrize("metric", ["pls", "neuron_to_neuron"])
def test_features_that_are_not_finite_are_counted(metric, width):
    X = np.random.default_rng(0).standard_normal((40, width))
    X[3, 2], X[5, 2] = np.nan, np.inf
    with pytest.raises(CornetError, match=r"2 features are NaN or infinite \(first in column 2\)"):
        brain.neural_predictivity(X, X[:, :1], metric)


def test_grouped_splits_leave_each_group_out_once():
    groups = np.repeat([f"movie{k}" for k in range(10)], 4)
    splits = make_splits(40, groups=groups)
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == 40
    assert sorted(groups[test[0]] for _, test in splits) == sorted(set(groups))
    many = np.arange(40) % 25
    tested = np.concatenate([np.unique(many[test]) for _, test in make_splits(40, groups=many)])
    assert np.ptp(np.bincount(tested)) <= 1
