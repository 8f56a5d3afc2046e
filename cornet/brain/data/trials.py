"""Trials in which observers chose between an image's object and a distractor, counted into matrices.

On every trial an image of one object (`sample`) is shown, then the choice between it and one other object
(`distractor`) is offered: the task of Rajalingham et al. (2018), J. Neurosci. 38, 7255. Names become numbers once,
here, so that half of 585,511 trials is counted in milliseconds; `HumanTrials` can be kept and used for every epoch.
"""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.columns import check_one_value, is_missing
from cornet.brain.metrics.dprime import dprime_of_alarms, mean_by_truth, mean_over_distractors
from cornet.errors import CornetError

__all__ = ["HumanTrials", "without_object_mean"]

COLUMNS = ("stimulus_id", "sample", "distractor", "choice")
REPETITIONS = 2


class HumanTrials:
    """Trials as numbers.

    trials: one row each, with the columns stimulus_id, sample (the object shown), distractor, choice (one of these
        two). An image's object is its trials' sample.

    stimulus_ids: (image,) the images with trials, sorted. objects: (object,) all samples and distractors, sorted.
    truth: (image,) the position of each image's object in `objects`.

    Raises CornetError for missing columns, no trials, a missing value, a distractor equal to the sample, a choice
    that is neither, and an image with two samples.
    """

    def __init__(self, trials: pd.DataFrame) -> None:
        missing = [column for column in COLUMNS if column not in trials]
        if missing:
            raise CornetError(
                f"the trials have no column {missing[0]} (there are {', '.join(map(str, trials.columns)) or 'none'}); "
                f"give {', '.join(COLUMNS)}."
            )
        if len(trials) == 0:
            raise CornetError("there are no trials; give at least one row.")
        image, self.stimulus_ids = _coded(trials["stimulus_id"])
        sample, distractor, choice, self.objects = _coded_together(trials)
        _check(trials, sample, distractor, choice)
        check_one_value(trials["stimulus_id"], trials["sample"], "sample", "the table of trials")
        self.truth = np.zeros(len(self.stimulus_ids), np.intp)
        self.truth[image] = sample
        self._cell = image * len(self.objects) + distractor
        self._alarm = choice == distractor

    def __len__(self) -> int:
        return len(self._cell)

    def coded(self) -> list[NDArray[Any]]:
        """All that is in the trials: images, objects, and of every trial what was offered and what was chosen."""
        return [self.stimulus_ids, self.objects, self.truth, self._cell, self._alarm]

    def alarms(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.float64]:
        """(image, object): the share of these trials on an image, with a distractor offered, in which it was chosen.

        NaN where it was never offered."""
        shape = len(self.stimulus_ids), len(self.objects)
        cells, alarm = self._cell[rows], self._alarm[rows]
        offered = np.bincount(cells, minlength=shape[0] * shape[1])
        chosen = np.bincount(cells[alarm], minlength=shape[0] * shape[1])
        with np.errstate(invalid="ignore"):
            return (chosen / offered).reshape(shape)

    def dprime(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.float64]:
        """(image, object): d' of these trials, as `cornet.brain.metrics.dprime` has it."""
        return dprime_of_alarms(self.alarms(rows), self.truth)

    @cached_property
    def halves(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """d' (image, object) of the first and the second half of the trials, for each of two repetitions.

        One RandomState(0) shuffles a fresh list of all trials for each, as the reference does; the model is compared
        with the first halves (the first n // 2 trials), the ceiling compares both.
        """
        random, result = np.random.RandomState(0), []
        for _ in range(REPETITIONS):
            order = np.arange(len(self))
            random.shuffle(order)
            first, second = order[: len(order) // 2], order[len(order) // 2 :]
            result.append((self.dprime(first), self.dprime(second)))
        return result

    def i1(self) -> NDArray[np.float64]:
        """(image,): d' of all trials, averaged over distractors."""
        return mean_over_distractors(self.dprime())


def without_object_mean(dprime: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """The "n" of i2n: from each cell (image, choice) the mean of the cells of that object's images is taken away, so
    that only differences between images of one object remain."""
    return dprime - mean_by_truth(dprime, truth)[truth]


def _coded(column: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Positions in the sorted names, and the names."""
    codes, names = pd.factorize(column)
    _check_missing(codes, names, column)
    text = np.asarray(names, str)
    ordered = np.unique(text)
    return np.searchsorted(ordered, text)[codes], ordered


def _coded_together(trials: pd.DataFrame) -> tuple[Any, Any, Any, NDArray[Any]]:
    """The three columns of objects, coded by one list of names, and that list."""
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
            f"{int(missing.sum())} trials have no {column.name}, and each needs one; leave those trials out."
        )


def _check(trials: pd.DataFrame, sample: Any, distractor: Any, choice: Any) -> None:
    same = np.flatnonzero(sample == distractor)
    if len(same):
        raise CornetError(
            f"{len(same)} trials offer {str(trials['sample'].iloc[same[0]])!r} as the distractor of itself (the first "
            f"in row {same[0]}), but the two must differ; leave those trials out."
        )
    neither = np.flatnonzero((choice != sample) & (choice != distractor))
    if len(neither):
        row = trials.iloc[neither[0]]
        raise CornetError(
            f"{len(neither)} trials have a choice that was not offered (the first in row {neither[0]}: "
            f"{row['choice']}, not {row['sample']} or {row['distractor']}); leave those trials out."
        )
