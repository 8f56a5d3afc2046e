"""Behaviour: does a network confuse the same images with the same objects as people do?

i2n (Rajalingham et al. 2018, J. Neurosci. 38, 7255) compares, image by image and distractor by distractor, d' from
which the mean over the images of each object was taken away; i1 compares each image's d' averaged over distractors.
The numbers are those of brainscore-vision 2.4.2, with the model's from
`cornet.brain.metrics.readout.readout_probabilities`.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cornet.brain.data.trials import HumanTrials, without_object_mean
from cornet.brain.metrics.dprime import dprime, mean_over_distractors
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["human_i1", "i1", "i1_ceiling", "i1_score", "i2n", "i2n_ceiling"]

Trials: TypeAlias = pd.DataFrame | HumanTrials


def i2n(
    probabilities: ArrayLike,
    choices: ArrayLike,
    stimulus_ids: ArrayLike,
    trials: Trials,
    truth: ArrayLike | None = None,
) -> Score:
    """How well a model's choices predict the observers', per image and distractor, within objects.

    probabilities: (image, choice) of the model; choices: (choice,) the objects that the columns stand for.
    stimulus_ids: (image,); truth: (image,) the object that each shows; None: as the trials have it, which is
        possible where every image has trials.
    trials: the observers' (`cornet.brain.data.trials.HumanTrials`, or a table to make them of).

    Pearson between the two over all (image, distractor) cells that the observers' trials fill: twice, with a random
    half of the trials each time (`HumanTrials.halves`). values: the two; raw: their mean; error: their standard
    deviation (ddof 0); n: images with trials. Divide with `.with_ceiling(i2n_ceiling(trials), "r/sqrt(c)")`.

    Raises CornetError where the arguments do not fit each other.
    """
    human = _human(trials)
    model, rows, columns = _model(probabilities, choices, stimulus_ids, human, truth)
    sensitivity = without_object_mean(dprime(model, rows.truth), rows.truth)[rows.of_human][:, columns]
    firsts = [without_object_mean(first, human.truth) for first, _ in human.halves]
    return _compared(human, [sensitivity] * len(firsts), firsts, "cells", "the model")


def i2n_ceiling(trials: Trials) -> Score:
    """How well one half of the observers' trials predicts the other: Pearson over the cells that both fill, for the
    same two random halvings as `i2n`."""
    human = _human(trials)
    halves = [[without_object_mean(half, human.truth) for half in pair] for pair in human.halves]
    return _compared(
        human, [b for _, b in halves], [a for a, _ in halves], "cells", "the second half of the trials"
    )


def i1(
    probabilities: ArrayLike, choices: ArrayLike, stimulus_ids: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """A model's d' for each image, averaged over distractors (not normalised), and the images' ids.

    Arguments as in `i2n`. NaN for an image without any defined d'.
    """
    p, names, ids = _checked(probabilities, choices, stimulus_ids)
    return mean_over_distractors(dprime(p, _columns(np.asarray(truth, str), names, ids))), ids


def human_i1(trials: Trials) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """The observers' i1 of each image, from all their trials, and the images' ids (sorted)."""
    human = _human(trials)
    return human.i1(), human.stimulus_ids


def i1_score(
    probabilities: ArrayLike,
    choices: ArrayLike,
    stimulus_ids: ArrayLike,
    trials: Trials,
    truth: ArrayLike | None = None,
) -> Score:
    """How well a model's i1 predicts the observers', over images. Arguments, halves and Score as in `i2n`."""
    human = _human(trials)
    model, rows, _ = _model(probabilities, choices, stimulus_ids, human, truth)
    values = mean_over_distractors(dprime(model, rows.truth))[rows.of_human]
    firsts = [mean_over_distractors(first) for first, _ in human.halves]
    return _compared(human, [values] * len(firsts), firsts, "images", "the model")


def i1_ceiling(trials: Trials) -> Score:
    """How well i1 of one half of the trials predicts that of the other, as in `i2n_ceiling`."""
    human = _human(trials)
    halves = [[mean_over_distractors(half) for half in pair] for pair in human.halves]
    return _compared(
        human, [b for _, b in halves], [a for a, _ in halves], "images", "the second half of the trials"
    )


class _Rows(NamedTuple):
    """The model's images: the column of each one's object, and where the images with trials stand among them."""

    truth: NDArray[np.intp]
    of_human: NDArray[np.intp]


def _human(trials: Trials) -> HumanTrials:
    return trials if isinstance(trials, HumanTrials) else HumanTrials(trials)


def _model(
    probabilities: ArrayLike, choices: ArrayLike, stimulus_ids: ArrayLike, human: HumanTrials, truth: Any
) -> tuple[NDArray[np.float64], _Rows, NDArray[np.intp]]:
    """Probabilities, rows, and the columns of the observers' objects."""
    p, names, ids = _checked(probabilities, choices, stimulus_ids)
    of_human = pd.Index(ids).get_indexer(pd.Index(human.stimulus_ids))
    if (of_human < 0).any():
        unknown = human.stimulus_ids[of_human < 0]
        raise CornetError(
            f"{len(unknown)} stimulus ids of the trials, such as {str(unknown[0])!r}, are not among the model's "
            f"{len(ids)} images; show it all images of the trials, or leave those trials out."
        )
    columns = pd.Index(names).get_indexer(pd.Index(human.objects))
    if (columns < 0).any():
        absent = human.objects[columns < 0]
        raise CornetError(
            f"the trials' object {str(absent[0])!r} is not among the model's choices ({', '.join(names[:30])}); "
            "fit the read-out on all objects of the trials."
        )
    if truth is not None:
        own = _columns(np.asarray(truth, str), names, ids)
        differing = np.flatnonzero(own[of_human] != columns[human.truth])
        if len(differing):
            image = of_human[differing[0]]
            raise CornetError(
                f"{len(differing)} images differ in truth and in the trials' sample, such as {str(ids[image])!r} "
                f"({names[own[image]]} and {human.objects[human.truth[differing[0]]]}); mend one of them."
            )
    elif len(human.stimulus_ids) < len(ids):
        without = np.setdiff1d(ids, human.stimulus_ids)
        raise CornetError(
            f"{len(without)} images, such as {str(without[0])!r}, have no trials that tell their object; give truth=, "
            "or leave them out."
        )
    else:
        own = np.empty(len(ids), np.intp)
        own[of_human] = columns[human.truth]
    return p, _Rows(own, of_human), columns


