"""Kernel ridge regression with a linear kernel: ridge on all principal components, from a Gram matrix.

The eigendecomposition of the training images' Gram matrix is shared by all neuroids and all penalties. The intercept is
not penalised. The penalty is chosen on the training images alone: by generalised cross-validation (Golub, Heath & Wahba
1979, Technometrics 21), or by inner folds, whose held-out residuals have a closed form.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["EXPONENTS", "Fit", "TrainingSet"]

EXPONENTS = np.linspace(-6, 4, 21)
"""Candidate penalties, as powers of ten times trace(K) / n of the training images."""

MIN_VARIANCE = 1e-14
"""Minimum variance of the features relative to their mean square. Below it they are constant up to rounding."""


class Fit(NamedTuple):
    """A fit of all neuroids.

    predictions: (test image, neuroid), minus the mean response to the training images. NaN if the features are
    constant. penalties: (neuroid,). dimensions: (neuroid,), effective number of dimensions, sum w / (w + penalty) over
    the eigenvalues w, without the intercept.
    """

    predictions: NDArray[np.float64]
    penalties: NDArray[np.float64]
    dimensions: NDArray[np.float64]


class TrainingSet:
    """Training images: their centred Gram matrix and its eigendecomposition.

    gram: (image, image) float64, X X' of all images, centred or not. rows: positions of the training images.
    """

    def __init__(self, gram: Tensor, rows: NDArray[np.int64]) -> None:
        self.rows = torch.from_numpy(rows)
        own = gram[self.rows][:, self.rows]
        self.means = own.mean(dim=0)
        centred = own - self.means - self.means[:, None] + self.means.mean()
        trace = float(centred.trace())
        self.constant = not trace > MIN_VARIANCE * float(own.diagonal().sum())
        self.grid = trace / len(rows) * torch.from_numpy(10.0**EXPONENTS)
        # A reflection moves the constant vector to the first axis, which is left out: its eigenvalue, 0 up to rounding,
        # could be as large as the smallest penalties. The others are n - 1 eigenvectors with a mean of 0.
        axis = torch.full((len(rows),), -1 / math.sqrt(len(rows)), dtype=torch.float64)
        axis[0] += 1
        axis /= axis.norm()
        values, vectors = torch.linalg.eigh(reflect(reflect(centred, axis).T, axis)[1:, 1:])
        self.values = values.clamp(min=0)
        self.vectors = reflect(torch.cat([torch.zeros(1, len(rows) - 1, dtype=torch.float64), vectors]), axis)

    def fit(
        self,
        gram: Tensor,
        test: NDArray[np.int64],
        responses: NDArray[np.float64],
        inner: NDArray[np.int64] | None = None,
    ) -> Fit:
        """Fit all neuroids and predict the test images.

        responses: (training image, neuroid), finite. inner: (training image,), the number of the inner fold of each;
        None: generalised cross-validation.
        """
        neuroids = responses.shape[1]
        if self.constant:
            undefined = np.full(neuroids, np.nan)
            return Fit(np.full((len(test), neuroids), np.nan), undefined, undefined)
        weights, penalties = self.weights(responses, inner)
        predicted = self.across(gram, test) @ weights
        dimensions = (self.values[:, None] / (self.values[:, None] + penalties)).sum(dim=0)
        return Fit(predicted.numpy(), penalties.numpy(), dimensions.numpy())

    def weights(
        self, responses: NDArray[np.float64], inner: NDArray[np.int64] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Weights of the training images, (training image, neuroid), which sum to 0, and penalties, (neuroid,).

        responses, inner: as in `fit`. The weights of features X, (training image, feature), are X' times these.
        """
        Y = torch.from_numpy(responses)
        Y = Y - Y.mean(dim=0)
        projected = self.vectors.T @ Y
        errors = self.gcv(projected) if inner is None else self.inner_errors(projected, inner)
        penalties = self.grid[errors.argmin(dim=0)]
        return self.vectors @ (projected / (self.values[:, None] + penalties)), penalties

    def across(self, gram: Tensor, test: NDArray[np.int64]) -> Tensor:
        """Inner products of test and training images, (test image, training image), centred on the training images."""
        cross = gram[torch.from_numpy(test)][:, self.rows]
        return cross - cross.mean(dim=1, keepdim=True) - self.means + self.means.mean()

    def gcv(self, projected: Tensor) -> Tensor:
        """Generalised cross-validation, n |y - H y|^2 / (n - trace H)^2, (penalty, neuroid). H has the intercept."""
        left = self._left()
        residuals = left.square() @ projected.square()
        return len(self.rows) * residuals / left.sum(dim=1).square()[:, None]

    def inner_errors(self, projected: Tensor, inner: NDArray[np.int64]) -> Tensor:
        """Sum of squared held-out residuals over the inner folds, (penalty, neuroid).

        A fit without the images B leaves the residuals (I - H_BB)^-1 (y - H y)_B, with H of the fit to all, which
        includes the intercept.
        """
        left = self._left()
        errors = torch.zeros(len(left), projected.shape[1], dtype=torch.float64)
        for number in np.unique(inner):
            part = self.vectors[torch.from_numpy(np.flatnonzero(inner == number))]
            scaled = part * left[:, None]
            held_out = torch.linalg.solve(scaled @ part.T, scaled @ projected)
            errors += held_out.square().sum(dim=1)
        return errors

    def _left(self) -> Tensor:
        """The part of each component that the fit leaves, penalty / (w + penalty), (penalty, component)."""
        return self.grid[:, None] / (self.values + self.grid[:, None])


def reflect(matrix: Tensor, axis: Tensor) -> Tensor:
    """Multiply a matrix from the left by the reflection I - 2 a a' along a unit vector."""
    return matrix - torch.outer(2 * axis, axis @ matrix)
