"""Predict held-out responses from a layer: kernel ridge, PLS, ridge with a fixed penalty, or LASSO.

All see the layer through its Gram matrix (or, if they are few, its features) and are fitted in each outer fold on the
training images alone.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LassoCV

from cornet.brain.metrics.correlation import missing_patterns
from cornet.brain.metrics.predictivity import neural_predictivity
from cornet.brain.neuron.kernel_ridge import TrainingSet
from cornet.brain.neuron.layers import Layer
from cornet.brain.threads import run_in_threads
from cornet.errors import check_choice

__all__ = ["METHODS", "PENALTIES", "Prediction", "predict"]

METHODS = {
    "kernel_ridge": "kernel ridge with a linear kernel (ridge on all principal components)",
    "pls": "partial least squares with 25 components",
    "ridge": "ridge with the fixed penalty 1",
    "lasso": "LASSO, its penalty chosen by inner five-fold cross-validation",
}

PENALTIES = {"folds": "ten inner folds", "gcv": "generalised cross-validation"}
"""How kernel ridge chooses its penalty. GCV takes half the time, but chooses too small a penalty where images resemble
each other: on 1,200 images in V4, Gabor features explained .32 with it and .43 with inner folds."""

INNER = 10
"""Inner folds of kernel ridge; those of LASSO are five."""

LASSO_COMPONENTS = 200
"""Principal components of the training images that LASSO sees, of a layer with many features."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Held-out predictions of all neuroids from a layer.

    values: (image, neuroid), minus the mean response to the training images of the fold; NaN where the response is
    missing. penalties: (neuroid,), geometric mean over folds. dimensions: (neuroid,), effective number of dimensions
    (of PLS, components; of LASSO, coefficients that are not 0), mean over folds. NaN if the method has none.
    """

    values: NDArray[np.float64]
    penalties: NDArray[np.float64]
    dimensions: NDArray[np.float64]


def predict(
    layer: Layer,
    responses: NDArray[np.float64],
    folds: NDArray[np.int64],
    method: str = "kernel_ridge",
    penalty: str = "folds",
    groups: NDArray[Any] | None = None,
) -> Prediction:
    """Predict each image from a fit to the other folds.

    responses: (image, neuroid), NaN where missing. folds: (image,), number of the fold. method: one of `METHODS`.
    penalty: how kernel ridge chooses it, one of `PENALTIES`. groups: (image,), stimuli that stay in one inner fold.

    Raises CornetError for unknown methods and penalties.
    """
    check_choice("method", method, METHODS)
    check_choice("penalty", penalty, PENALTIES)
    count = int(folds.max()) + 1
    values = np.full(responses.shape, math.nan)
    penalties = np.full((count, responses.shape[1]), math.nan)
    dimensions = penalties.copy()
    if method in ("pls", "ridge"):
        values = by_metric(layer, responses, folds, method)
        return Prediction(values, *np.full((2, responses.shape[1]), math.nan))
    gram = torch.from_numpy(layer.gram)
    inner = inner_folds(folds, groups) if method == "kernel_ridge" and penalty == "folds" else None
    for present, members in missing_patterns(responses):

        def fit(number: int, present: NDArray[np.bool_], members: NDArray[np.int64]) -> None:
            train = np.flatnonzero(present & (folds != number))
            test = np.flatnonzero(present & (folds == number))
            if len(train) < 2 or not len(test):
                return
            known = responses[np.ix_(train, members)]
            if method == "lasso":
                found = lasso(layer, train, test, known)
            else:
                found = TrainingSet(gram, train).fit(
                    gram, test, known, None if inner is None else inner[train]
                )
            values[np.ix_(test, members)], penalties[number, members], dimensions[number, members] = found

        task: Callable[[int], None] = partial(fit, present=present, members=members)
        run_in_threads(task, range(count), torch.device("cpu"), 8 * 4 * len(folds) ** 2)
    with np.errstate(divide="ignore"):
        mean_penalty = np.exp(means(np.log(penalties)))
    return Prediction(values, mean_penalty, means(dimensions))


def means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over folds of those that are not NaN, (neuroid,)."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(len(total), math.nan), where=known.any(axis=0))


def inner_folds(folds: NDArray[np.int64], groups: NDArray[Any] | None) -> NDArray[np.int64]:
    """Inner folds, (image,), the same for all outer folds: the images (or groups) are dealt out again."""
    rng = np.random.default_rng(len(folds))
    _, members = np.unique(
        np.arange(len(folds)) if groups is None else np.asarray(groups), return_inverse=True
    )
    units = int(members.max()) + 1
    number = np.empty(units, np.int64)
    number[rng.permutation(units)] = np.arange(units) % INNER
    return number[members]


def by_metric(
    layer: Layer, responses: NDArray[np.float64], folds: NDArray[np.int64], method: str
) -> NDArray[np.float64]:
    """Held-out predictions of a mapping of `neural_predictivity`, (image, neuroid)."""
    pairs = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(int(folds.max()) + 1)]
    features = layer.features if layer.features is not None else principal_components(layer.gram)
    values = np.full(responses.shape, math.nan)
    if features.shape[1]:
        options: Any = {"metric": method, "splits": pairs}
        details = neural_predictivity(features, responses, **options).details
        for (_, test), predicted in zip(pairs, details["predictions"], strict=True):
            values[test] = predicted
    return values


def principal_components(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores on all components, (image, component): features with the same inner products."""
    found, vectors = np.linalg.eigh(gram)
    keep = found > 1e-12 * max(found[-1], 0.0)
    return vectors[:, keep] * np.sqrt(found[keep])


def lasso(
    layer: Layer, train: NDArray[np.int64], test: NDArray[np.int64], responses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit LASSO to each neuroid: predictions (test image, neuroid) minus the training mean, penalties, coefficients.

    The features are standardised on the training images. Without features, their principal components are used, scaled
    by one factor, so that leading components cost least.
    """
    if layer.features is not None:
        known, shown = layer.features[train], layer.features[test]
        mean, scale = known.mean(axis=0), known.std(axis=0)
        varies = scale > 1e-9 * np.abs(known).max(axis=0, initial=1e-300)
        known, shown = ((side[:, varies] - mean[varies]) / scale[varies] for side in (known, shown))
    else:
        gram = torch.from_numpy(layer.gram)
        own = TrainingSet(gram, train)
        values, vectors = own.values.numpy()[::-1], own.vectors.numpy()[:, ::-1]
        keep = np.flatnonzero(values > 1e-10 * max(values[0], 1e-300))[:LASSO_COMPONENTS]
        scale = math.sqrt(values[0] / len(train)) if len(keep) else 1.0
        known = vectors[:, keep] * np.sqrt(values[keep]) / scale
        shown = own.across(gram, test).numpy() @ (vectors[:, keep] / np.sqrt(values[keep])) / scale
    neuroids = responses.shape[1]
    predicted = np.full((len(test), neuroids), math.nan)
    penalties, used = np.full((2, neuroids), math.nan)
    if not known.shape[1]:
        return predicted, penalties, used
    for number, answers in enumerate(responses.T):
        if (answers == answers[0]).all():
            continue
        model = LassoCV(alphas=30, cv=5, max_iter=5000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(known, answers)
        predicted[:, number] = model.predict(shown) - answers.mean()
        penalties[number], used[number] = model.alpha_, np.count_nonzero(model.coef_)
    return predicted, penalties, used
