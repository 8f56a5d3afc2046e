"""Centred kernel alignment of features and responses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.metrics.neural.registry import register
from cornet.brain.metrics.neural.similarity_metric import Similarity
from cornet.brain.metrics.similarity import centred_gram, gram_cka

__all__ = ["CenteredKernelAlignment"]


@register("cka")
class CenteredKernelAlignment(Similarity):
    """Unbiased linear CKA of the features and the averaged responses, as `cornet.brain.cka`, over all stimuli.

    Kornblith et al. (2019), ICML, equation 4; unbiased estimator: Song et al. (2012), JMLR 13, 1393, equation 5. It is
    a correlation of the entries of the two Gram matrices of the centred patterns. Error and ceiling: see `Similarity`.
    """

    summary = "similarity of Gram matrices: unbiased linear CKA"

    def matrix(self, patterns: Any, device: torch.device | str, memory: int) -> Tensor:
        """The Gram matrix of the centred patterns, (stimulus, stimulus)."""
        return centred_gram(patterns, device, memory)

    def part(self, matrix: Tensor, stimuli: NDArray[np.int64]) -> Tensor:
        rows = torch.from_numpy(stimuli).to(matrix.device)
        return matrix[rows][:, rows]

    def comparison(self, a: Tensor, b: Tensor) -> Callable[[NDArray[np.bool_]], float]:
        def over(stimuli: NDArray[np.bool_]) -> float:
            rows = np.flatnonzero(stimuli)
            return gram_cka(self.part(a, rows), self.part(b, rows))

        return over

    def memory(self, stimuli: int, width: int) -> int:
        """Bytes of two Gram matrices, their parts and three products."""
        return 8 * 8 * stimuli**2
