"""Compare a network's object confusions with human choices (i1, i2n).

i2n (Rajalingham et al. 2018, J. Neurosci. 38, 7255) compares d' per image and distractor after subtracting the mean
over each object's images. i1 compares d' per image, averaged over distractors. Given model probabilities from
`cornet.brain.metrics.choices.readout.readout_probabilities`, the scores equal those of brainscore-vision 2.4.2.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cornet.brain.data.trials import HumanTrials, subtract_object_mean
from cornet.brain.metrics.choices.dprime import dprime, mean_over_distractors
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
    """Correlate a model's i2n with that of human observers.

    probabilities: (image, choice), the model's. choices: (choice,), the objects of the columns.
    stimulus_ids: (image,). truth: (image,), the object in each image; None: taken from the trials, which must then
        cover every image.
    trials: the observers' trials, as `cornet.brain.data.trials.HumanTrials` or as a table for it.

    Computes Pearson's r over all (image, distractor) cells with trials, for each of two random halves of the trials
    (`HumanTrials.halves`). values: both correlations; raw: their mean; error: their standard deviation (ddof 0); n:
    images with trials. Normalise with `.with_ceiling(i2n_ceiling(trials), "r/sqrt(c)")`.

    Raises CornetError for inconsistent arguments.
    """
    human = _human(trials)
    model, rows, columns = _align_model(probabilities, choices, stimulus_ids, human, truth)
    sensitivity = subtract_object_mean(dprime(model, rows.truth), rows.truth)[rows.of_human][:, columns]
    firsts = [subtract_object_mean(first, human.truth) for first, _ in human.halves]
    return _score_halves(human, [sensitivity] * len(firsts), firsts, "cells", "the model")


def i2n_ceiling(trials: Trials) -> Score:
    """Correlate i2n between the two halves of the observers' trials, for the same two random halvings as `i2n`."""
    human = _human(trials)
    halves = [[subtract_object_mean(half, human.truth) for half in pair] for pair in human.halves]
    return _score_halves(
        human, [b for _, b in halves], [a for a, _ in halves], "cells", "the second half of the trials"
    )


