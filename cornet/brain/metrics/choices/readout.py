"""Fit a linear read-out of object names from a network's features.

Multinomial logistic regression with C = 1e-3 on standardised features (brainscore-vision 2.4.2, after Rajalingham et
al. 2018, J. Neurosci. 38, 7255). The optimum is unique, so this solver gives the reference's probabilities. On the
principal axes of the fitting images the Hessian is nearly diagonal, so Newton's method with conjugate gradients needs
few products.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor

from cornet.brain.metrics.mapping.gram import MEMORY, as_matrix, column_blocks, self_product
from cornet.errors import CornetError

__all__ = ["held_out_probabilities", "readout_path", "readout_probabilities"]

TOLERANCE = 1e-10
"""Maximum gradient entry at convergence (divided by its curvature if that is below 1); the reference stops at 1e-4."""


PATH_TOLERANCE = 1e-6
"""The same for `readout_path`: the objective is then within 1e-8 of the optimum in practice."""


def readout_probabilities(
    fit_features: Any,
    fit_labels: ArrayLike,
    test_features: Any,
    C: float = 1e-3,
    device: str | torch.device = "cpu",
    memory: int = MEMORY,
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Fit a read-out and predict each test image's object probabilities.

    fit_features, test_features: (image, feature); arrays, memory maps or tensors, read in blocks of columns. They may
        be the same.
    fit_labels: (image,), the object in each image.
    C: weight of the cross-entropy, summed over images, relative to half the squared weights; intercepts are free.
    memory: bytes for a block of features.

    Each object has a weight vector, even if there are only two (scikit-learn then uses one vector, which is equivalent
    to this at C / 2). A feature that is constant over the fitting images is centred but not scaled.

    Returns probabilities (image, choice) float64, and the sorted choices (the columns).
    Raises CornetError for features that are not finite or do not match, and for fewer than two objects.
    """
    fitted, tested, codes, choices = _prepared(fit_features, fit_labels, test_features, [C], device, memory)
    weights = _fit(fitted, codes, len(choices), C)
    return torch.softmax(tested @ weights[:-1] + weights[-1], dim=1).cpu().numpy(), choices


def readout_path(
    fit_features: Any,
    fit_labels: ArrayLike,
    test_features: Any,
    strengths: Sequence[float],
    device: str | torch.device = "cpu",
    memory: int = MEMORY,
) -> Iterator[tuple[float, NDArray[Any]]]:
    """Yield C and the test images' object probabilities, (image, choice), for each C of `strengths` in ascending order.

    The columns are the sorted objects. The features are standardised and rotated once, and each fit starts from the one
    before. Arguments and errors as in `readout_probabilities`.
    """
    fitted, tested, codes, choices = _prepared(
        fit_features, fit_labels, test_features, strengths, device, memory
    )
    weights = None
    for C in sorted(strengths):
        weights = _fit(fitted, codes, len(choices), C, weights, PATH_TOLERANCE)
        yield C, torch.softmax(tested @ weights[:-1] + weights[-1], dim=1).cpu().numpy()


def _prepared(
    fit_features: Any,
    fit_labels: ArrayLike,
    test_features: Any,
    strengths: Sequence[float],
    device: str | torch.device,
    memory: int,
) -> tuple[Tensor, Tensor, Tensor, NDArray[Any]]:
    """Check the arguments; return both sets on the principal axes, the code of each fitting image, and the choices."""
    fit, test = as_matrix(fit_features, "fit_features"), as_matrix(test_features, "test_features")
    labels = np.asarray(fit_labels)
    if labels.shape != (fit.shape[0],):
        raise CornetError(
            f"fit_labels of shape {labels.shape} do not match {fit.shape[0]} fitting images; provide one per image."
        )
    if fit.shape[1] != test.shape[1]:
        raise CornetError(
            f"fit_features has {fit.shape[1]} features, but test_features has {test.shape[1]}; record both from the "
            "same layer."
        )
    for C in strengths:
        if not C > 0:
            raise CornetError(f"C={C} must be above 0; the published read-out uses 1e-3.")
    choices, codes = np.unique(labels, return_inverse=True)
    if len(choices) < 2:
        raise CornetError(
            f"fit_labels contains {len(choices)} object, but a read-out needs at least 2; add images of others."
        )
    fitted, tested = _principal_axes(fit, None if test_features is fit_features else test, device, memory)
    return fitted, tested, torch.as_tensor(codes, device=fitted.device), choices


