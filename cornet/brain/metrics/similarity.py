"""Compare representations by dissimilarity matrices (RDM) and centred kernel alignment (CKA).

RDM: Kriegeskorte, Mur & Bandettini (2008), Front. Syst. Neurosci. 2, 4; noise ceiling: Nili et al. (2014), PLoS
Comput. Biol. 10, e1003553. CKA: Kornblith et al. (2019), ICML; unbiased estimator: Song et al. (2012), JMLR 13,
1393. Computed in float64 over blocks of columns, so memory maps may be larger than memory.
"""

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor

from cornet.brain.metrics.mapping.gram import MEMORY, as_matrix, column_blocks, self_product
from cornet.errors import CornetError

log = logging.getLogger("cornet")

__all__ = [
    "centred_gram",
    "cka",
    "compare_rdms",
    "gram_cka",
    "rdm",
    "rdm_noise_ceiling",
    "rdm_problem",
    "rdm_similarity",
    "triangle",
    "unbiased_hsic",
]


def rdm(features: Any, device: str | torch.device = "cpu", memory: int = MEMORY) -> NDArray[np.float64]:
    """Compute the RDM of (stimulus, feature): 1 - Pearson's r between stimuli, (stimulus, stimulus), 0 on the diagonal.

    If all features of a stimulus are equal, its row, column and diagonal entry are NaN.
    Raises CornetError for features that are not finite and for fewer than 2 stimuli or features.
    """
    matrix = as_matrix(features)
    stimuli, width = matrix.shape
    if stimuli < 2 or width < 2:
        raise CornetError(
            f"features of shape ({stimuli}, {width}) must have at least 2 stimuli and 2 features; add more."
        )
    total = torch.zeros(stimuli, dtype=torch.float64, device=device)
    low, high = total + torch.inf, total - torch.inf
    for block in column_blocks(matrix, device, memory=memory):
        total += block.sum(dim=1)
        low, high = torch.minimum(low, block.amin(dim=1)), torch.maximum(high, block.amax(dim=1))
    means = (total / width)[:, None]
    gram = torch.zeros(stimuli, stimuli, dtype=torch.float64, device=device)
    for block in column_blocks(matrix, device, memory=memory):
        gram += self_product(block - means)
    lengths = gram.diagonal().sqrt()
    lengths = torch.where(low == high, torch.nan, lengths)
    result = 1 - (gram / lengths / lengths[:, None]).clamp(-1, 1)
    result.fill_diagonal_(0.0)
    result.diagonal()[low == high] = torch.nan
    return result.cpu().numpy()


def rdm_similarity(a: Any, b: Any, device: str | torch.device = "cpu", memory: int = MEMORY) -> float:
    """Return Spearman's correlation between the RDMs of two sets of features, (stimulus, feature) each.

    Stimuli with constant features are skipped, and their number is logged. NaN if fewer than two pairs remain, or all
    are equally dissimilar.
    """
    _check_stimuli(as_matrix(a, "a"), as_matrix(b, "b"))
    first, second = rdm(a, device, memory), rdm(b, device, memory)
    if silent := int(np.isnan(first.diagonal() + second.diagonal()).sum()):
        log.warning("skipped %d of %d stimuli with constant features", silent, len(first))
    return compare_rdms(first, second)


