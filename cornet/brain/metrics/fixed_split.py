"""Benchmarks with a fixed training and test set: Papale2025, Hebart2023_fmri, Gifford2022 (brainscore_vision 2.4.2).

Training responses are single presentations or averages; test responses have repetitions, which give the ceiling. Each
subject has its own penalty and ceiling, and the score is the mean over subjects of r^2 / c, so that it differs from the
square of the mean r over the ceiling of all neuroids. All three are stored for each subject.
"""

import math
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.by_subject import bootstrap_error, error_over_subjects, subject_ceiling
from cornet.brain.metrics.ceiling import internal_consistency, weighted_mean
from cornet.brain.metrics.predictivity import Metric, as_responses, neural_predictivity, neuroid_labels
from cornet.brain.score import Score
from cornet.errors import CornetError, check_choice

__all__ = ["Aggregation", "fixed_split_predictivity"]

Aggregation = Literal["median", "neuroid_wise"]


def fixed_split_predictivity(
    features: Any,
    training_responses: ArrayLike,
    test_repetitions: ArrayLike,
    metric: Metric = "ridgecv",
    subjects: ArrayLike | None = None,
    *,
    aggregation: Aggregation = "median",
    reliability: ArrayLike | None = None,
    threshold: float = 0.3,
    device: torch.device | str = "cpu",
    **options: Any,
) -> Score:
    """Fit a mapping on the training stimuli and compare its predictions with the mean test responses.

    features: (stimulus, feature), the training stimuli, then the test stimuli. training_responses: (training stimulus,
    neuroid). test_repetitions: (repetition, test stimulus, neuroid), NaN where missing. subjects: (neuroid,), the
    subject of each; None: one. reliability: (neuroid,); neuroids that are not above `threshold` are left out and
    counted, and NaN is not above. aggregation: of a subject, "median": median r over neuroids, squared, over the median
    ceiling; "neuroid_wise": the mean over neuroids of r^2 / c, of those with c above 0. options: as in
    `neural_predictivity`; ridgecv chooses a penalty for each subject, unless alpha_per is given.

    Returns a Score on r^2/c: value is the mean over subjects; raw the mean over subjects of the median r; ceiling that
    of all neuroids. values (1, neuroid): r. error: of raw, the standard deviation of 1,000 bootstrap means over
    subjects (of one subject: over test stimuli). details: by_subject, a table of subject, neuroids, raw, ceiling,
    value, alpha; kept (neuroid,); predictions; bootstrap: what was resampled.

    Raises CornetError for shapes that do not match, fewer than two test stimuli, and if no neuroid is left.
    """
    check_choice("aggregation", aggregation, get_args(Aggregation))
    known = as_responses(training_responses)
    tested = np.asarray(test_repetitions, float)
    if tested.ndim != 3 or tested.shape[2] != known.shape[1] or tested.shape[1] < 2:
        raise CornetError(
            f"test_repetitions of shape {tested.shape} must be (repetition, at least 2 test stimuli, {known.shape[1]} "
            "neuroids)."
        )
    kept, notes = filtered(reliability, threshold, known.shape[1])
    names = (
        np.full(known.shape[1], "all")
        if subjects is None
        else neuroid_labels(subjects, "subjects", known.shape[1])
    )
    known, tested, names = known[:, kept], tested[:, :, kept], names[kept]
    mean = weighted_mean(tested, None)
    rows = np.arange(len(known)), np.arange(len(known), len(known) + len(mean))
    if metric == "ridgecv":
        options = {"alpha_per": "subject", "subjects": names, **options}
    answers = np.concatenate([known, mean])
    score = neural_predictivity(
        features,
        answers,
        metric,
        splits=[rows],
        targets=names,
        device=device,
        **options,
    )
    r = score.values[0]
    consistency = internal_consistency(tested)
    table = pd.DataFrame(
        [
            of_subject(name, r, consistency.values, names == name, aggregation, score.details.get("alphas"))
            for name in np.unique(names)
        ]
    )
    error, what = error_of(score, answers, table["raw"].to_numpy(float))
    low = consistency.values.mean(axis=0) <= 0
    if low.any():
        notes.append(f"{int(low.sum())} of {len(low)} neuroids have a ceiling of 0 or below")
    return Score(
        raw=float(table["raw"].mean()),
        values=score.values,
        error=error,
        ceiling=consistency.raw,
        scale="r^2/c",
        value=float(table["value"].mean()),
        n=len(mean),
        notes=(*notes, *score.notes, *consistency.notes),
        details={
            **score.details,
            "by_subject": table,
            "kept": kept,
            "bootstrap": what,
            "aggregation": aggregation,
        },
    )


def filtered(
    reliability: ArrayLike | None, threshold: float, neuroids: int
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which neuroids are kept, and a note that counts the others."""
    if reliability is None:
        return np.ones(neuroids, bool), []
    values = np.asarray(reliability, float)
    if values.shape != (neuroids,):
        raise CornetError(
            f"reliability of shape {values.shape} must have one value for each of {neuroids} neuroids."
        )
    kept = values > threshold
    if not kept.any():
        raise CornetError(
            f"none of {neuroids} neuroids has a reliability above {threshold:g} (largest: {np.nanmax(values):.3g}); "
            "use a smaller threshold."
        )
    left = int((~kept).sum())
    return kept, [
        f"skipped {left} of {neuroids} neuroids with a reliability of {threshold:g} or below"
    ] * bool(left)


def of_subject(
    name: str,
    r: NDArray[np.float64],
    ceilings: NDArray[np.float64],
    own: NDArray[np.bool_],
    aggregation: str,
    alphas: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """A row for one subject. ceilings: (split of repetitions, neuroid). own: mask of its neuroids."""
    values, consistency = r[own], ceilings[:, own]
    some = np.isfinite(values).any() and np.isfinite(consistency).any()
    raw = float(np.nanmedian(values)) if some else math.nan
    ceiling = subject_ceiling(ceilings, own)
    if aggregation == "median":
        value = raw**2 / ceiling if ceiling > 0 else math.nan
    else:
        each = consistency.mean(axis=0)
        valid = (each > 0) & np.isfinite(values)
        value = float((values[valid] ** 2 / each[valid]).mean()) if valid.any() else math.nan
    penalties = np.unique(alphas[0, own]) if alphas is not None else np.empty(0)
    alpha = float(penalties[0]) if len(penalties) == 1 else math.nan
    row = {"subject": str(name), "neuroids": int(own.sum()), "raw": raw, "ceiling": ceiling}
    return {**row, "value": value, "alpha": alpha}


def error_of(score: Score, answers: NDArray[np.float64], raw: NDArray[np.float64]) -> tuple[float, str]:
    """Standard deviation of bootstrap means of raw, and what was resampled: subjects, or the stimuli of one subject."""
    if np.isfinite(raw).sum() > 1:
        return error_over_subjects(raw), "subjects"
    return bootstrap_error(score, answers), "test stimuli"
