"""RDMs of each subject of a recording, as in brainscore_vision 2.4.2: Spearman's correlation over the upper ceiling."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.similarity import compare_rdms, rdm, rdm_noise_ceiling
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["rdm_by_subject"]

DRAWS = 200


def rdm_by_subject(
    features: Any, responses: ArrayLike, subjects: ArrayLike, device: torch.device | str = "cpu"
) -> Score:
    """Compare the RDM of features with that of each subject's neuroids.

    features: (stimulus, feature). responses: (stimulus, neuroid), averaged over repetitions; neuroids with missing
    responses are left out and counted. subjects: (neuroid,), the name of each neuroid's subject.

    Returns a Score on r/c: raw is the mean over subjects of Spearman's correlation, values (subject,); the ceiling is
    the upper one (Spearman's correlation of each subject with the mean RDM of all). error: of raw, standard deviation
    (ddof 1) of 200 bootstrap means over subjects. details: subjects, lower and upper ceiling. The upper ceiling falls
    with the number of subjects: compare raw scores across studies.

    Raises CornetError for fewer than two subjects, and shapes that do not match.
    """
    answers, names = np.asarray(responses, float), np.asarray(subjects).astype(str)
    if answers.ndim != 2 or names.shape != answers.shape[1:]:
        raise CornetError(
            f"subjects of shape {names.shape} must name the subject of each neuroid of responses (stimulus, neuroid), "
            f"which have the shape {answers.shape}."
        )
    complete = np.isfinite(answers).all(axis=0)
    known = np.unique(names[complete])
    if len(known) < 2:
        raise CornetError(
            f"RDMs by subject need at least 2 subjects with all responses, but there are {len(known)}; use cka or rdm."
        )
    brains = [rdm(answers[:, complete & (names == name)], device) for name in known]
    model = rdm(features, device)
    values: NDArray[np.float64] = np.array([compare_rdms(model, brain) for brain in brains])
    lower, upper = rdm_noise_ceiling(np.stack(brains))
    rng = np.random.default_rng(0)
    drawn = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(DRAWS)]
    notes = [
        f"upper ceiling {upper:.3f}, lower (each subject left out) {lower:.3f}, of {len(known)} subjects"
    ]
    if left := int((~complete).sum()):
        notes.append(f"skipped {left} of {len(complete)} neuroids with missing responses")
    raw = float(values.mean())
    details = {"subjects": known.tolist(), "lower": lower, "upper": upper}
    error = float(np.std(drawn, ddof=1)) if math.isfinite(raw) else math.nan
    score = Score(raw=raw, values=values, error=error, n=len(answers), notes=tuple(notes), details=details)
    return score.with_ceiling(upper, "r/c")
