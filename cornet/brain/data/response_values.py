"""Responses as numbers: which are refused, and which are missing, in words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError

__all__ = ["LARGEST", "check_responses", "missing_notes"]

LARGEST = 1e15
"""The largest size of a response. Fill values are larger (1e20, 9.97e36, 3.4e38); measurements are not."""


def check_responses(values: NDArray[Any], what: str = "the responses") -> None:
    """Raise CornetError for responses that are infinite, or larger than LARGEST. NaN stand for missing ones."""
    if values.dtype.kind != "f":
        return
    high, low = (float(end.reduce(values, axis=None, initial=0.0)) for end in (np.fmax, np.fmin))
    if max(high, -low) <= LARGEST:
        return
    if infinite := int(np.isinf(values).sum()):
        raise CornetError(
            f"{what} hold {infinite} infinite values, but must be numbers, or NaN where there is none; correct them."
        )
    raise CornetError(
        f"{what} hold {int((np.abs(values) > LARGEST).sum())} values beyond {LARGEST:g} in size, up to "
        f"{max(high, -low):.3g}: such numbers are fill values, not measurements; mark missing responses with NaN."
    )


def missing_notes(responses: NDArray[Any]) -> list[str]:
    """What (stimulus, neuroid) lacks, counted: NaN are missing."""
    stimuli, neuroids = responses.shape
    there = np.isfinite(responses)
    shown, number = int(there.any(axis=1).sum()), there.sum(axis=0)
    low = np.where(there, responses, np.inf).min(axis=0, initial=np.inf)
    high = np.where(there, responses, -np.inf).max(axis=0, initial=-np.inf)
    silent, constant = int((number == 0).sum()), int(((number > 0) & (low == high)).sum())
    partial = (number > 0) & (number < shown)
    notes = []
    if shown < stimuli:
        notes.append(f"{stimuli - shown} of {stimuli} stimuli have no responses and are left out")
    if silent:
        notes.append(f"{silent} of {neuroids} neuroids have no responses and are left out")
    if constant:
        notes.append(f"{constant} of {neuroids} neuroids never vary and are left out")
    if partial.any():
        notes.append(
            f"{int(partial.sum())} of {neuroids} neuroids have no response to some of the stimuli "
            f"({int((shown - number[partial]).sum())} of {shown * neuroids} responses) and are compared on the others"
        )
    return notes
