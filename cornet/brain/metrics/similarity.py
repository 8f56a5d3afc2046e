"""Do two systems find the same stimuli alike? Dissimilarity matrices (RDM) and centred kernel alignment (CKA).

RDM: Kriegeskorte, Mur & Bandettini (2008), Front. Syst. Neurosci. 2, 4; noise ceiling: Nili et al. (2014), PLoS
Comput. Biol. 10, e1003553. CKA: Kornblith et al. (2019), ICML; its unbiased estimator: Song et al. (2012), JMLR 13,
1393. All in float64, reading the features in blocks of columns, so that memory maps larger than memory will do.
"""

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor

from cornet.brain.metrics.gram import MEMORY, as_matrix, column_blocks, square
from cornet.errors import CornetError

log = logging.getLogger("cornet")

__all__ = ["cka", "compare_rdms", "rdm", "rdm_noise_ceiling", "rdm_problem", "rdm_similarity"]


def rdm(features: Any, device: str | torch.device = "cpu", memory: int = MEMORY) -> NDArray[np.float64]:
    """(stimulus, feature) -> (stimulus, stimulus): 1 - Pearson between the stimuli's features; 0 on the diagonal.

    A stimulus whose features are all equal has no correlation: its row and column are NaN, the diagonal too.
    Raises CornetError for features that are not finite and for fewer than 2 stimuli or features.
    """
    matrix = as_matrix(features)
    stimuli, width = matrix.shape
    if stimuli < 2 or width < 2:
        raise CornetError(f"features of shape ({stimuli}, {width}) need at least 2 stimuli and 2 features.")
    total = torch.zeros(stimuli, dtype=torch.float64, device=device)
    low, high = total + torch.inf, total - torch.inf
    for block in column_blocks(matrix, device, memory=memory):
        total += block.sum(dim=1)
        low, high = torch.minimum(low, block.amin(dim=1)), torch.maximum(high, block.amax(dim=1))
    means = (total / width)[:, None]
    gram = torch.zeros(stimuli, stimuli, dtype=torch.float64, device=device)
    for block in column_blocks(matrix, device, memory=memory):
        gram += square(block - means)
    lengths = gram.diagonal().sqrt()
    lengths = torch.where(low == high, torch.nan, lengths)
    result = 1 - (gram / lengths / lengths[:, None]).clamp(-1, 1)
    result.fill_diagonal_(0.0)
    result.diagonal()[low == high] = torch.nan
    return result.cpu().numpy()


def rdm_similarity(a: Any, b: Any, device: str | torch.device = "cpu", memory: int = MEMORY) -> float:
    """Spearman between the upper triangles of the RDMs of two sets of features, (stimulus, feature) each.

    Pairs with a stimulus of constant features are left out, and the number of these stimuli is logged. NaN where fewer
    than two pairs remain, or all are equally dissimilar.
    """
    _check_stimuli(as_matrix(a, "a"), as_matrix(b, "b"))
    first, second = rdm(a, device, memory), rdm(b, device, memory)
    if silent := int(np.isnan(first.diagonal() + second.diagonal()).sum()):
        log.warning("%d of %d stimuli, to which all features are equal, are left out", silent, len(first))
    return compare_rdms(first, second)