def _checked(
    probabilities: ArrayLike, choices: ArrayLike, stimulus_ids: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    p = np.asarray(probabilities, np.float64)
    names, ids = np.asarray(choices, str), np.asarray(stimulus_ids, str)
    if names.ndim != 1 or ids.ndim != 1 or p.shape != (len(ids), len(names)):
        raise CornetError(
            f"probabilities of shape {p.shape} must be (image, choice), here ({ids.size}, {names.size}); give one row "
            "for each stimulus id and one column for each choice."
        )
    if len(names) < 2:
        raise CornetError(f"there is {len(names)} choice, but at least 2 objects are needed to confuse.")
    for what, values in (("choice", names), ("stimulus id", ids)):
        if len(set(values.tolist())) < len(values):
            twice = pd.Index(values)[pd.Index(values).duplicated()][0]
            raise CornetError(
                f"the {what} {twice!r} occurs more than once, but each must be unique; keep one of each."
            )
    off = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) < 1e-3))
    if off.any():
        row = np.flatnonzero(off)[0]
        raise CornetError(
            f"{int(off.sum())} rows are no probabilities (that of {str(ids[row])!r} sums to {p[row].sum():.4g}, its "
            f"least is {p[row].min():.3g}); give each choice's probability, summing to 1, not scores or logits."
        )
    return p, names, ids


def _columns(truth: NDArray[np.str_], names: NDArray[np.str_], ids: NDArray[np.str_]) -> NDArray[np.intp]:
    """The column of each image's object."""
    if truth.shape != ids.shape:
        raise CornetError(
            f"truth of shape {truth.shape} does not match {len(ids)} images; give one object each."
        )
    column = pd.Index(names).get_indexer(pd.Index(truth))
    if (column < 0).any():
        raise CornetError(
            f"the object {str(truth[column < 0][0])!r} of {int((column < 0).sum())} images is not among the choices "
            f"({', '.join(names[:30])}); fit the read-out on all objects."
        )
    return column


def _compared(
    human: HumanTrials,
    sources: list[NDArray[np.float64]],
    targets: list[NDArray[np.float64]],
    unit: str,
    source_name: str,
) -> Score:
    """Pearson in each repetition over the cells that both have; those that all trials have and one of the two lacks
    are counted in notes, and so are images that lack all of theirs."""
    wanted = np.isfinite(human.dprime() if unit == "cells" else human.i1()[:, None])
    of_image = np.asarray(wanted.any(axis=1))
    ceiling = "" if source_name == "the model" else "ceiling: "
    names = "the first half of the trials", source_name
    values, counts, images = [], [], 0
    lost, gone = [0, 0], [np.zeros(len(wanted), bool) for _ in names]
    for target, source in zip(targets, sources, strict=True):
        there = [np.isfinite(side).reshape(wanted.shape) for side in (target, source)]
        both = there[0] & there[1]
        chosen = both.reshape(target.shape)
        values.append(_pearson(source[chosen], target[chosen]))
        counts.append(int(both.sum()))
        images = max(images, int(both.any(axis=1).sum()))
        for number, side in enumerate(there):
            lost[number] += int((wanted & ~side).sum())
            gone[number] |= of_image & ~(wanted & side).any(axis=1)
    notes = []
    if without := int((~of_image).sum()):
        notes.append(f"{ceiling}{without} of {len(of_image)} images with trials have no d' and are left out")
    for name, cells, whole in zip(names, lost, gone, strict=True):
        if cells:
            entire = f"; {int(whole.sum())} of {len(whole)} images have none" if whole.any() else ""
            notes.append(
                f"{ceiling}{cells} of {len(values) * int(wanted.sum())} {unit} (all repetitions) are undefined in "
                f"{name} and left out{entire}"
            )
    if not np.isfinite(values).all():
        notes.append(
            f"{sum(not np.isfinite(v) for v in values)} of {len(values)} repetitions have fewer than 2 {unit}, or no "
            "variance, and so no correlation"
        )
    finite = np.array([v for v in values if np.isfinite(v)])
    error = float(finite.std()) if finite.size else np.nan
    return Score.of_splits(values, error=error, n=images, notes=notes, details={unit: np.array(counts)})


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """NaN for fewer than two values, and where one side does not vary beyond rounding."""
    if len(a) < 2:
        return np.nan
    centred_a, centred_b = a - a.mean(), b - b.mean()
    lengths = np.linalg.norm(centred_a), np.linalg.norm(centred_b)
    rounding = 1e-13 * np.sqrt(len(a)) * np.array([np.abs(a).max(), np.abs(b).max()])
    if lengths[0] <= rounding[0] or lengths[1] <= rounding[1]:
        return np.nan
    return float(centred_a @ centred_b / (lengths[0] * lengths[1]))