def i1(
    probabilities: ArrayLike, choices: ArrayLike, stimulus_ids: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return a model's i1, d' per image averaged over distractors (not normalised), and the image ids.

    See `i2n` for the arguments. NaN for an image without any defined d'.
    """
    p, names, ids = _check_inputs(probabilities, choices, stimulus_ids)
    return mean_over_distractors(dprime(p, _columns(np.asarray(truth, str), names, ids))), ids


def human_i1(trials: Trials) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return the observers' i1 per image from all trials, and the sorted image ids."""
    human = _human(trials)
    return human.i1(), human.stimulus_ids


def i1_score(
    probabilities: ArrayLike,
    choices: ArrayLike,
    stimulus_ids: ArrayLike,
    trials: Trials,
    truth: ArrayLike | None = None,
) -> Score:
    """Correlate a model's i1 with the observers' over images. See `i2n` for arguments, halves and Score."""
    human = _human(trials)
    model, rows, _ = _align_model(probabilities, choices, stimulus_ids, human, truth)
    values = mean_over_distractors(dprime(model, rows.truth))[rows.of_human]
    firsts = [mean_over_distractors(first) for first, _ in human.halves]
    return _score_halves(human, [values] * len(firsts), firsts, "images", "the model")


def i1_ceiling(trials: Trials) -> Score:
    """Correlate i1 between the two halves of the observers' trials, as in `i2n_ceiling`."""
    human = _human(trials)
    halves = [[mean_over_distractors(half) for half in pair] for pair in human.halves]
    return _score_halves(
        human, [b for _, b in halves], [a for a, _ in halves], "images", "the second half of the trials"
    )


class _Rows(NamedTuple):
    """truth: the choice column of each model image's object. of_human: the model rows of the images with trials."""

    truth: NDArray[np.intp]
    of_human: NDArray[np.intp]


def _human(trials: Trials) -> HumanTrials:
    return trials if isinstance(trials, HumanTrials) else HumanTrials(trials)


def _align_model(
    probabilities: ArrayLike, choices: ArrayLike, stimulus_ids: ArrayLike, human: HumanTrials, truth: Any
) -> tuple[NDArray[np.float64], _Rows, NDArray[np.intp]]:
    """Check and align the model's images with the trials.

    Returns the probabilities, the rows, and the columns of the observers' objects."""
    p, names, ids = _check_inputs(probabilities, choices, stimulus_ids)
    of_human = pd.Index(ids).get_indexer(pd.Index(human.stimulus_ids))
    if (of_human < 0).any():
        unknown = human.stimulus_ids[of_human < 0]
        raise CornetError(
            f"{len(unknown)} stimulus ids of the trials, such as {str(unknown[0])!r}, are not among the model's "
            f"{len(ids)} images; add those images or drop those trials."
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
                f"({names[own[image]]} and {human.objects[human.truth[differing[0]]]}); correct one."
            )
    elif len(human.stimulus_ids) < len(ids):
        without = np.setdiff1d(ids, human.stimulus_ids)
        raise CornetError(
            f"{len(without)} images, such as {str(without[0])!r}, have no trials to infer their object from; set truth "
            "or drop them."
        )
    else:
        own = np.empty(len(ids), np.intp)
        own[of_human] = columns[human.truth]
    return p, _Rows(own, of_human), columns


def _check_inputs(
    probabilities: ArrayLike, choices: ArrayLike, stimulus_ids: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Return probabilities, choices and stimulus ids as arrays. Raises CornetError if they are invalid."""
    p = np.asarray(probabilities, np.float64)
    names, ids = np.asarray(choices, str), np.asarray(stimulus_ids, str)
    if names.ndim != 1 or ids.ndim != 1 or p.shape != (len(ids), len(names)):
        raise CornetError(
            f"probabilities of shape {p.shape} must be (image, choice), here ({ids.size}, {names.size}); provide one "
            "row per stimulus id and one column per choice."
        )
    if len(names) < 2:
        raise CornetError(f"choices has {len(names)} object, but needs at least 2; add the others.")
    for what, values in (("choice", names), ("stimulus id", ids)):
        if len(set(values.tolist())) < len(values):
            twice = pd.Index(values)[pd.Index(values).duplicated()][0]
            raise CornetError(
                f"the {what} {twice!r} occurs more than once, but must be unique; remove the duplicates."
            )
    invalid = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) < 1e-3))
    if invalid.any():
        row = np.flatnonzero(invalid)[0]
        raise CornetError(
            f"{int(invalid.sum())} rows are not probabilities (that of {str(ids[row])!r} has sum {p[row].sum():.4g} "
            f"and minimum {p[row].min():.3g}); pass probabilities that sum to 1, not scores or logits."
        )
    return p, names, ids


def _columns(truth: NDArray[np.str_], names: NDArray[np.str_], ids: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the choice column of each image's object."""
    if truth.shape != ids.shape:
        raise CornetError(
            f"truth of shape {truth.shape} does not match {len(ids)} images; provide one object per image."
        )
    column = pd.Index(names).get_indexer(pd.Index(truth))
    if (column < 0).any():
        raise CornetError(
            f"the object {str(truth[column < 0][0])!r} of {int((column < 0).sum())} images is not among the choices "
            f"({', '.join(names[:30])}); fit the read-out on all objects."
        )
    return column


def _score_halves(
    human: HumanTrials,
    sources: list[NDArray[np.float64]],
    targets: list[NDArray[np.float64]],
    unit: str,
    source_name: str,
) -> Score:
    """Correlate sources with targets for each halving, over the cells that both have.

    Notes count the cells that are defined for all trials but missing from a source or target, and images without any.
    """
    wanted = np.isfinite(human.dprime() if unit == "cells" else human.i1()[:, None])
    of_image = np.asarray(wanted.any(axis=1))
    ceiling = "" if source_name == "the model" else "ceiling: "
    names = "the first half of the trials", source_name
    values, counts, images = [], [], 0
    lost, images_gone = [0, 0], [np.zeros(len(wanted), bool) for _ in names]
    for target, source in zip(targets, sources, strict=True):
        valid = [np.isfinite(side).reshape(wanted.shape) for side in (target, source)]
        both = valid[0] & valid[1]
        chosen = both.reshape(target.shape)
        values.append(_pearson(source[chosen], target[chosen]))
        counts.append(int(both.sum()))
        images = max(images, int(both.any(axis=1).sum()))
        for number, side in enumerate(valid):
            lost[number] += int((wanted & ~side).sum())
            images_gone[number] |= of_image & ~(wanted & side).any(axis=1)
    notes = []
    if without := int((~of_image).sum()):
        notes.append(
            f"{ceiling}skipped {without} of {len(of_image)} images with trials, whose d' is undefined"
        )
    for name, cells, empty in zip(names, lost, images_gone, strict=True):
        if cells:
            images_lost = f"; {int(empty.sum())} of {len(empty)} images have none" if empty.any() else ""
            notes.append(
                f"{ceiling}skipped {cells} of {len(values) * int(wanted.sum())} {unit} (all repetitions) that are "
                f"undefined in {name}{images_lost}"
            )
    if not np.isfinite(values).all():
        notes.append(
            f"{sum(not np.isfinite(v) for v in values)} of {len(values)} repetitions have no correlation (fewer than 2 "
            f"{unit}, or no variance)"
        )
    finite = np.array([v for v in values if np.isfinite(v)])
    error = float(finite.std()) if finite.size else np.nan
    return Score.of_splits(values, error=error, n=images, notes=notes, details={unit: np.array(counts)})


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Pearson's r; NaN for fewer than two values, or if one side is constant up to rounding."""
    if len(a) < 2:
        return np.nan
    centred_a, centred_b = a - a.mean(), b - b.mean()
    lengths = np.linalg.norm(centred_a), np.linalg.norm(centred_b)
    rounding = 1e-13 * np.sqrt(len(a)) * np.array([np.abs(a).max(), np.abs(b).max()])
    if lengths[0] <= rounding[0] or lengths[1] <= rounding[1]:
        return np.nan
    return float(centred_a @ centred_b / (lengths[0] * lengths[1]))
