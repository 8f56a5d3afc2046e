"""How exclusively each projection neuron reads one receptor type (Wang et al. 2021, Neuron 109:3879).

In the fly, the receptor neurons of one type end in one glomerulus: each projection neuron reads one type, and all 50
types have one. The GloScore measures the first; the types that are covered, the second.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.errors import CornetError

__all__ = ["glo_score", "similarity_score", "type_weights", "types_covered"]

Floats = NDArray[np.float64]


def type_weights(weights: ArrayLike, types: int, signed: bool = False) -> Floats:
    """Mean weight of the receptor neurons of each type, (PN, type).

    weights: (PN, ORN); receptor neuron j has the type j mod types. signed: mean of the weights in place of their
    magnitudes. Raises CornetError unless the receptor neurons are whole copies of the types.
    """
    matrix = np.asarray(weights, np.float64)
    if matrix.ndim != 2 or types < 1 or matrix.shape[1] % types:
        raise CornetError(
            f"weights of shape {matrix.shape} are not (PN, ORN) with a multiple of {types} receptor neurons; give the "
            "number of receptor types."
        )
    matrix = matrix if signed else np.abs(matrix)
    mean: Floats = matrix.reshape(len(matrix), -1, types).mean(axis=1)
    return mean


def glo_score(weights: ArrayLike) -> tuple[float, Floats]:
    """GloScore of a matrix (PN, type), and that of each neuron: (largest - second) / (largest + second).

    1: each neuron reads one type only; 0: the two largest weights of each are equal; .33: the largest is twice the
    second. A neuron without any weight has 0. With negative weights a score can exceed 1.
    """
    matrix = np.asarray(weights, np.float64)
    if matrix.shape[1] < 2:
        raise CornetError(
            f"a GloScore compares two receptor types, but there is {matrix.shape[1]}; give more."
        )
    second, largest = np.sort(matrix, axis=1)[:, -2:].T
    total = largest + second
    each = np.divide(largest - second, total, out=np.zeros_like(total), where=total != 0)
    return float(each.mean()), each


def types_covered(weights: ArrayLike) -> int:
    """Number of receptor types that are the largest input of some neuron; weights: (PN, type)."""
    return len(np.unique(np.asarray(weights).argmax(axis=1)))


def similarity_score(weights: ArrayLike, types: int) -> tuple[float, Floats]:
    """Mean cosine similarity of the outgoing weights of the receptor neurons of a type, and that of each type.

    weights: (PN, ORN), tiled. The similarity of a neuron with itself, 1, counts too, so one copy per type gives 1.
    """
    matrix = np.abs(np.asarray(weights, np.float64)).T
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0)
    total = unit.reshape(-1, types, unit.shape[1]).mean(
        axis=0
    )  # the mean of all pairs is the square of the mean
    each = (total**2).sum(axis=1)
    return float(each.mean()), each