def compare_rdms(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's correlation between two RDMs, each square or an upper triangle (as from scipy's squareform).

    Pairs that are NaN in either are skipped. NaN if fewer than two pairs remain, or all are equally dissimilar.
    Raises CornetError for RDMs that are not symmetric, have a nonzero diagonal, or differ in size.
    """
    first, second = triangle(a), triangle(b)
    if len(first) != len(second):
        raise CornetError(
            f"RDMs with {len(first)} and {len(second)} pairs cannot be compared; compute both from the same stimuli."
        )
    return _spearman(first, second)


def rdm_noise_ceiling(rdms: ArrayLike) -> tuple[float, float]:
    """Estimate the lower and upper noise ceiling of RDM comparisons from the differences between subjects.

    rdms: (subject, stimulus, stimulus) or (subject, pair). Spearman's correlation of each subject's RDM with the mean
    over the other subjects (lower) or over all (upper), averaged over subjects. Means and correlations skip NaN.
    Raises CornetError for fewer than two subjects.
    """
    triangles = [triangle(each) for each in np.asarray(rdms, np.float64)]
    if len(triangles) < 2:
        raise CornetError(
            f"a noise ceiling needs RDMs of at least 2 subjects, but got {len(triangles)}; add more."
        )
    values = np.stack(triangles)
    valid = np.isfinite(values)
    total, count = np.where(valid, values, 0).sum(axis=0), valid.sum(axis=0)
    lower, upper = [], []
    for value, own in zip(values, valid, strict=True):
        others = count - own
        rest = np.where(others > 0, (total - np.where(own, value, 0)) / np.maximum(others, 1), np.nan)
        lower.append(_spearman(value, rest))
        upper.append(_spearman(value, np.where(count > 0, total / np.maximum(count, 1), np.nan)))
    return float(np.mean(lower)), float(np.mean(upper))


def cka(
    a: Any, b: Any, unbiased: bool = True, device: str | torch.device = "cpu", memory: int = MEMORY
) -> float:
    """Return the linear CKA of two sets of features, (stimulus, feature) each.

    The CKA is 1 if they differ only by rotation and scale.

    unbiased: use the estimator whose expectation does not grow with the number of features; it can be slightly below 0.

    Uses stimulus x stimulus matrices if either set has more features than stimuli, else feature x feature matrices.
    NaN if a set does not vary (or, if unbiased, not more than chance).
    Raises CornetError for different numbers of stimuli, and for fewer than 2 (unbiased: 4).
    """
    first, second = as_matrix(a, "a"), as_matrix(b, "b")
    _check_stimuli(first, second)
    stimuli = first.shape[0]
    if stimuli < (4 if unbiased else 2):
        raise CornetError(f"CKA needs at least {4 if unbiased else 2} stimuli, but got {stimuli}; add more.")
    if max(first.shape[1], second.shape[1]) > stimuli:
        both, own_a, own_b = _by_gram(first, second, unbiased, device, memory)
    else:
        both, own_a, own_b = _by_features(first, second, unbiased, device, memory)
    return both / (own_a * own_b) ** 0.5 if own_a > 0 and own_b > 0 else float("nan")


def centred_gram(features: Any, device: str | torch.device = "cpu", memory: int = MEMORY) -> Tensor:
    """Compute X X' of the centred features, (stimulus, stimulus) float64. Constant features become exactly 0."""
    gram = torch.zeros(features.shape[0], features.shape[0], dtype=torch.float64, device=device)
    for block in _centred(features, device, memory):
        gram += self_product(block)
    return gram


def gram_cka(k: Tensor, m: Tensor) -> float:
    """Return the unbiased linear CKA from two Gram matrices, (stimulus, stimulus), as `cka` does from features.

    The diagonals are not used. A constant added to all features changes nothing, so the matrices of fewer stimuli are
    parts of those of all. NaN for fewer than 4 stimuli, and as in `cka`.
    """
    if len(k) < 4:
        return float("nan")
    both, own_a, own_b = map(float, unbiased_hsic(k, m))
    return both / (own_a * own_b) ** 0.5 if own_a > 0 and own_b > 0 else float("nan")


def _by_gram(
    a: Any, b: Any, unbiased: bool, device: str | torch.device, memory: int
) -> tuple[float, float, float]:
    """Return HSIC (a, b), (a, a), (b, b), up to a common factor, from Gram matrices of the centred features."""
    k, m = centred_gram(a, device, memory), centred_gram(b, device, memory)
    if not unbiased:
        return float((k * m).sum()), float((k * k).sum()), float((m * m).sum())
    both, own_a, own_b = map(float, unbiased_hsic(k, m))
    return both, own_a, own_b


