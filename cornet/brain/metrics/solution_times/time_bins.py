"""Group time bins in which the features are equal, so that each distinct bin is decoded once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.errors import CornetError

__all__ = ["TimeBins", "distinct_bins"]

ROWS = 64
"""Images compared at a time, to avoid a mask of the size of the features."""


@dataclass(frozen=True, eq=False)
class TimeBins:
    """states: distinct (image, feature) arrays, in the order of their first bin. of_bin: (time,), the state of each."""

    states: list[NDArray[Any]]
    of_bin: NDArray[np.intp]


def distinct_bins(features: Any) -> TimeBins:
    """Group time bins that are identical: the same object, or equal values.

    features: (stimulus, feature, time), array or tensor; or a sequence over time of (stimulus, feature) that may
    repeat an array.

    Raises CornetError for other shapes and for values that are not finite.
    """
    if isinstance(features, Sequence):
        arrays: dict[int, NDArray[Any]] = {}
        for part in features:  # convert each object once, to copy it from the GPU only once
            if id(part) not in arrays:
                arrays[id(part)] = _array(part)
        bins = [arrays[id(part)] for part in features]
        shapes = {part.shape for part in bins}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise CornetError(
                f"features over time have the shapes {', '.join(map(str, sorted(shapes))) or 'none'}, but all must be "
                "(stimulus, feature) of one shape; record the same units in every time bin."
            )
    else:
        whole = _array(features)
        if whole.ndim != 3:
            raise CornetError(
                f"features of shape {whole.shape} must be (stimulus, feature, time), or a list over time of (stimulus, "
                "feature)."
            )
        bins = [whole[:, :, k] for k in range(whole.shape[2])]
    if not bins or 0 in bins[0].shape:
        raise CornetError("the features are empty; provide at least one stimulus, feature and time bin.")
    states: list[NDArray[Any]] = []
    of_bin = []
    for array in bins:
        known = next((k for k, state in enumerate(states) if _equal(state, array)), None)
        if known is None:
            known = len(states)
            states.append(array)
            _check_finite(array)
        of_bin.append(known)
    return TimeBins(states, np.array(of_bin, np.intp))


def _array(part: Any) -> NDArray[Any]:
    if isinstance(part, torch.Tensor):
        part = part.detach().cpu()
        part = part.float() if part.dtype == torch.bfloat16 else part
        return part.numpy()
    array = np.asarray(part)
    if array.dtype.kind not in "fiub":
        raise CornetError(f"features of type {array.dtype} are not numbers; use floating-point arrays.")
    return array


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a is b:
        return True
    return all(np.array_equal(a[k : k + ROWS], b[k : k + ROWS]) for k in range(0, len(a), ROWS))


def _check_finite(array: NDArray[Any]) -> None:
    finite = sum(int(np.isfinite(array[k : k + ROWS]).sum()) for k in range(0, len(array), ROWS))
    if missing := array.size - finite:
        raise CornetError(
            f"{missing} of {array.size} features in a time bin are NaN or infinite, but must be finite; find where the "
            "network overflows, or drop these units or stimuli."
        )
