"""Kernel ridge against scikit-learn on the explicit features, and its penalties against brute force."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from cornet.brain.metrics.mapping.gram import gram_matrix
from cornet.brain.neuron.kernel_ridge import EXPONENTS, TrainingSet

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 90)) * np.geomspace(1, 0.01, 90) + 5
Y = X[:, :3] @ RNG.standard_normal((3, 4)) + RNG.standard_normal((60, 4)) * [0.1, 1, 3, 10]
GRAM = torch.from_numpy(X @ X.T)
TRAIN, TEST = np.arange(10, 60), np.arange(10)
INNER = np.arange(50) % 5


def test_predictions_equal_ridge_on_the_features():
    own = TrainingSet(GRAM, TRAIN)
    for inner in (None, INNER):
        fit = own.fit(GRAM, TEST, Y[TRAIN], inner)
        assert len(set(fit.penalties)) > 1
        for k, penalty in enumerate(fit.penalties):
            expected = Ridge(alpha=penalty).fit(X[TRAIN], Y[TRAIN, k]).predict(X[TEST])
            np.testing.assert_allclose(fit.predictions[:, k] + Y[TRAIN, k].mean(), expected, atol=1e-8)


def test_effective_dimensions():
    own = TrainingSet(GRAM, TRAIN)
    fit = own.fit(GRAM, TEST, Y[TRAIN])
    centred = X[TRAIN] - X[TRAIN].mean(axis=0)
    for penalty, dimensions in zip(fit.penalties, fit.dimensions, strict=True):
        hat = centred @ np.linalg.solve(centred.T @ centred + penalty * np.eye(90), centred.T)
        assert dimensions == pytest.approx(np.trace(hat), abs=1e-6)


def test_generalised_cross_validation_equals_brute_force():
    own = TrainingSet(GRAM, TRAIN)
    centred = X[TRAIN] - X[TRAIN].mean(axis=0)
    n = len(TRAIN)
    grid = np.trace(centred @ centred.T) / n * 10**EXPONENTS
    expected = np.empty((len(grid), 4))
    for row, penalty in enumerate(grid):
        hat = centred @ np.linalg.solve(centred.T @ centred + penalty * np.eye(90), centred.T) + 1 / n
        left = Y[TRAIN] - hat @ Y[TRAIN]
        expected[row] = n * (left**2).sum(axis=0) / (n - np.trace(hat)) ** 2
    centred_responses = torch.from_numpy(Y[TRAIN] - Y[TRAIN].mean(axis=0))
    np.testing.assert_allclose(own.gcv(own.vectors.T @ centred_responses), expected, rtol=1e-6)
    best = grid[expected.argmin(axis=0)]
    np.testing.assert_allclose(own.fit(GRAM, TEST, Y[TRAIN]).penalties, best, rtol=1e-9)


def test_inner_folds_equal_fits_without_each():
    own = TrainingSet(GRAM, TRAIN)
    expected = np.zeros((len(EXPONENTS), 4))
    for row, penalty in enumerate(own.grid.numpy()):
        for fold in range(5):
            rest, part = TRAIN[fold != INNER], TRAIN[fold == INNER]
            found = Ridge(alpha=penalty).fit(X[rest], Y[rest]).predict(X[part])
            expected[row] += ((found - Y[part]) ** 2).sum(axis=0)
    centred = torch.from_numpy(Y[TRAIN] - Y[TRAIN].mean(axis=0))
    np.testing.assert_allclose(own.inner_errors(own.vectors.T @ centred, INNER), expected, rtol=1e-6)


def test_constant_columns_change_nothing():
    white = np.concatenate([X, np.full((60, 400), 255.0)], axis=1)
    one, other = (gram_matrix(features, torch.device("cpu")) for features in (X, white))
    one, other = (TrainingSet(gram, TRAIN).fit(gram, TEST, Y[TRAIN]) for gram in (one, other))
    np.testing.assert_allclose(one.predictions, other.predictions, rtol=0, atol=1e-9)


def test_constant_features_predict_nothing():
    gram = torch.full((60, 60), 7.0, dtype=torch.float64)
    fit = TrainingSet(gram, TRAIN).fit(gram, TEST, Y[TRAIN])
    assert np.isnan(fit.predictions).all()
    assert np.isnan(fit.penalties).all()
