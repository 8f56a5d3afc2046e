"""Linear mappings from features to responses: ridge, and least squares, in feature or in sample space.

The spaces are those of `cornet.brain.pls`: coefficients map centred test features, or their products with the centred
training features, to centred responses.
"""

import torch
from torch import Tensor

__all__ = ["least_squares_features", "least_squares_samples", "ridge_features", "ridge_samples"]


def ridge_features(gram: Tensor, cross: Tensor, alpha: float) -> Tensor:
    """(X'X + alpha)^-1 X'Y, (feature, neuroid)."""
    return torch.cholesky_solve(cross, torch.linalg.cholesky(plus(gram, alpha)))


def ridge_samples(kernel: Tensor, responses: Tensor, alpha: float) -> Tensor:
    """(X X' + alpha)^-1 Y, (training stimulus, neuroid)."""
    return torch.cholesky_solve(responses, torch.linalg.cholesky(plus(kernel, alpha)))


def least_squares_features(features: Tensor, responses: Tensor) -> Tensor:
    """The shortest B that minimises |X B - Y|. Singular values of rounding alone (centring leaves one) are left out."""
    U, s, Vh = torch.linalg.svd(features, full_matrices=False)
    keep = s > s[0] * max(features.shape) * torch.finfo(s.dtype).eps
    return Vh[keep].T @ ((U[:, keep].T @ responses) / s[keep, None])


def least_squares_samples(kernel: Tensor, responses: Tensor) -> Tensor:
    """The same from X X': its small eigenvalues drown in rounding, so directions below 1e-7 of the longest singular
    value are left out, where `least_squares_features` sees down to 1e-13."""
    values, vectors = torch.linalg.eigh(kernel)
    keep = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    chosen = vectors[:, keep]
    return chosen @ ((chosen.T @ responses) / values[keep, None])


def plus(matrix: Tensor, alpha: float) -> Tensor:
    raised = matrix.clone()
    raised.diagonal().add_(alpha)
    return raised
