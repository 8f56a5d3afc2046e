"""The pure parts of benchmarks/real_brains.py and its ridge regression, against scikit-learn and plain loops."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import Ridge

from tests.helpers.paths import BENCHMARKS


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("real_brains")


@pytest.fixture
def ridge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("left_out_ridge")


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 stimuli of 6 groups, 90 features, 2 populations of 3 neuroids of which the second is noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 90)) * rng.uniform(0.1, 10, 90) + 5
    weights = rng.standard_normal((90, 3))
    signal = (X - X.mean(0)) / X.std(0) @ weights
    noise = rng.standard_normal((60, 2, 3)) * 4
    noise[:, 0] += signal
    return X, noise + 3, np.repeat(np.arange(6), 10)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("each", [True, False])
def test_left_out_ridge_is_scikit_learns(ridge, data, grouped, each):
    X, Y, group = data
    fold = ridge.folds_of(60, group if grouped else None)
    found = ridge.left_out_ridge(ridge.kernel(X), Y, fold, grouped, each)
    Z = (X - X.mean(0)) / X.std(0)
    flat = Y.reshape(60, 6)
    for number, k in enumerate(np.unique(fold)):
        train, test = fold != k, fold == k
        inner = fold[train] if grouped else ridge.folds_of(int(train.sum()), None, seed=1)
        errors = np.zeros((len(ridge.PENALTIES), 6))
        for row, penalty in enumerate(ridge.PENALTIES):
            for j in np.unique(inner):
                model = Ridge(alpha=penalty).fit(Z[train][inner != j], flat[train][inner != j])
                errors[row] += np.square(model.predict(Z[train][inner == j]) - flat[train][inner == j]).sum(0)
        errors /= np.square(flat[train] - flat[train].mean(0)).sum(0)
        best = errors.argmin(0) if each else np.repeat(errors.reshape(-1, 2, 3).mean(2).argmin(0), 3)
        penalties = ridge.PENALTIES[best].reshape(2, 3)
        np.testing.assert_allclose(found["penalties"][number], penalties if each else penalties[:, 0])
        np.testing.assert_allclose(found["mean"][test], np.broadcast_to(Y[train].mean(0), Y[test].shape))
        for word, wanted in (("fixed", np.full(6, ridge.FIXED)), ("chosen", penalties.ravel())):
            predicted = np.stack(
                [Ridge(alpha=a).fit(Z[train], flat[train, j]).predict(Z[test]) for j, a in enumerate(wanted)]
            ).T
            ours = (found[word] + found["mean"])[test].reshape(-1, 6)
            np.testing.assert_allclose(ours, predicted, rtol=1e-6, atol=1e-6)
    one = ridge.fixed_ridge(ridge.kernel(X), Y, fold, ridge.FIXED)
    np.testing.assert_allclose(one["fixed"], found["fixed"], rtol=1e-7, atol=1e-9)


def test_features_standardised_by_each_training_set(ridge, data):
    X, Y, fold = data
    found = ridge.left_out_ridge(ridge.kernel(X), Y, fold, True, standardised=X)
    train, test = fold != 2, fold == 2
    Z = (X - X[train].mean(0)) / X[train].std(0)
    predicted = Ridge(alpha=ridge.FIXED).fit(Z[train], Y[train, 0]).predict(Z[test])
    np.testing.assert_allclose((found["fixed"] + found["mean"])[test, 0], predicted, rtol=1e-6)


def test_only_r_within_folds_is_unbiased_where_nothing_is_predicted(ridge):
    rng = np.random.default_rng(1)
    K = ridge.kernel(rng.standard_normal((120, 40)))
    Y = rng.standard_normal((120, 40, 5))
    fold = np.repeat(np.arange(10), 12)
    r = ridge.correlations(ridge.left_out_ridge(K, Y, fold, True), Y, fold)
    error = r["chosen within"].mean(1).std(ddof=1) / np.sqrt(40)
    assert abs(r["chosen within"].mean()) < 4 * error
    assert r["chosen"].mean() < -0.1


def test_constant_features_count_for_nothing(ridge, data):
    X, _, _ = data
    with_constants = np.concatenate([X, np.zeros((60, 2)), np.full((60, 1), 7.0)], axis=1)
    np.testing.assert_allclose(ridge.kernel(with_constants), ridge.kernel(X), atol=1e-9)


def test_rdms(program):
    rng = np.random.default_rng(0)
    a, b = (np.corrcoef(rng.standard_normal((12, 30))) for _ in range(2))
    upper = np.triu_indices(12, 1)
    whole = program.resampled_rdms(a, b, [np.arange(12)])
    assert whole[0] == pytest.approx(spearmanr(a[upper], b[upper]).statistic)
    orders = [rng.permutation(12) for _ in range(50)]
    values = [spearmanr(a[upper], b[np.ix_(order, order)][upper]).statistic for order in orders]
    expected = (1 + sum(value >= whole[0] for value in values)) / 51
    assert program.permutation_p(a, b, orders) == pytest.approx(expected)
    assert program.permutation_p(a, a, orders) == pytest.approx(1 / 51)


def test_small_ones(program):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20, 3))
    np.testing.assert_allclose(
        program.pearson(a, b), [pearsonr(a[:, j], b[:, j]).statistic for j in range(3)]
    )
    assert np.isnan(program.pearson(np.zeros((4, 1)), b[:4, :1])).all()
    difference, low, high = program.paired_interval(b[:, 0] + 2, b[:, 0], rng)
    assert difference == low == high == pytest.approx(2)
    assert program.label("runs/tiny_z/default/seed0?untrained") == "tiny_z untrained"
    assert program.label("gabor") == "gabor"
    assert program.rounded([1.23456, np.nan]) == [1.2346, None]
