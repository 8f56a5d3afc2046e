"""Internal consistency: the split-half reliability of responses, which is the ceiling of predictivity."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.data.responses import check_responses
from cornet.brain.metrics.correlation import pearson
from cornet.brain.metrics.splits import half_splits
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = [
    "checked_repetitions",
    "correlate_neuroids",
    "even_odd_consistency",
    "internal_consistency",
    "stated_ceiling",
    "weighted_mean",
]


def internal_consistency(
    responses: ArrayLike, weights: ArrayLike | None = None, splits: int = 10, seed: int = 1
) -> Score:
    """Compute the split-half reliability of each neuroid with the Spearman-Brown correction 2 r / (1 + r).

    responses: (repetition, stimulus, neuroid), NaN where missing. Stimuli missing from either half are skipped.
    weights: same shape, the number of presentations averaged into each response; None: one each. A half is the mean
        over its presentations.
    splits, seed: ShuffleSplit(train_size=.5) over the repetitions, as in brainscore-vision 2.4.2.

    Returns a raw Score: values (split, neuroid), raw their median over neuroids, averaged over splits. Values are NaN
    if a neuroid has no variance in a half, or r is -1; notes count them.

    Raises CornetError for the wrong shape and for fewer than two repetitions.
    """
    array, counts = checked_repetitions(responses, weights)
    values = np.full((splits, array.shape[2]), math.nan)
    shown = np.isfinite(array).any(axis=0)
    stimuli, lost, partly = int(shown.any(axis=1).sum()), 0, 0
    for number, halves in enumerate(half_splits(len(array), splits, seed)):
        a, b = (weighted_mean(array[half], None if counts is None else counts[half]) for half in halves)
        halved = np.isfinite(a) & np.isfinite(b)
        gone = shown & ~halved
        lost += int((gone.any(axis=1) & ~halved.any(axis=1)).sum())
        partly += int(gone[halved.any(axis=1)].sum())
        r = correlate_neuroids(a, b)
        with np.errstate(divide="ignore", invalid="ignore"):
            corrected = 2 * r / (1 + r)
        values[number] = np.where(np.isfinite(corrected), corrected, math.nan)
    notes = []
    if lost:
        notes.append(
            f"ceiling: skipped {lost} of {splits * stimuli} pairs of split and stimulus without responses in one half"
        )
    if partly:
        notes.append(
            f"ceiling: skipped {partly} of {splits * int(shown.sum())} responses (split, stimulus, neuroid) that are "
            "missing in one half, while other neuroids have both"
        )
    absent = ~np.isfinite(values)
    if undefined := int(absent.all(axis=0).sum()):
        notes.append(
            f"ceiling: skipped {undefined} of {array.shape[2]} neuroids without consistency (too few repetitions or no "
            "variance)"
        )
    if some := int(absent[:, ~absent.all(axis=0)].sum()):
        notes.append(f"ceiling: skipped {some} of {values.size} undefined consistencies (split, neuroid)")
    return Score.of_splits(values, n=array.shape[1], notes=notes)


def stated_ceiling(reliabilities: ArrayLike) -> Score:
    """The ceiling of neuroids whose reliability is stated, (neuroid,): their median.

    As in Li2026 of Brain-Score 2.4.2: error is the standard deviation (ddof 0) of the medians of 1,000 samples of the
    finite values. values: (1, neuroid). NaN are left out and counted.
    """
    values = np.asarray(reliabilities, float)
    finite = values[np.isfinite(values)]
    notes = ["ceiling: as stated for each neuroid"]
    if left := len(values) - len(finite):
        notes.append(f"ceiling: skipped {left} of {len(values)} neuroids without a stated reliability")
    random = np.random.RandomState(0)
    draws = [np.median(random.choice(finite, len(finite))) for _ in range(1000)] if len(finite) else []
    return Score.of_splits(values[None], notes=notes, error=float(np.std(draws)) if draws else math.nan)


def even_odd_consistency(responses: ArrayLike) -> Score:
    """Reliability from two halves: repetitions of even and of odd number within each stimulus, with Spearman-Brown.

    responses: (repetition, stimulus, neuroid), NaN where missing; the repetitions of a stimulus are numbered from 0
    among those that it has. Stimuli with one repetition are left out and counted. As in Cowley2026 of Brain-Score: its
    ten splits are all the same two halves, so that its error is 0.

    Returns a raw Score: values (1, neuroid). Raises CornetError as `internal_consistency`.
    """
    array, _ = checked_repetitions(responses, None)
    shown = np.isfinite(array).any(axis=2)
    number = np.where(shown, np.cumsum(shown, axis=0) - 1, -1)
    halves = np.full((2, *array.shape[1:]), math.nan)
    for side in (0, 1):
        own = np.where(((number >= 0) & (number % 2 == side))[:, :, None], array, math.nan)
        halves[side] = weighted_mean(own, None)
    found = internal_consistency(halves, splits=1)
    single = int((shown.sum(axis=0) == 1).sum())
    notes = [f"ceiling: skipped {single} of {array.shape[1]} stimuli with one repetition"] * bool(single)
    return Score.of_splits(found.values, n=array.shape[1], notes=[*notes, *found.notes])


def checked_repetitions(
    responses: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Check the arguments of `internal_consistency` and return them as arrays. Raises CornetError as it does."""
    array = np.asarray(responses)
    if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "fiub":
        raise CornetError(
            f"responses of shape {array.shape} and type {array.dtype} must be numbers, (repetition, stimulus, neuroid)."
        )
    if len(array) < 2:
        raise CornetError(
            "a ceiling needs at least 2 repetitions, but the responses have 1; score averaged responses without a "
            "ceiling (scale raw)."
        )
    check_responses(array)
    counts = None if weights is None else np.asarray(weights)
    if counts is not None and counts.shape != array.shape:
        raise CornetError(
            f"weights of shape {counts.shape} must have the shape of the responses, {array.shape}."
        )
    return array, counts


def weighted_mean(half: NDArray, counts: NDArray | None) -> NDArray[np.float64]:
    """Return the mean over repetitions weighted by counts; NaN are skipped."""
    if counts is None and (half.dtype.kind != "f" or not np.isnan(half).any()):
        return half.mean(axis=0, dtype=float)
    valid = np.isfinite(half)
    each = valid if counts is None else valid * counts
    total = (np.where(valid, half, 0.0) * each).sum(axis=0, dtype=float)
    number = each.sum(axis=0, dtype=float)
    return np.divide(total, number, out=np.full(total.shape, math.nan), where=number > 0)


def correlate_neuroids(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's r per neuroid over the stimuli present in both, (stimulus, neuroid) each."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.all():
        return pearson(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    result = np.full(a.shape[1], math.nan)
    for column in range(a.shape[1]):
        rows = both[:, column]
        if rows.sum() > 1:
            sides = (torch.from_numpy(side[rows, column, None]) for side in (a, b))
            result[column] = pearson(*sides)[0]
    return result
