"""Error consistency: are a network and an observer right and wrong on the same images, beyond what their accuracies
bring about by chance?

Geirhos, Meding & Wichmann (2020), NeurIPS: Cohen's kappa of the two sequences of right and wrong answers. Averages
and ceiling as in brainscore-vision 2.4.2.
"""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cornet.brain.data.columns import categories, is_missing
from cornet.brain.metrics.class_choices import Choices
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["choices_by_subject", "error_consistency"]

LEAST_ANSWERED = 0.5
"""Of the most answers that any subject gave, the share below which a subject is left out."""


def error_consistency(
    model_choice: ArrayLike | Choices,
    subject_choice: ArrayLike,
    truth: ArrayLike,
    condition: ArrayLike | None = None,
    subject: ArrayLike | None = None,
) -> Score:
    """Cohen's kappa between a model's and each subject's right and wrong answers.

    model_choice: (stimulus,) names, or `class_choices.Choices`, which say how the model came to answer.
    subject_choice: (subject, stimulus). truth: (stimulus,). condition: (stimulus,); None: all the same.
    subject: (subject,) names, for the notes; None: numbered from 0.
    No answer ("", "na", None, NaN) counts as wrong.

    A subject who answered fewer than half as many stimuli as the one with the most answers is left out, and named in
    a note: its kappas would compare missing answers, which count as wrong. Such a subject is often a misspelt name.

    kappa = (observed - expected) / (1 - expected), per subject and condition, observed being the share of stimuli on
    which both are right or both wrong, and expected = a b + (1 - a)(1 - b) from their accuracies. raw: the mean over
    conditions, then over subjects, then its absolute value. ceiling: the same over all pairs of subjects. scale: r/c.
    values: (subject,), signed. error: their standard deviation (ddof 0) / sqrt(subjects).

    Where both are right (or wrong) on every stimulus of a condition, kappa is undefined: it is left out, and counted
    in a note. details: subjects, those compared; conditions; kappa (subject, condition); ceiling_kappa (pair,
    condition); model_accuracy (condition,); subject_accuracy (subject, condition).

    Raises CornetError where lengths do not match, a truth is missing, or no answer is the name of any object.
    """
    way = model_choice.way if isinstance(model_choice, Choices) else ""
    answers = model_choice.choice if isinstance(model_choice, Choices) else model_choice
    model, subjects, objects = _names(answers), _names(subject_choice), _names(truth)
    conditions, codes = _conditions(condition, len(objects))
    _check(model, subjects, objects)
    who = np.arange(len(subjects)).astype(str) if subject is None else np.asarray(subject, str)
    if who.shape != subjects.shape[:1]:
        raise CornetError(
            f"subject of shape {who.shape} does not match {len(subjects)} subjects; give one name each."
        )
    notes = [way] if way else []
    answered = (subjects != "").sum(axis=1)
    few = answered < LEAST_ANSWERED * answered.max()
    if few.any():
        notes.append(
            f"{int(few.sum())} of {len(few)} subjects ({', '.join(map(repr, who[few].tolist()[:5]))}) are left out: "
            f"they answered {answered[few].max()} stimuli or fewer, and another one {answered.max()}"
        )
        subjects, who = subjects[~few], who[~few]
    right = np.concatenate([model[None], subjects]) == objects
    accuracy = np.stack([right[:, codes == k].mean(axis=1) for k in range(len(conditions))], axis=1)
    kappas = np.stack([_kappa(right[:, codes == k]) for k in range(len(conditions))], axis=2)
    ours, pairs = kappas[0, 1:], list(combinations(range(1, len(right)), 2))
    theirs = np.array([kappas[i, j] for i, j in pairs]).reshape(len(pairs), len(conditions))

    values, limits = _means(ours), _means(theirs)
    raw, ceiling = abs(_mean(values)), abs(_mean(limits))
    there = values[np.isfinite(values)]
    unanswered = int((model == "").sum()), int((subjects == "").sum())
    for number, whose in zip(unanswered, ("the model", "the subjects"), strict=True):
        if number:
            notes.append(f"{number} missing answers of {whose} count as wrong")
    for what, each in (("the model and a subject", ours), ("two subjects", theirs)):
        if np.isnan(each).any():
            notes.append(
                f"{int(np.isnan(each).sum())} of {each.size} kappas between {what} are undefined (both right, or both "
                "wrong, on every stimulus of the condition) and left out"
            )
    if not pairs:
        notes.append("there is one subject, so no ceiling")
    return Score(
        raw=raw,
        values=values,
        error=float(there.std() / math.sqrt(there.size)) if there.size else math.nan,
        n=len(objects),
        notes=tuple(notes),
        details={
            "subjects": who,
            "conditions": conditions,
            "kappa": ours,
            "ceiling_kappa": theirs,
            "model_accuracy": accuracy[0],
            "subject_accuracy": accuracy[1:],
        },
    ).with_ceiling(ceiling, "r/c")


