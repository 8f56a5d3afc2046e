"""Linear mappings from features to responses: ridge and least squares, in feature or sample space (see `pls`).

All but `from_features` use a Gram matrix, and raise `LostDigits` where its condition number would spoil the result.
"""

import torch
from torch import Tensor

from cornet.brain.metrics.gram import LostDigits

__all__ = ["from_features", "least_squares_samples", "ridge"]

SMALLEST = 1e-9
"""A penalty, or an eigenvalue, relative to the largest of the Gram matrix: below it rounding counts, above 1e-7."""


def ridge(gram: Tensor, right: Tensor, alpha: float) -> Tensor:
    """(gram + alpha)^-1 right: from X'X and X'Y (feature, neuroid), from X X' and Y (training stimulus, neuroid)."""
    if not alpha > SMALLEST * float(gram.norm()):
        raise LostDigits
    raised = gram.clone()
    raised.diagonal().add_(alpha)
    factor, failed = torch.linalg.cholesky_ex(raised)
    if failed:
        raise LostDigits
    return torch.cholesky_solve(right, factor)


def least_squares_samples(kernel: Tensor, responses: Tensor) -> Tensor:
    """The shortest least-squares solution from X X', (training stimulus, neuroid). Raises LostDigits."""
    values, vectors = torch.linalg.eigh(kernel)
    keep = values > SMALLEST * values[-1]
    if int(keep.sum()) < len(keep) - 1:
        raise LostDigits
    chosen = vectors[:, keep]
    return chosen @ ((chosen.T @ responses) / values[keep, None])


def from_features(features: Tensor, responses: Tensor, alpha: float = 0.0) -> Tensor:
    """The shortest B that minimises |X B - Y|^2 + alpha |B|^2, (feature, neuroid), without singular values near 0."""
    U, s, Vh = torch.linalg.svd(features, full_matrices=False)
    keep = s > s[0] * max(features.shape) * torch.finfo(s.dtype).eps
    s = s[keep, None]
    return Vh[keep].T @ ((U[:, keep].T @ responses) * (s / (s.square() + alpha)))