def unbiased_hsic(k: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the unbiased HSIC of (k, m), (k, k), (m, m), up to a common factor, as differentiable scalars.

    k, m: Gram matrices (stimulus, stimulus), of which the diagonals are not used.
    """
    off = 1 - torch.eye(len(k), dtype=k.dtype, device=k.device)
    k, m = k * off, m * off
    sums = [k.sum(dim=1), m.sum(dim=1)]
    return (
        _hsic((k * m).sum(), sums[0], sums[1]),
        _hsic((k * k).sum(), sums[0], sums[0]),
        _hsic((m * m).sum(), sums[1], sums[1]),
    )


def _by_features(
    a: Any, b: Any, unbiased: bool, device: str | torch.device, memory: int
) -> tuple[float, float, float]:
    """Return the same as `_by_gram` for few features: tr(K L) = |A'B|^2, and the centred rows of K sum to 0."""
    x = torch.cat(list(_centred(a, device, memory)), dim=1)
    y = torch.cat(list(_centred(b, device, memory)), dim=1)
    squares = {"x": x.square().sum(dim=1), "y": y.square().sum(dim=1)}  # the diagonals of K and L
    sets = {"x": x, "y": y}

    def hsic(p: str, q: str) -> float:
        product = (sets[p].T @ sets[q]).square().sum()
        if not unbiased:
            return float(product)
        # Without the diagonal, each row of the centred Gram matrix sums to minus its diagonal entry.
        return float(_hsic(product - (squares[p] * squares[q]).sum(), -squares[p], -squares[q]))

    return hsic("x", "y"), hsic("x", "x"), hsic("y", "y")


def _hsic(product: Tensor, row_sums_k: Tensor, row_sums_l: Tensor) -> Tensor:
    """Compute n (n - 3) HSIC_1 (Song et al. 2012, equation 5) of K and L with zero diagonals.

    product: tr(K L); row_sums: (n,)."""
    n = len(row_sums_k)
    total = row_sums_k.sum() * row_sums_l.sum() / ((n - 1) * (n - 2))
    return product + total - 2 / (n - 2) * (row_sums_k * row_sums_l).sum()


def _centred(features: Any, device: str | torch.device, memory: int) -> Any:
    """Yield blocks of columns minus their mean over stimuli. Constant columns become exactly 0."""
    for block in column_blocks(features, device, memory=memory):
        varies = block.amin(dim=0) < block.amax(dim=0)
        yield torch.where(varies, block - block.mean(dim=0), 0.0)


def _check_stimuli(a: Any, b: Any) -> None:
    if a.shape[0] != b.shape[0]:
        raise CornetError(
            f"features of {a.shape[0]} and {b.shape[0]} stimuli cannot be compared; record both for the same stimuli, "
            "in the same order."
        )


def triangle(matrix: ArrayLike) -> NDArray[np.float64]:
    """Check an RDM and return its upper triangle, row by row."""
    array = np.asarray(matrix, np.float64)
    if array.ndim == 1 and len(array):
        return array
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise CornetError(
            f"an RDM of shape {array.shape} must be square (stimulus, stimulus) with at least 2 stimuli, or an upper "
            "triangle."
        )
    if problem := rdm_problem(array):
        raise CornetError(f"an RDM {problem}.")
    return array[np.triu_indices(len(array), 1)]


def rdm_problem(rdms: NDArray[np.float64]) -> str:
    """Return why (..., stimulus, stimulus) cannot be dissimilarities, as text to follow a name, or ""."""
    if not np.allclose(rdms, rdms.swapaxes(-1, -2), rtol=1e-5, atol=1e-6, equal_nan=True):
        return "must be symmetric, but is not; average it with its transpose first"
    off = rdms[..., ~np.eye(rdms.shape[-1], dtype=bool)]
    diagonal = np.nan_to_num(np.diagonal(rdms, axis1=-2, axis2=-1))
    largest = float(np.abs(np.nan_to_num(off)).max(initial=0))
    wrong = np.abs(diagonal) > 1e-6 + 1e-4 * largest
    if wrong.any():
        return (
            f"has {diagonal[wrong][0]:g} on its diagonal, but dissimilarities have 0; convert similarities first, such "
            "as correlations to 1 - r"
        )
    if (off < 0).sum() > (off > 0).sum():
        return "has more negative than positive values, like similarities or negated distances; use dissimilarities"
    return ""


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Spearman's correlation over the pairs that are finite in both; ties share their mean rank."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2:
        return float("nan")
    x, y = rankdata(a[both]), rankdata(b[both])
    x, y = x - x.mean(), y - y.mean()
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths > 0 else float("nan")