def compare_rdms(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman between two RDMs, each square or the upper triangle row by row (as scipy's squareform gives it).

    Pairs that are NaN in either are left out. NaN where fewer than two pairs remain, or all are equally dissimilar.
    Raises CornetError for an RDM that is not symmetric or whose diagonal is not 0, and for two of different size.
    """
    first, second = _triangle(a), _triangle(b)
    if len(first) != len(second):
        raise CornetError(
            f"RDMs with {len(first)} and {len(second)} pairs cannot be compared; make both from the same stimuli."
        )
    return _spearman(first, second)


def rdm_noise_ceiling(rdms: ArrayLike) -> tuple[float, float]:
    """How well the best model could do, given how far subjects differ: (lower, upper).

    rdms: (subject, stimulus, stimulus), or (subject, pair). Spearman of each subject's RDM with the mean over the
    other subjects (lower) or over all (upper), averaged over subjects. Means skip NaN, as do correlations.
    Raises CornetError for fewer than two subjects.
    """
    triangles = [_triangle(each) for each in np.asarray(rdms, np.float64)]
    if len(triangles) < 2:
        raise CornetError(f"a noise ceiling needs at least 2 subjects' RDMs, and there is {len(triangles)}.")
    values = np.stack(triangles)
    there = np.isfinite(values)
    total, count = np.where(there, values, 0).sum(axis=0), there.sum(axis=0)
    lower, upper = [], []
    for value, one in zip(values, there, strict=True):
        others = count - one
        rest = np.where(others > 0, (total - np.where(one, value, 0)) / np.maximum(others, 1), np.nan)
        lower.append(_spearman(value, rest))
        upper.append(_spearman(value, np.where(count > 0, total / np.maximum(count, 1), np.nan)))
    return float(np.mean(lower)), float(np.mean(upper))


def cka(
    a: Any, b: Any, unbiased: bool = True, device: str | torch.device = "cpu", memory: int = MEMORY
) -> float:
    """Linear CKA of two sets of features, (stimulus, feature) each: 1 where they differ by rotation and scale only.

    unbiased: the estimator whose expectation does not grow with the features; it can fall slightly below 0.

    Through stimulus x stimulus matrices where the features of either are more than the stimuli, otherwise through
    feature x feature ones. NaN where a set does not vary (or, unbiased, varies no more than chance).
    Raises CornetError for different stimuli, and for fewer than 2 of them (unbiased 4).
    """
    first, second = as_matrix(a, "a"), as_matrix(b, "b")
    _check_stimuli(first, second)
    stimuli = first.shape[0]
    if stimuli < (4 if unbiased else 2):
        raise CornetError(
            f"CKA needs at least {4 if unbiased else 2} stimuli, and there are {stimuli}; show more."
        )
    if max(first.shape[1], second.shape[1]) > stimuli:
        both, own_a, own_b = _by_gram(first, second, unbiased, device, memory)
    else:
        both, own_a, own_b = _by_features(first, second, unbiased, device, memory)
    return both / (own_a * own_b) ** 0.5 if own_a > 0 and own_b > 0 else float("nan")


def _by_gram(
    a: Any, b: Any, unbiased: bool, device: str | torch.device, memory: int
) -> tuple[float, float, float]:
    """HSIC (a, b), (a, a), (b, b), up to a common factor, from the Gram matrices of the centred features."""
    grams = []
    for features in (a, b):
        gram = torch.zeros(a.shape[0], a.shape[0], dtype=torch.float64, device=device)
        for block in _centred(features, device, memory):
            gram += square(block)
        grams.append(gram)
    k, m = grams
    if not unbiased:
        return float((k * m).sum()), float((k * k).sum()), float((m * m).sum())
    k.fill_diagonal_(0.0)
    m.fill_diagonal_(0.0)
    sums = [k.sum(dim=1), m.sum(dim=1)]
    return (
        _hsic((k * m).sum(), sums[0], sums[1]),
        _hsic((k * k).sum(), sums[0], sums[0]),
        _hsic((m * m).sum(), sums[1], sums[1]),
    )


def _by_features(
    a: Any, b: Any, unbiased: bool, device: str | torch.device, memory: int
) -> tuple[float, float, float]:
    """The same where features are few: tr(K L) = |A'B|^2, and the centred rows of K sum to 0."""
    x = torch.cat(list(_centred(a, device, memory)), dim=1)
    y = torch.cat(list(_centred(b, device, memory)), dim=1)
    squares = {"x": x.square().sum(dim=1), "y": y.square().sum(dim=1)}  # the diagonals of K and L
    sets = {"x": x, "y": y}

    def hsic(p: str, q: str) -> float:
        product = (sets[p].T @ sets[q]).square().sum()
        if not unbiased:
            return float(product)
        # Without its diagonal, a row of the centred Gram matrix sums to minus that diagonal's entry.
        return _hsic(product - (squares[p] * squares[q]).sum(), -squares[p], -squares[q])

    return hsic("x", "y"), hsic("x", "x"), hsic("y", "y")


def _hsic(product: Tensor, row_sums_k: Tensor, row_sums_l: Tensor) -> float:
    """HSIC_1 of Song et al. (2012), equation 5, times n (n - 3): of matrices K and L without their diagonals, given
    tr(K L) and their row sums."""
    n = len(row_sums_k)
    total = row_sums_k.sum() * row_sums_l.sum() / ((n - 1) * (n - 2))
    return float(product + total - 2 / (n - 2) * (row_sums_k * row_sums_l).sum())


def _centred(features: Any, device: str | torch.device, memory: int) -> Any:
    """Blocks of columns less their mean over stimuli; a column without variance is exactly 0."""
    for block in column_blocks(features, device, memory=memory):
        varies = block.amin(dim=0) < block.amax(dim=0)
        yield torch.where(varies, block - block.mean(dim=0), 0.0)


def _check_stimuli(a: Any, b: Any) -> None:
    if a.shape[0] != b.shape[0]:
        raise CornetError(
            f"features of {a.shape[0]} and of {b.shape[0]} stimuli cannot be compared; record both for the same "
            "stimuli, in the same order."
        )


def _triangle(matrix: ArrayLike) -> NDArray[np.float64]:
    """The upper triangle of an RDM, row by row."""
    array = np.asarray(matrix, np.float64)
    if array.ndim == 1 and len(array):
        return array
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise CornetError(
            f"an RDM of shape {array.shape} must be square (stimulus, stimulus), of 2 stimuli or more, or its upper "
            "triangle."
        )
    if problem := rdm_problem(array):
        raise CornetError(f"an RDM {problem}.")
    return array[np.triu_indices(len(array), 1)]


def rdm_problem(rdms: NDArray[np.float64]) -> str:
    """Why these are no dissimilarities (..., stimulus, stimulus), as words that follow a name; "" if they may be."""
    if not np.allclose(rdms, rdms.swapaxes(-1, -2), rtol=1e-5, atol=1e-6, equal_nan=True):
        return "must be symmetric, and this one is not; average it with its transpose first"
    off = rdms[..., ~np.eye(rdms.shape[-1], dtype=bool)]
    diagonal = np.nan_to_num(np.diagonal(rdms, axis1=-2, axis2=-1))
    largest = float(np.abs(np.nan_to_num(off)).max(initial=0))
    wrong = np.abs(diagonal) > 1e-6 + 1e-4 * largest
    if wrong.any():
        return (
            f"has {diagonal[wrong][0]:g} on its diagonal, which is 0 in dissimilarities; give those, as 1 - r where "
            "these are correlations or other similarities"
        )
    if (off < 0).sum() > (off > 0).sum():
        return (
            "has more values below 0 than above, as similarities or negated distances; give dissimilarities"
        )
    return ""


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Over the pairs that both have; equal values share their mean rank."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2:
        return float("nan")
    x, y = rankdata(a[both]), rankdata(b[both])
    x, y = x - x.mean(), y - y.mean()
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths > 0 else float("nan")
