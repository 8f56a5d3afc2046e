"""Ridge regression of responses on features, every stimulus predicted by a fit that did not see it.

In the space of stimuli, so that it costs the same for any number of features, with many populations of responses at
once. The penalty is fixed, or chosen in each training set by its own left-out predictions, which one decomposition
gives for all penalties: nothing is fitted again. Used by real_brains.py.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

Array = NDArray[np.float64]

PENALTIES = 10.0 ** np.arange(0, 6.5, 0.5)
FIXED = 3000.0


def kernel(features: Any, train: NDArray[np.intp] | None = None) -> Array:
    """X X' of features standardised over all stimuli, or by the mean and spread of some of them."""
    X = np.asarray(features[:, : features.shape[1]], float)
    known = X if train is None else X[train]
    Z = X - known.mean(0)
    spread = known.std(0)
    Z /= np.where(spread > 1e-9 * (np.abs(X).max() + 1e-300), spread, np.inf)
    return Z @ Z.T


def folds_of(stimuli: int, groups: NDArray[Any] | None, folds: int = 5, seed: int = 0) -> NDArray[np.intp]:
    """The fold of each stimulus: one a group, or of equal size at random."""
    if groups is not None:
        return np.unique(groups, return_inverse=True)[1]
    fold = np.zeros(stimuli, np.intp)
    for k, (_, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(fold)):
        fold[test] = k
    return fold


def left_out_ridge(
    K: Array, Y: Array, fold: NDArray[np.intp], grouped: bool, each: bool = False, standardised: Any = None
) -> dict[str, Any]:
    """Predictions of every stimulus by a ridge regression that was fitted on the other folds.

    K: (stimulus, stimulus), products of features. Y: (stimulus, population, neuroid); a population shares a penalty,
    with `each` every neuroid has its own. grouped: the training set's own folds are its groups; otherwise five of
    equal size. standardised: features that are standardised by every training set anew; None: K as it is.

    Returns fixed and chosen, predictions less the training mean, as Y; mean, of the training set, as Y; penalties
    (fold, population) or (fold, population, neuroid).
    """
    fixed, chosen, mean = np.empty_like(Y), np.empty_like(Y), np.empty_like(Y)
    penalties = []
    grid = np.append(PENALTIES, FIXED)
    for k in np.unique(fold):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if standardised is not None:
            K = kernel(standardised, train)
        inner = fold[train] if grouped else folds_of(len(train), None, seed=1)
        center = Y[train].mean(0)
        known = (Y[train] - center).reshape(len(train), -1)
        T = K[np.ix_(train, train)]
        C = T - T.mean(0)
        C -= C.mean(1, keepdims=True)
        values, vectors = np.linalg.eigh(C)
        turned = vectors.T @ known
        across = K[np.ix_(test, train)] - T.mean(1)
        across = (across - across.mean(1, keepdims=True)) @ vectors
        predicted = np.stack([across @ (turned / (values + a)[:, None]) for a in grid])
        predicted = predicted.reshape(len(grid), len(test), *Y.shape[1:])
        errors = np.stack([left_out_errors(values, vectors, turned, inner, a) for a in PENALTIES])
        errors = (errors / np.square(known).sum(0)).reshape(len(PENALTIES), *Y.shape[1:])
        best = errors.argmin(0) if each else np.repeat(errors.mean(2).argmin(0)[:, None], Y.shape[2], axis=1)
        mean[test], fixed[test] = center, predicted[-1]
        chosen[test] = np.take_along_axis(predicted, best[None, None], axis=0)[0]
        penalties.append(PENALTIES[best if each else best[:, 0]])
    return {"fixed": fixed, "chosen": chosen, "mean": mean, "penalties": np.array(penalties)}


def left_out_errors(
    values: Array, vectors: Array, turned: Array, inner: NDArray[np.intp], penalty: float
) -> Array:
    """Squared errors (neuroid,) of each inner fold's predictions by the others, without fitting again.

    With P the inverse of the centred kernel plus the penalty on what is orthogonal to the constant, and c = P Y, the
    residuals of a left-out block b are P[b, b]^-1 c[b], the intercept fitted anew too.
    """
    shrunk = 1 / (np.maximum(values, 0) + penalty)
    shrunk[np.abs(vectors.sum(0)) > 0.5 * math.sqrt(len(vectors))] = 0  # the constant
    weights = vectors @ (shrunk[:, None] * turned)
    total = np.zeros(weights.shape[1])
    for k in np.unique(inner):
        block = vectors[inner == k]
        total += np.square(np.linalg.solve((block * shrunk) @ block.T, weights[inner == k])).sum(0)
    return total


def pearson(a: Array, b: Array) -> Array:
    """Over the first axis."""
    a, b = a - a.mean(0), b - b.mean(0)
    lengths = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    return np.divide((a * b).sum(0), lengths, out=np.full(lengths.shape, np.nan), where=lengths > 0)


def correlations(found: dict[str, Any], Y: Array, fold: NDArray[np.intp]) -> dict[str, Array]:
    """r of every neuroid (population, neuroid): with fixed and chosen penalty, plain, centred and within folds."""
    mean = found["mean"]
    result = {}
    for word in ("fixed", "chosen"):
        result[word] = pearson(found[word] + mean, Y)
        result[f"{word} centred"] = pearson(found[word], Y - mean)
        per_fold = np.stack([pearson(found[word][fold == k], Y[fold == k]) for k in np.unique(fold)])
        there = np.isfinite(per_fold)
        total, number = np.where(there, per_fold, 0).sum(0), there.sum(0)
        result[f"{word} within"] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return result


def fixed_ridge(K: Array, Y: Array, fold: NDArray[np.intp], penalty: float) -> dict[str, Array]:
    """As `left_out_ridge`, for one penalty: solved, not turned to axes."""
    fixed, mean = np.empty_like(Y), np.empty_like(Y)
    for k in np.unique(fold):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        T = K[np.ix_(train, train)]
        C = T - T.mean(0)
        C -= C.mean(1, keepdims=True)
        across = K[np.ix_(test, train)] - T.mean(1)
        center = Y[train].mean(0)
        known = (Y[train] - center).reshape(len(train), -1)
        weights = np.linalg.solve(C + penalty * np.eye(len(C)), known)
        mean[test] = center
        fixed[test] = (across @ weights).reshape(len(test), *Y.shape[1:])
    return {"fixed": fixed, "mean": mean}
