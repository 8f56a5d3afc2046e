"""Representational similarity of features and responses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.neural.registry import register
from cornet.brain.metrics.neural.similarity_metric import Similarity
from cornet.brain.metrics.similarity import rdm

__all__ = ["RepresentationalSimilarity", "ranks_of_codes"]


@register("rdm")
class RepresentationalSimilarity(Similarity):
    """Spearman's correlation of the upper triangles of two dissimilarity matrices, 1 - Pearson's r between stimuli.

    Kriegeskorte, Mur & Bandettini (2008), Front. Syst. Neurosci. 2, 4. Equals `cornet.brain.rdm_similarity` of the
    features and the averaged responses. Stimuli whose features, or whose responses, are all equal are left out, with a
    count. Error and ceiling: see `Similarity`.
    """

    summary = "similarity of dissimilarities: Spearman's correlation"
    min_stimuli, min_neuroids = 3, 2

    def matrix(self, patterns: Any, device: torch.device | str, memory: int) -> NDArray[np.float64]:
        """The dissimilarities, (stimulus, stimulus); NaN for stimuli with equal values of all features."""
        return rdm(patterns, device, memory)

    def part(self, matrix: NDArray[np.float64], stimuli: NDArray[np.int64]) -> NDArray[np.float64]:
        return matrix[np.ix_(stimuli, stimuli)]

    def used(
        self, features: NDArray[np.float64], responses: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], list[str]]:
        constant, silent = np.isnan(features.diagonal()), np.isnan(responses.diagonal())
        notes = []
        for which, what in ((constant, "features"), (silent, "responses")):
            if which.any():
                notes.append(
                    f"{int(which.sum())} of {len(which)} stimuli have equal values of all {what} and are left out"
                )
        return ~(constant | silent), notes

    def comparison(
        self, a: NDArray[np.float64], b: NDArray[np.float64]
    ) -> Callable[[NDArray[np.bool_]], float]:
        rows, columns = np.triu_indices(len(a), 1)
        # Sorting is slow: it is done once, and the ranks of fewer pairs follow from the codes.
        codes = [np.unique(matrix[rows, columns], return_inverse=True)[1].ravel() for matrix in (a, b)]

        def over(stimuli: NDArray[np.bool_]) -> float:
            pairs = stimuli[rows] & stimuli[columns]
            if pairs.sum() < 2:
                return float("nan")
            x, y = (ranks_of_codes(code[pairs]) for code in codes)
            x -= x.mean()
            y -= y.mean()
            lengths = np.linalg.norm(x) * np.linalg.norm(y)
            return float(x @ y / lengths) if lengths > 0 else float("nan")

        return over

    def memory(self, stimuli: int, width: int) -> int:
        """Bytes of two matrices, and of positions, codes and ranks of half as many pairs."""
        return 8 * 6 * stimuli**2


def ranks_of_codes(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ranks from 1 of non-negative integers, whose order is that of the values; ties share their mean rank."""
    counts = np.bincount(codes)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]