def held_out_probabilities(
    features: Any,
    labels: ArrayLike,
    folds: int | ArrayLike = 10,
    seed: int = 0,
    groups: ArrayLike | None = None,
    C: float = 1e-3,
    device: str | torch.device = "cpu",
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Predict each image's object probabilities by a read-out fitted on the other folds (cross-validation).

    The public benchmark instead fits and tests on the same images.

    features: (image, feature). labels: (image,), the object in each image.
    folds: number of folds, stratified by object (scikit-learn's StratifiedKFold with `seed`), or (image,), the fold of
        each image.
    groups: (image,); images of one group stay in one fold (StratifiedGroupKFold).

    Returns probabilities (image, choice) and the choices. Raises CornetError if a fold contains all images of an
    object.
    """
    matrix, names = as_matrix(features), np.asarray(labels)
    if names.shape != (matrix.shape[0],):
        raise CornetError(
            f"labels of shape {names.shape} do not match {matrix.shape[0]} images; provide one per image."
        )
    fold = _assign_folds(names, folds, seed, groups)
    choices = np.unique(names)
    probabilities = np.empty((len(names), len(choices)))
    for k in np.unique(fold):
        inside, outside = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        missing = np.setdiff1d(choices, names[outside])
        if len(missing):
            raise CornetError(
                f"all images of {str(missing[0])!r} are in one fold, so its read-out would not be fitted on this "
                "object; choose other folds or groups."
            )
        rows = torch.as_tensor if isinstance(matrix, Tensor) else np.asarray
        probabilities[inside], _ = readout_probabilities(
            matrix[rows(outside)], names[outside], matrix[rows(inside)], C, device
        )
    return probabilities, choices


def _assign_folds(labels: NDArray[Any], folds: Any, seed: int, groups: ArrayLike | None) -> NDArray[Any]:
    """Return the fold of each image."""
    if np.ndim(folds) > 0:
        fold = np.asarray(folds)
        if fold.shape != labels.shape or len(np.unique(fold)) < 2:
            raise CornetError(
                f"folds of shape {fold.shape} must assign each of {len(labels)} images to one of at least 2 folds."
            )
        return fold
    names, counts = np.unique(labels, return_counts=True)
    if not 2 <= folds <= counts.min():
        raise CornetError(
            f"folds={folds} must be between 2 and the number of images of the rarest object "
            f"({names[counts.argmin()]!s} has {counts.min()}); choose a number in this range."
        )
    if groups is None:
        parts = StratifiedKFold(int(folds), shuffle=True, random_state=seed).split(labels, labels)
    else:
        grouped = np.asarray(groups)
        if grouped.shape != labels.shape or len(np.unique(grouped)) < folds:
            raise CornetError(
                f"groups of shape {grouped.shape} must assign each of {len(labels)} images to one of at least "
                f"folds={folds} groups."
            )
        splitter = StratifiedGroupKFold(int(folds), shuffle=True, random_state=seed)
        parts = splitter.split(labels, labels, grouped)
    fold = np.zeros(len(labels), int)
    for k, (_, inside) in enumerate(parts):
        fold[inside] = k
    return fold


def _principal_axes(fit: Any, test: Any, device: str | torch.device, memory: int) -> tuple[Tensor, Tensor]:
    """Standardise both sets and rotate them to the principal axes of the fitting images. test=None: same as fit."""
    images, width = fit.shape
    if width <= images:
        blocks = list(_standardised(fit, test, device, memory))
        x = torch.cat([block for block, _ in blocks], dim=1)
        y = x if test is None else torch.cat([block for _, block in blocks if block is not None], dim=1)
        _, axes = torch.linalg.eigh(x.T @ x)
        fitted = x @ axes
        return fitted, fitted if test is None else y @ axes
    gram = torch.zeros(images, images, dtype=torch.float64, device=device)
    cross = None if test is None else torch.zeros(test.shape[0], images, dtype=torch.float64, device=device)
    for block, other in _standardised(fit, test, device, memory):
        gram += self_product(block)
        if cross is not None and other is not None:
            cross += other @ block.T
    values, vectors = torch.linalg.eigh(gram)
    real = values > images * torch.finfo(torch.float64).eps * values[-1].clamp(min=1e-300)
    lengths, vectors = values[real].sqrt(), vectors[:, real]
    fitted = vectors * lengths
    return fitted, fitted if cross is None else cross @ (vectors / lengths)


def _standardised(
    fit: Any, test: Any, device: str | torch.device, memory: int
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield blocks of columns of both sets, standardised by the fitting images' mean and standard deviation (ddof 0).

    A column whose variance is 0 up to rounding, by scikit-learn's rule, is not scaled.
    """
    epsilon = torch.finfo(torch.float64).eps
    share = memory // 2 * fit.shape[0] // (fit.shape[0] + (0 if test is None else test.shape[0]))
    step = max(1, share // (8 * fit.shape[0]))
    fits = column_blocks(fit, device, "fit_features", memory=step * 8 * fit.shape[0])
    tests = (
        (None for _ in range(0, fit.shape[1], step))
        if test is None
        else column_blocks(test, device, "test_features", memory=step * 8 * test.shape[0])
    )
    for x, y in zip(fits, tests, strict=True):
        mean = x.mean(dim=0)
        x = x - mean
        variance = x.square().mean(dim=0)
        rounding = len(x) * epsilon * variance + (len(x) * mean * epsilon).square()
        scale = torch.where(variance <= rounding, 1.0, variance.sqrt())
        yield x / scale, None if y is None else (y - mean) / scale


def _fit(
    x: Tensor,
    codes: Tensor,
    classes: int,
    C: float,
    start: Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """Fit weights and, in the last row, intercepts, (axis + 1, choice), until no gradient entry exceeds `tolerance`.

    start: weights to begin with; None: zeros. Newton's method with conjugate gradients, preconditioned by the Hessian's
    diagonal at equal probabilities.
    """
    images = len(x)
    x = torch.cat([x, torch.ones(images, 1, dtype=x.dtype, device=x.device)], dim=1)
    target = torch.nn.functional.one_hot(codes, classes).to(x.dtype)
    penalty = torch.ones(x.shape[1], 1, dtype=x.dtype, device=x.device)
    penalty[-1] = 0.0
    diagonal = (penalty + C / classes * x.square().sum(dim=0)[:, None]).clamp(min=1e-300)
    weights = torch.zeros(x.shape[1], classes, dtype=x.dtype, device=x.device) if start is None else start

    def objective(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logs = torch.log_softmax(x @ w, dim=1)
        p = logs.exp()
        value = -C * (logs * target).sum() + 0.5 * (penalty * w.square()).sum()
        return value, p, C * (x.T @ (p - target)) + penalty * w

    def gradient_size(g: Tensor) -> float:
        return float((g / diagonal.clamp(max=1.0)).abs().max())

    value, p, gradient = objective(weights)
    for _ in range(100):
        size = gradient_size(gradient)
        if size <= tolerance:
            break
        direction = _newton_direction(x, p, gradient, penalty, diagonal, C)
        slope = float((direction * gradient).sum())
        length = 1.0
        while True:
            moved = objective(weights + length * direction)
            # Near the optimum, rounding of the objective hides its decrease, so check the gradient as well.
            lower = float(moved[0] - value) <= 1e-4 * length * slope
            if lower or gradient_size(moved[2]) <= 0.5 * size or length < 1e-6:
                break
            length /= 2
        if length < 1e-6:  # converged up to rounding
            break
        weights = weights + length * direction
        value, p, gradient = moved
    if not gradient_size(gradient) <= max(tolerance, 1e-7 * max(1.0, C * images)):
        raise CornetError(
            f"the read-out did not converge with C={C:g} (its gradient is {gradient_size(gradient):.1g}); choose a "
            "smaller C, or check the ranges of the features."
        )
    return weights


def _newton_direction(
    x: Tensor, p: Tensor, gradient: Tensor, penalty: Tensor, diagonal: Tensor, C: float
) -> Tensor:
    """Compute -H^-1 gradient by preconditioned conjugate gradients, more accurately near the optimum."""
    direction = torch.zeros_like(gradient)
    residual = -gradient
    scaled = residual / diagonal
    step = scaled.clone()
    product = (residual * scaled).sum()
    start = float(product)
    goal = start * min(0.01, start)  # squared length: the error shrinks faster than the gradient
    for _ in range(500):
        u = x @ step
        u = p * (u - (p * u).sum(dim=1, keepdim=True))
        curved = C * (x.T @ u) + penalty * step
        length = product / (step * curved).sum()
        direction += length * step
        residual = residual - length * curved
        scaled = residual / diagonal
        before, product = product, (residual * scaled).sum()
        if float(product) <= goal:
            break
        step = scaled + product / before * step
    return direction
