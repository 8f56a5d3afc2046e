"""Compare RDMs in several ways, and their ceilings over subjects. Values equal those of rsatoolbox 0.3.2.

| comparison | what |
|---|---|
| cosine | of the dissimilarities: ratios matter, as 0 has a meaning (crossnobis) |
| corr | Pearson's r |
| cosine_cov, corr_cov | the same, whitened: dissimilarities that share a stimulus are correlated (Diedrichsen 2020) |
| spearman, rho-a | of the ranks; with rho-a, models gain nothing by ties (Schuett et al. 2023, eLife) |
| tau-a, tau-b | Kendall's |

A ceiling compares each subject with the mean over subjects of RDMs that are normalised for the comparison: cosine by
the root mean square, corr by mean and standard deviation, the others by ranks. The upper one uses all subjects, the
lower one the others. `cornet.brain.rdm_noise_ceiling` averages RDMs without normalising them, as Brain-Score does, so
that the two Spearman ceilings differ.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

from cornet.brain.metrics.similarity import triangle
from cornet.errors import CornetError, check_choice

__all__ = ["COMPARISONS", "compare_all", "rdm_ceilings", "rdm_vectors"]

Vector = NDArray[np.float64]


def cosine(a: Vector, b: Vector) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else math.nan


def corr(a: Vector, b: Vector) -> float:
    return cosine(a - a.mean(), b - b.mean())


def spearman(a: Vector, b: Vector) -> float:
    return corr(rankdata(a), rankdata(b))


def rho_a(a: Vector, b: Vector) -> float:
    n = len(a)
    return float(12 * (rankdata(a) @ rankdata(b)) / (n**3 - n) - 3 * (n + 1) / (n - 1))


def tau_b(a: Vector, b: Vector) -> float:
    return float(kendalltau(a, b).statistic)


def tau_a(a: Vector, b: Vector) -> float:
    """Kendall's tau-b times the root of the shares of pairs without ties."""

    def untied(x: Vector) -> float:
        counts = np.unique(x, return_counts=True)[1]
        return 1 - float((counts * (counts - 1)).sum()) / (len(x) * (len(x) - 1))

    return tau_b(a, b) * math.sqrt(untied(a) * untied(b))


def cosine_cov(a: Vector, b: Vector) -> float:
    W = whitening(len(a))
    return cosine(W @ a, W @ b)


def corr_cov(a: Vector, b: Vector) -> float:
    return cosine_cov(a - a.mean(), b - b.mean())


@cache
def whitening(pairs: int) -> NDArray[np.float64]:
    """A matrix W with W'W the inverse covariance of dissimilarities of equally reliable, independent patterns.

    The covariance of two dissimilarities is (number of stimuli they share, with signs)^2.
    """
    stimuli = stimuli_of(pairs)
    rows, columns = np.triu_indices(stimuli, 1)
    contrast = np.zeros((pairs, stimuli))
    contrast[np.arange(pairs), rows], contrast[np.arange(pairs), columns] = 1, -1
    covariance = (contrast @ contrast.T) ** 2
    return np.linalg.inv(np.linalg.cholesky(covariance))


COMPARISONS: dict[str, Callable[[Vector, Vector], float]] = {
    "cosine": cosine,
    "corr": corr,
    "spearman": spearman,
    "rho-a": rho_a,
    "tau-a": tau_a,
    "tau-b": tau_b,
    "cosine_cov": cosine_cov,
    "corr_cov": corr_cov,
}


def stimuli_of(pairs: int) -> int:
    """The number of stimuli with so many pairs. Raises CornetError for a number that no stimuli have."""
    stimuli = round((1 + math.sqrt(1 + 8 * pairs)) / 2)
    if stimuli * (stimuli - 1) // 2 != pairs or stimuli < 3:
        raise CornetError(
            f"RDMs of {pairs} pairs are not upper triangles of 3 stimuli or more; give (subject, stimulus, stimulus)."
        )
    return stimuli


def rdm_vectors(rdms: ArrayLike, name: str) -> NDArray[np.float64]:
    """RDMs as upper triangles (rdm, pair). rdms: (rdm, stimulus, stimulus), (rdm, pair), or one of them.

    Raises CornetError for other shapes, and for missing values.
    """
    array = np.asarray(rdms, float)
    if array.ndim == 1 or (
        array.ndim == 2 and array.shape[0] == array.shape[1] and not np.diagonal(array).any()
    ):
        array = array[None]
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise CornetError(f"{name} of shape {array.shape} must be (rdm, stimulus, stimulus) or (rdm, pair).")
    vectors = np.stack([triangle(one) for one in array])
    stimuli_of(vectors.shape[1])
    if not np.isfinite(vectors).all():
        raise CornetError(
            f"{int((~np.isfinite(vectors)).sum())} dissimilarities of {name} are missing; leave out their stimuli."
        )
    return vectors


def compare_all(models: ArrayLike, subjects: ArrayLike, comparison: str = "cosine") -> NDArray[np.float64]:
    """Compare each model with each subject, (model, subject). Raises CornetError as `rdm_vectors`."""
    check_choice("comparison", comparison, tuple(COMPARISONS))
    first, second = rdm_vectors(models, "models"), rdm_vectors(subjects, "subjects")
    if first.shape[1] != second.shape[1]:
        raise CornetError(
            f"models have {first.shape[1]} pairs and subjects {second.shape[1]}; compute both from the same stimuli."
        )
    how = COMPARISONS[comparison]
    return np.array([[how(model, subject) for subject in second] for model in first])


def rdm_ceilings(subjects: ArrayLike, comparison: str = "cosine") -> tuple[float, float]:
    """The lower (each subject left out) and the upper ceiling, over N subjects.

    The upper one falls with N, so that N and the lower one belong beside it. Raises CornetError for fewer than two.
    """
    check_choice("comparison", comparison, tuple(COMPARISONS))
    vectors = rdm_vectors(subjects, "subjects")
    if len(vectors) < 2:
        raise CornetError(f"a ceiling needs RDMs of at least 2 subjects, but got {len(vectors)}; add more.")
    normal = np.stack([normalised(vector, comparison) for vector in vectors])
    how, total = COMPARISONS[comparison], normal.sum(axis=0)
    upper = [how(vector, total) for vector in vectors]
    lower = [how(vector, total - own) for vector, own in zip(vectors, normal, strict=True)]
    return float(np.mean(lower)), float(np.mean(upper))


def normalised(vector: Vector, comparison: str) -> Vector:
    """An RDM on the scale on which RDMs of several subjects are averaged."""
    if comparison in ("cosine", "cosine_cov"):
        return vector / math.sqrt(float(np.mean(vector**2)))
    if comparison in ("corr", "corr_cov"):
        return (vector - vector.mean()) / vector.std()
    return rankdata(vector)
