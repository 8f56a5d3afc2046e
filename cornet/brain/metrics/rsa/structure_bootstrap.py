"""Bootstrap over images of decompositions and correlations of many similarity matrices at once.

A sample that has image i c_i times has the pair of images i and j c_i c_j times, and pairs of an image with itself are
left out. So a sample is a weight for each pair, and all samples of all matrices are a few matrix products. Values equal
those of `decompose` and `similarity_correlation` with the same samples.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from cornet.brain.metrics.rsa.views import check_matrices, resample
from cornet.errors import CornetError
from cornet.sizes import check_positive_int

__all__ = ["bootstrap_correlations", "bootstrap_decompositions"]

Array = NDArray[np.float64]

CHUNK = 64
"""Samples whose weights are in memory at once."""


def bootstrap_decompositions(
    similarities: Sequence[ArrayLike], structures: Mapping[str, ArrayLike], draws: int = 1000, seed: int = 0
) -> Array:
    """Coefficients of structures in bootstrap samples of the images, (draw, matrix, structure).

    similarities: matrices (image, image). structures: as in `decompose`. seed: of `resample`. NaN for matrices with
    missing similarities. Raises CornetError for matrices of different shapes and fewer than one draw.
    """
    y, parts = pairs(similarities), pairs(list(structures.values()))
    check_matrices(*map(np.asarray, (*similarities, *structures.values())))
    found = np.full((draws, y.shape[1], parts.shape[1]), np.nan)
    known = np.isfinite(y).all(axis=0)
    products = parts[:, :, None] * parts[:, None, :]
    for start, weights in weights_of(len(np.asarray(similarities[0])), draws, seed):
        gram = np.einsum("dp,pab->dab", weights, products, optimize=True)
        target = weights @ (parts[:, :, None] * y[:, None, known]).reshape(len(y), -1)
        target = target.reshape(len(weights), parts.shape[1], -1)
        for d in range(len(weights)):
            root, inverse = roots(gram[d])
            shorter = inverse @ target[d]
            found[start + d, known] = [nnls(root, column)[0] for column in shorter.T]
    return found


def bootstrap_correlations(
    similarities: Sequence[ArrayLike], references: Sequence[ArrayLike], draws: int = 1000, seed: int = 0
) -> Array:
    """Pearson's correlations with reference matrices in bootstrap samples, (draw, matrix, reference).

    Arguments and errors: as in `bootstrap_decompositions`. NaN where a matrix is constant or has missing similarities.
    """
    x, y = pairs(similarities), pairs(references)
    check_matrices(*map(np.asarray, (*similarities, *references)))
    found = []
    for _, weights in weights_of(len(np.asarray(similarities[0])), draws, seed):
        share = weights / weights.sum(axis=1, keepdims=True)
        products = (share @ (x[:, :, None] * y[:, None, :]).reshape(len(x), -1)).reshape(
            len(share), x.shape[1], y.shape[1]
        )
        (mean_x, spread_x), (mean_y, spread_y) = moments(share, x), moments(share, y)
        with np.errstate(invalid="ignore"):
            r = (products - mean_x[:, :, None] * mean_y[:, None, :]) / np.sqrt(
                spread_x[:, :, None] * spread_y[:, None, :]
            )
        found.append(r)
    return np.concatenate(found)


def moments(share: Array, values: Array) -> tuple[Array, Array]:
    """Weighted mean and variance, (draw, matrix) each. The variance of a matrix that does not vary is NaN."""
    mean, square = share @ values, share @ values**2
    spread = square - mean**2
    return mean, np.where(spread > 1e-12 * square, spread, np.nan)


def pairs(matrices: Sequence[ArrayLike]) -> Array:
    """The upper triangles of matrices, (pair, matrix). Raises CornetError if there are none."""
    if not len(matrices):
        raise CornetError("there are 0 similarity matrices, but a bootstrap needs at least one; give one.")
    upper = np.triu_indices(len(np.asarray(matrices[0])), 1)
    return np.stack([np.asarray(one, float)[upper] for one in matrices], axis=1)


def weights_of(n: int, draws: int, seed: int) -> Iterator[tuple[int, Array]]:
    """First draw and weights (draw, pair) of parts of the samples that `resample` draws."""
    check_positive_int("draws", draws)
    rows, columns = np.triu_indices(n, 1)
    counts = np.stack([np.bincount(sample, minlength=n) for sample in resample(n, draws, seed)]).astype(float)
    for start in range(0, draws, CHUNK):
        part = counts[start : start + CHUNK]
        yield start, part[:, rows] * part[:, columns]


def roots(gram: Array) -> tuple[Array, Array]:
    """R with R'R = gram, and the matrix that takes A'y to the y of the small problem |R b - y|."""
    values, vectors = np.linalg.eigh(gram)
    used = values > 1e-10 * values.max()
    scale = np.sqrt(values[used])
    return scale[:, None] * vectors[:, used].T, vectors[:, used].T / scale[:, None]