def choices_by_subject(
    stimulus_id: ArrayLike, subject: ArrayLike, choice: ArrayLike, stimulus_ids: ArrayLike | None = None
) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.str_]]:
    """Presentations, one row each, to a table of answers.

    stimulus_id, subject, choice: (presentation,). stimulus_ids: the order of the columns; None: sorted.

    Returns the answers (subject, stimulus), "" where there is none; the subjects, sorted; and the stimulus ids.
    Raises CornetError for a stimulus that is not listed, where a subject answered to one twice, and for an answer
    without a subject.
    """
    shown, answers = np.asarray(stimulus_id, str), _names(choice)
    who = categories(subject, "subject", "the table of answers")
    if not shown.shape == who.shape == answers.shape or shown.ndim != 1 or not len(shown):
        raise CornetError(
            f"stimulus_id, subject and choice of shapes {shown.shape}, {who.shape} and {answers.shape} must be "
            "(presentation,), the same for all, and not empty."
        )
    subjects, row = np.unique(who, return_inverse=True)
    ids = np.unique(shown) if stimulus_ids is None else np.asarray(stimulus_ids, str)
    column = pd.Index(ids).get_indexer(pd.Index(shown))
    if (column < 0).any():
        raise CornetError(
            f"the stimulus {str(shown[column < 0][0])!r} is not among the {len(ids)} listed ones; the answers and the "
            "stimulus set must belong together."
        )
    cell = row * len(ids) + column
    _, first = np.unique(cell, return_index=True)
    if len(first) < len(cell):
        again = np.setdiff1d(np.arange(len(cell)), first)
        raise CornetError(
            f"{len(again)} presentations repeat a stimulus to the same subject, such as {str(shown[again[0]])!r} to "
            f"{str(who[again[0]])!r}, but one answer each can be compared; keep one."
        )
    table = np.full((len(subjects), len(ids)), "", dtype=answers.dtype)
    table[row, column] = answers
    return table, subjects, ids


def _names(values: Any) -> NDArray[np.str_]:
    """Names as text, "" for a missing one. Whole numbers read as float (as NaN makes them) are still whole."""
    array = np.asarray(values)
    if array.dtype.kind == "f" and (array[np.isfinite(array)] % 1 == 0).all():
        whole = np.where(np.isfinite(array), array, 0).astype(np.int64).astype(str)
        return np.where(np.isfinite(array), whole, "")
    text = array.astype(str)
    return np.where(is_missing(text, any_case=True), "", text)


def _conditions(condition: ArrayLike | None, stimuli: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    names = np.full(stimuli, "all") if condition is None else np.asarray(condition)
    if names.shape != (stimuli,):
        raise CornetError(
            f"condition of shape {names.shape} does not match {stimuli} stimuli; give one each."
        )
    if not (names.astype(str) == "").all():  # which is one condition without a name
        categories(names, "condition", "the list of stimuli")
    conditions, codes = np.unique(names, return_inverse=True)
    return conditions, codes


def _check(model: NDArray[np.str_], subjects: NDArray[np.str_], objects: NDArray[np.str_]) -> None:
    if objects.ndim != 1 or not len(objects):
        raise CornetError(f"truth of shape {objects.shape} must be (stimulus,), and not empty.")
    if model.shape != objects.shape:
        raise CornetError(
            f"model_choice of shape {model.shape} does not match {len(objects)} stimuli; give one answer each."
        )
    if subjects.ndim != 2 or subjects.shape[1] != len(objects) or not len(subjects):
        raise CornetError(
            f"subject_choice of shape {subjects.shape} must be (subject, stimulus), with the {len(objects)} stimuli of "
            "truth and at least one subject."
        )
    if (objects == "").any():
        raise CornetError(
            f"{int((objects == '').sum())} stimuli have no truth (the first in position "
            f"{int(np.flatnonzero(objects == '')[0])}), and none can be right or wrong without; leave them out."
        )
    known = np.unique(objects)
    for who, answers in (("model", model), ("subjects", subjects)):
        if not np.isin(answers, known).any():
            raise CornetError(
                f"no answer of the {who} (such as {str(answers.flat[0])!r}) names any of the objects "
                f"({', '.join(known[:20])}); use the same names for both."
            )


def _kappa(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(participant, stimulus) -> kappa (participant, participant); NaN where chance agreement is certain."""
    stimuli = right.shape[1]
    hits = right.astype(np.int64)
    both, count = hits @ hits.T, hits.sum(axis=1)
    observed = (stimuli - count[:, None] - count[None, :] + 2 * both) / stimuli
    # In whole numbers, so that certain agreement is recognised exactly.
    chance = np.multiply.outer(count, count) + np.multiply.outer(stimuli - count, stimuli - count)
    expected = chance / stimuli**2
    kappa = np.full(observed.shape, np.nan)
    np.divide(observed - expected, 1 - expected, out=kappa, where=chance < stimuli**2)
    return kappa


def _means(kappas: NDArray[np.float64]) -> NDArray[np.float64]:
    """(pair, condition) -> (pair,), NaN skipped."""
    there = np.isfinite(kappas)
    count = there.sum(axis=1)
    return np.where(count > 0, np.where(there, kappas, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _mean(values: NDArray[np.float64]) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else math.nan
