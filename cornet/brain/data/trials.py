"""Count trials in which observers chose between an image's object and a distractor.

Each trial shows an image of one object (`sample`) and then offers it and one other object (`distractor`) as choices:
the task of Rajalingham et al. (2018), J. Neurosci. 38, 7255. Names are encoded as numbers once, so that half of
585,511 trials is counted in milliseconds. Reuse a `HumanTrials` object across epochs.
"""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.columns import check_one_value, is_missing
from cornet.brain.metrics.choices.dprime import dprime_of_alarms, mean_by_truth, mean_over_distractors
from cornet.errors import CornetError

__all__ = ["HumanTrials", "subtract_object_mean"]

COLUMNS = ("stimulus_id", "sample", "distractor", "choice")
HALVINGS = 2


class HumanTrials:
    """Trials encoded as numbers.

    trials: one row per trial, with the columns stimulus_id, sample (the object shown), distractor, and choice (one of
        these two).

    stimulus_ids: (image,) the images with trials, sorted. objects: (object,) all samples and distractors, sorted.
    truth: (image,) the position of each image's object (its sample) in `objects`.

    Raises CornetError for missing columns or values, an empty table, a distractor equal to the sample, a choice that
    was not offered, and an image with two samples.
    """

    def __init__(self, trials: pd.DataFrame) -> None:
        missing = [column for column in COLUMNS if column not in trials]
        if missing:
            raise CornetError(
                f"the trials have the columns {', '.join(map(str, trials.columns)) or '(none)'}, but {missing[0]} is "
                f"required; provide {', '.join(COLUMNS)}."
            )
        if len(trials) == 0:
            raise CornetError("the table of trials is empty; provide at least one row.")
        image, self.stimulus_ids = _encode(trials["stimulus_id"])
        sample, distractor, choice, self.objects = _encode_objects(trials)
        _check(trials, sample, distractor, choice)
        check_one_value(trials["stimulus_id"], trials["sample"], "sample", "the table of trials")
        self.truth = np.zeros(len(self.stimulus_ids), np.intp)
        self.truth[image] = sample
        self._cell = image * len(self.objects) + distractor
        self._alarm = choice == distractor

    def __len__(self) -> int:
        return len(self._cell)

    def as_arrays(self) -> list[NDArray[Any]]:
        """Return all content as arrays (for hashing): images, objects, truth, and each trial's offer and choice."""
        return [self.stimulus_ids, self.objects, self.truth, self._cell, self._alarm]

    def alarms(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.float64]:
        """Return the false alarm rates, (image, object): the share of trials in which the distractor was chosen.

        rows: the trials to count. NaN where a distractor was never offered."""
        shape = len(self.stimulus_ids), len(self.objects)
        cells, alarm = self._cell[rows], self._alarm[rows]
        offered = np.bincount(cells, minlength=shape[0] * shape[1])
        chosen = np.bincount(cells[alarm], minlength=shape[0] * shape[1])
        with np.errstate(invalid="ignore"):
            return (chosen / offered).reshape(shape)

    def dprime(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.float64]:
        """Return d' of these trials, (image, object); see `cornet.brain.metrics.choices.dprime`."""
        return dprime_of_alarms(self.alarms(rows), self.truth)

    @cached_property
    def halves(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """d' (image, object) of the first and second half of the trials, for two random halvings.

        As in the reference, one RandomState(0) shuffles all trials for each halving. The model is compared with the
        first halves (n // 2 trials); the ceiling compares both.
        """
        random, result = np.random.RandomState(0), []
        for _ in range(HALVINGS):
            order = np.arange(len(self))
            random.shuffle(order)
            first, second = order[: len(order) // 2], order[len(order) // 2 :]
            result.append((self.dprime(first), self.dprime(second)))
        return result

    def i1(self) -> NDArray[np.float64]:
        """Return d' of all trials averaged over distractors, (image,)."""
        return mean_over_distractors(self.dprime())


def subtract_object_mean(dprime: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Subtract the mean over each object's images from (image, choice): the "n" (normalised) of i2n.

    Only differences between images of the same object remain."""
    return dprime - mean_by_truth(dprime, truth)[truth]


def _encode(column: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Encode a column: returns each entry's position in the sorted names, and the names."""
    codes, names = pd.factorize(column)
    _check_missing(codes, names, column)
    text = np.asarray(names, str)
    ordered = np.unique(text)
    return np.searchsorted(ordered, text)[codes], ordered


def _encode_objects(trials: pd.DataFrame) -> tuple[Any, Any, Any, NDArray[Any]]:
    """Encode the three object columns by one sorted list of names; returns the codes and the list."""
    columns = [trials[name] for name in ("sample", "distractor", "choice")]
    each = [pd.factorize(column) for column in columns]
    for (codes, names), column in zip(each, columns, strict=True):
        _check_missing(codes, names, column)
    all_names = np.unique(np.concatenate([np.asarray(names, str) for _, names in each]))
    sample, distractor, choice = (
        np.searchsorted(all_names, np.asarray(names, str))[codes] for codes, names in each
    )
    return sample, distractor, choice, all_names


def _check_missing(codes: Any, names: Any, column: pd.Series) -> None:
    missing = (codes < 0) | np.append(is_missing(names), True)[codes]
    if missing.any():
        raise CornetError(
            f"{int(missing.sum())} trials have no {column.name}, but every trial needs one; drop those trials."
        )


def _check(trials: pd.DataFrame, sample: Any, distractor: Any, choice: Any) -> None:
    """Raise CornetError for a distractor equal to the sample and for a choice that was not offered."""
    same = np.flatnonzero(sample == distractor)
    if len(same):
        raise CornetError(
            f"{len(same)} trials have {str(trials['sample'].iloc[same[0]])!r} as both sample and distractor (first in "
            f"row {same[0]}), but the two must differ; drop those trials."
        )
    neither = np.flatnonzero((choice != sample) & (choice != distractor))
    if len(neither):
        row = trials.iloc[neither[0]]
        raise CornetError(
            f"{len(neither)} trials have a choice that was not offered (first in row {neither[0]}: "
            f"{row['choice']}, not {row['sample']} or {row['distractor']}); drop those trials."
        )
