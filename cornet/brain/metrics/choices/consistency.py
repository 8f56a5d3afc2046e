"""Error consistency: do a network and an observer err on the same images more often than expected by chance?

Geirhos, Meding & Wichmann (2020), NeurIPS: Cohen's kappa between the two sequences of correct and wrong answers.
Averages and ceiling as in brainscore-vision 2.4.2.
"""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cornet.brain.data.columns import categories, is_missing
from cornet.brain.metrics.choices.class_choices import Choices
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["choices_by_subject", "error_consistency"]

MIN_ANSWERED = 0.5
"""Subjects with fewer answers than this share of the maximum are skipped."""


def error_consistency(
    model_choice: ArrayLike | Choices,
    subject_choice: ArrayLike,
    truth: ArrayLike,
    condition: ArrayLike | None = None,
    subject: ArrayLike | None = None,
) -> Score:
    """Compute Cohen's kappa between a model's and each subject's correct and wrong answers.

    model_choice: (stimulus,) names, or `class_choices.Choices`, which describe how they were computed.
    subject_choice: (subject, stimulus). truth: (stimulus,). condition: (stimulus,); None: a single condition.
    subject: (subject,) names for the notes; None: numbers from 0.
    A missing answer ("", "na", None, NaN) counts as wrong.

    A subject with fewer than half of the maximum number of answers is skipped and named in a note: missing answers
    count as wrong and would dominate kappa. Such a subject is often a misspelt name.

    kappa = (observed - expected) / (1 - expected), per subject and condition. observed: the share of stimuli on which
    both are correct or both wrong; expected = a b + (1 - a)(1 - b) from their accuracies. raw: the absolute value of
    the mean over conditions, then subjects. ceiling: the same over all pairs of subjects. scale: r/c.
    values: (subject,), signed. error: their standard deviation (ddof 0) / sqrt(subjects).

    If both are correct (or wrong) on every stimulus of a condition, kappa is undefined; it is skipped and counted in a
    note. details: subjects (those compared), conditions, kappa (subject, condition), ceiling_kappa (pair, condition),
    model_accuracy (condition,), subject_accuracy (subject, condition).

    Raises CornetError if lengths do not match, a truth is missing, or no answer names a known object.
    """
    way = model_choice.way if isinstance(model_choice, Choices) else ""
    answers = model_choice.choice if isinstance(model_choice, Choices) else model_choice
    model, subjects, objects = _names(answers), _names(subject_choice), _names(truth)
    conditions, codes = _conditions(condition, len(objects))
    _check(model, subjects, objects)
    who = np.arange(len(subjects)).astype(str) if subject is None else np.asarray(subject, str)
    if who.shape != subjects.shape[:1]:
        raise CornetError(
            f"subject of shape {who.shape} does not match {len(subjects)} subjects; provide one name per subject."
        )
    notes = [way] if way else []
    answered = (subjects != "").sum(axis=1)
    few = answered < MIN_ANSWERED * answered.max()
    if few.any():
        notes.append(
            f"skipped {int(few.sum())} of {len(few)} subjects ({', '.join(map(repr, who[few].tolist()[:5]))}), who "
            f"answered at most {answered[few].max()} stimuli, while another answered {answered.max()}"
        )
        subjects, who = subjects[~few], who[~few]
    right = np.concatenate([model[None], subjects]) == objects
    accuracy = np.stack([right[:, codes == k].mean(axis=1) for k in range(len(conditions))], axis=1)
    kappas = np.stack([_kappa(right[:, codes == k]) for k in range(len(conditions))], axis=2)
    ours, pairs = kappas[0, 1:], list(combinations(range(1, len(right)), 2))
    theirs = np.array([kappas[i, j] for i, j in pairs]).reshape(len(pairs), len(conditions))

    values, limits = _means(ours), _means(theirs)
    raw, ceiling = abs(_mean(values)), abs(_mean(limits))
    valid = values[np.isfinite(values)]
    unanswered = int((model == "").sum()), int((subjects == "").sum())
    for number, source in zip(unanswered, ("the model", "the subjects"), strict=True):
        if number:
            notes.append(f"{number} missing answers of {source} count as wrong")
    for what, kappa in (("the model and a subject", ours), ("two subjects", theirs)):
        if np.isnan(kappa).any():
            notes.append(
                f"skipped {int(np.isnan(kappa).sum())} of {kappa.size} kappas between {what} "
                "that are undefined (both correct, or both wrong, on every stimulus of the condition)"
            )
    if not pairs:
        notes.append("no ceiling, because there is only one subject")
    return Score(
        raw=raw,
        values=values,
        error=float(valid.std() / math.sqrt(valid.size)) if valid.size else math.nan,
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
    """Arrange presentations as a table of answers.

    stimulus_id, subject, choice: (presentation,). stimulus_ids: the order of the columns; None: sorted.

    Returns the answers (subject, stimulus), "" where missing; the sorted subjects; and the stimulus ids.
    Raises CornetError for an unknown stimulus, a second answer of a subject to a stimulus, and a missing subject.
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
            f"the stimulus {str(shown[column < 0][0])!r} is missing from the stimulus set with {len(ids)} stimuli; use "
            "the stimulus set of these answers."
        )
    cell = row * len(ids) + column
    _, first = np.unique(cell, return_index=True)
    if len(first) < len(cell):
        again = np.setdiff1d(np.arange(len(cell)), first)
        raise CornetError(
            f"{len(again)} presentations repeat a stimulus for the same subject, such as {str(shown[again[0]])!r} for "
            f"{str(who[again[0]])!r}, but only one answer can be compared; keep one."
        )
    table = np.full((len(subjects), len(ids)), "", dtype=answers.dtype)
    table[row, column] = answers
    return table, subjects, ids


def _names(values: Any) -> NDArray[np.str_]:
    """Return names as text, "" for missing ones. Integers that NaN turned into floats are formatted as integers."""
    array = np.asarray(values)
    if array.dtype.kind == "f" and (array[np.isfinite(array)] % 1 == 0).all():
        whole = np.where(np.isfinite(array), array, 0).astype(np.int64).astype(str)
        return np.where(np.isfinite(array), whole, "")
    text = array.astype(str)
    return np.where(is_missing(text, any_case=True), "", text)


def _conditions(condition: ArrayLike | None, stimuli: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted conditions, and the index of each stimulus's condition."""
    names = np.full(stimuli, "all") if condition is None else np.asarray(condition)
    if names.shape != (stimuli,):
        raise CornetError(
            f"condition of shape {names.shape} does not match {stimuli} stimuli; provide one per stimulus."
        )
    if not (names.astype(str) == "").all():  # all empty: a single unnamed condition
        categories(names, "condition", "the list of stimuli")
    conditions, codes = np.unique(names, return_inverse=True)
    return conditions, codes


def _check(model: NDArray[np.str_], subjects: NDArray[np.str_], objects: NDArray[np.str_]) -> None:
    """Raise CornetError for shapes that do not match, a missing truth, and answers with unknown names."""
    if objects.ndim != 1 or not len(objects):
        raise CornetError(f"truth of shape {objects.shape} must be (stimulus,), and not empty.")
    if model.shape != objects.shape:
        raise CornetError(
            f"model_choice of shape {model.shape} does not match {len(objects)} stimuli; provide one per stimulus."
        )
    if subjects.ndim != 2 or subjects.shape[1] != len(objects) or not len(subjects):
        raise CornetError(
            f"subject_choice of shape {subjects.shape} must be (subject, stimulus), with at least one subject and the "
            f"{len(objects)} stimuli of truth."
        )
    if (objects == "").any():
        raise CornetError(
            f"{int((objects == '').sum())} stimuli have no truth (first at position "
            f"{int(np.flatnonzero(objects == '')[0])}), but every stimulus needs one; drop them."
        )
    known = np.unique(objects)
    for who, answers in (("model", model), ("subjects", subjects)):
        if not np.isin(answers, known).any():
            raise CornetError(
                f"the answers of the {who}, such as {str(answers.flat[0])!r}, contain none of the objects "
                f"({', '.join(known[:20])}); use the same names for both."
            )


def _kappa(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute kappa (participant, participant) from (participant, stimulus); NaN where chance agreement is 1."""
    stimuli = right.shape[1]
    hits = right.astype(np.int64)
    both, count = hits @ hits.T, hits.sum(axis=1)
    observed = (stimuli - count[:, None] - count[None, :] + 2 * both) / stimuli
    # Integer arithmetic detects a chance agreement of 1 exactly.
    chance = np.multiply.outer(count, count) + np.multiply.outer(stimuli - count, stimuli - count)
    expected = chance / stimuli**2
    kappa = np.full(observed.shape, np.nan)
    np.divide(observed - expected, 1 - expected, out=kappa, where=chance < stimuli**2)
    return kappa


def _means(kappas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average (pair, condition) over conditions; NaN are skipped."""
    valid = np.isfinite(kappas)
    count = valid.sum(axis=1)
    return np.where(count > 0, np.where(valid, kappas, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _mean(values: NDArray[np.float64]) -> float:
    valid = values[np.isfinite(values)]
    return float(valid.mean()) if valid.size else math.nan
