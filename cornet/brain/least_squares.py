"""Linear mappings from features to responses: ridge, and least squares, in feature or in sample space.

The spaces are those of `cornet.brain.pls`: coefficients map centred test features, or their products with the centred
training features, to centred responses. All but `from_features` work on a Gram matrix and raise `LostDigits` where its
condition number, the square of the features', would spoil the result.
"""

import torch
from torch import Tensor

from cornet.brain.gram import LostDigits

__all__ = ["from_features", "least_squares_samples", "ridge"]

SMALLEST = 1e-9
"""A penalty, or an eigenvalue, relative to the largest of the Gram matrix: below it rounding counts, above 1e-7."""


def ridge(gram: Tensor, right: Tensor, alpha: float) -> Tensor:
    """(gram + alpha)^-1 right.

    gram = X'X and right = X'Y give (feature, neuroid); X X' and Y give (training stimulus, neuroid).
    """
    if not alpha > SMALLEST * float(gram.norm()):
        raise LostDigits
    raised = gram.clone()
    raised.diagonal().add_(alpha)
    factor, failed = torch.linalg.cholesky_ex(raised)
    if failed:
        raise LostDigits
    return torch.cholesky_solve(right, factor)


def least_squares_samples(kernel: Tensor, responses: Tensor) -> Tensor:
    """The shortest least-squares solution from X X', (training stimulus, neuroid).

    Its small eigenvalues drown in rounding. Centring leaves one such; whether others are real, only the features
    can tell.
    """
    values, vectors = torch.linalg.eigh(kernel)
    keep = values > SMALLEST * values[-1]
    if int(keep.sum()) < len(keep) - 1:
        raise LostDigits
    chosen = vectors[:, keep]
    return chosen @ ((chosen.T @ responses) / values[keep, None])


def from_features(features: Tensor, responses: Tensor, alpha: float = 0.0) -> Tensor:
    """The shortest B that minimises |X B - Y|^2 + alpha |B|^2, by the singular values of X, (feature, neuroid).

    Singular values of rounding alone (centring leaves one) are left out.
    """
    U, s, Vh = torch.linalg.svd(features, full_matrices=False)
    keep = s > s[0] * max(features.shape) * torch.finfo(s.dtype).eps
    s = s[keep, None]
    return Vh[keep].T @ ((U[:, keep].T @ responses) * (s / (s.square() + alpha)))
