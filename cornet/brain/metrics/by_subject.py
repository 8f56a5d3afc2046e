"""Score each recorded subject (an animal or person) alone, average over subjects, and score further test sets.

The value is the mean over subjects of raw^2 / ceiling, each with its own ceiling. It is not the mean raw score,
squared, over the ceiling of all neuroids (brainscore_vision 2.4.2, Papale2025 and others).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.correlation import missing_patterns, pearson
from cornet.brain.metrics.resampling import nan_medians, weighted_correlations
from cornet.brain.score import Score

__all__ = [
    "DRAWS",
    "bootstrap_error",
    "combined",
    "error_over_subjects",
    "part_of",
    "subject_ceiling",
    "tested_on",
]

DRAWS = 1000
"""Bootstrap samples of an error that has no splits."""


def part_of(score: Score, columns: NDArray[Any]) -> Score:
    """The score of some of the neuroids, from values (split, neuroid), with their predictions and penalties."""
    details = dict(score.details)
    if "predictions" in details:
        details["predictions"] = [one[:, columns] for one in details["predictions"]]
    if "alphas" in details:
        details["alphas"] = details["alphas"][:, columns]
    return Score.of_splits(score.values[:, columns], n=score.n, notes=score.notes, details=details)


def tested_on(score: Score, responses: NDArray[np.float64], test: NDArray[np.int64]) -> Score:
    """The score on some of the test stimuli, from the stored predictions of a score with one split.

    responses: (stimulus, neuroid). test: positions of stimuli, all of them among the tested ones.
    """
    tested, predictions = score.details["tests"][0], score.details["predictions"][0]
    order = np.argsort(tested, kind="stable")
    predicted = predictions[order[np.searchsorted(tested, test, sorter=order)]]
    known = np.where(np.isfinite(predicted), responses[test], math.nan)
    r = np.full(known.shape[1], math.nan)
    for present, columns in missing_patterns(known):
        sides = (torch.from_numpy(one[present][:, columns]) for one in (predicted, known))
        r[columns] = pearson(*sides).numpy()
    details = {**score.details, "tests": [test], "predictions": [predicted]}
    return Score.of_splits(r[None], n=len(test), notes=score.notes, details=details)


def bootstrap_error(score: Score, responses: NDArray[np.float64]) -> float:
    """Standard deviation (ddof 1) of the median r over samples of the test stimuli, for a score of one split."""
    test, predicted = score.details["tests"][0], score.details["predictions"][0]
    weights = np.random.default_rng(0).multinomial(len(test), np.full(len(test), 1 / len(test)), DRAWS)
    drawn = nan_medians(weighted_correlations(predicted, responses[test], weights.astype(float)))
    drawn = drawn[np.isfinite(drawn)]
    return float(drawn.std(ddof=1)) if len(drawn) > 1 else math.nan


def subject_ceiling(ceilings: NDArray[np.float64], columns: NDArray[Any]) -> float:
    """The ceiling of some of the neuroids: the median over those with a ceiling, averaged over splits.

    ceilings: (split, neuroid).
    """
    return _mean(nan_medians(ceilings[:, columns]))


def combined(
    scores: Mapping[str, Score], pooled: float, scale: str, columns: Sequence[NDArray[Any]]
) -> Score:
    """The mean over subjects of scores on a scale, each with its own ceiling.

    pooled: the ceiling of all neuroids. columns: positions of the neuroids of each subject.

    error: with several splits, subjects are averaged in each, then standard deviation over splits / sqrt(splits);
    otherwise the standard deviation (ddof 1) of bootstrap means over subjects. details: subjects, the scores by name;
    by_subject, a table of subject, neuroids, raw, error, ceiling, value, alpha.
    """
    rows = [
        {
            "subject": name,
            "neuroids": len(own),
            "raw": one.raw,
            "error": one.error,
            "ceiling": one.ceiling,
            "value": one.value,
            "alpha": _only(one.details.get("alphas")),
        }
        for (name, one), own in zip(scores.items(), columns, strict=True)
    ]
    table = pd.DataFrame(rows)
    parts = list(scores.values())
    raw, values = (table[name].to_numpy(float) for name in ("raw", "value"))
    notes = list(dict.fromkeys(note for one in parts for note in one.notes))
    if len(parts) > 1:  # the error is another
        notes = [note for note in notes if not note.startswith("error:")]
    if undefined := int((~np.isfinite(values)).sum()):
        notes.append(
            f"skipped {undefined} of {len(values)} subjects without a value: no score, or a ceiling of 0 or below"
        )
    error = parts[0].error
    if len(parts) > 1 and all(len(one.values) > 1 for one in parts):
        by_split = np.stack([_medians(one.values) for one in parts])
        error = float(np.nanmean(by_split, axis=0).std() / math.sqrt(by_split.shape[1]))
    elif len(parts) > 1:
        error = error_over_subjects(raw)
        notes.append("error: bootstrap over subjects")
    whole = np.empty(0)
    if all(one.values.ndim == 2 for one in parts):
        whole = np.full((len(parts[0].values), max(own.max() for own in columns) + 1), math.nan)
        for one, own in zip(parts, columns, strict=True):
            whole[:, own] = one.values
    return Score(
        raw=_mean(raw),
        values=whole,
        error=error,
        ceiling=pooled,
        scale=scale,
        value=_mean(values),
        n=max(one.n for one in parts),
        notes=tuple(notes),
        details={"subjects": dict(scores), "by_subject": table},
    )


def error_over_subjects(raw: NDArray[np.float64]) -> float:
    """Standard deviation (ddof 1) of bootstrap means over subjects; NaN for one. raw: (subject,)."""
    finite = raw[np.isfinite(raw)]
    if len(finite) < 2:
        return math.nan
    chosen = np.random.default_rng(0).integers(len(finite), size=(DRAWS, len(finite)))
    return float(finite[chosen].mean(axis=1).std(ddof=1))


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return nan_medians(values) if values.ndim == 2 else values


def _mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _only(alphas: NDArray[np.float64] | None) -> float:
    """The penalty, if it is the same everywhere; else NaN."""
    found = np.unique(alphas[np.isfinite(alphas)]) if alphas is not None else np.empty(0)
    return float(found[0]) if len(found) == 1 else math.nan
