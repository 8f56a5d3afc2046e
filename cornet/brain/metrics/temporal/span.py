"""One mapping for all time bins, from a subject that has the same bins: `spantime_pls` of brainscore_vision 2.4.2.

Every pair of stimulus and bin is a row. The mapping is fitted on the rows of the training stimuli, centred over all of
them, and predicts each bin of the test stimuli.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike

from cornet.brain.metrics.correlation import pearson
from cornet.brain.metrics.predictivity import Metric, neural_predictivity
from cornet.brain.metrics.splits import make_splits
from cornet.brain.score import Score, medians
from cornet.errors import CornetError

__all__ = ["spantime_predictivity"]


def spantime_predictivity(
    features: ArrayLike,
    responses: ArrayLike,
    metric: Metric = "pls",
    stratify: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    *,
    device: torch.device | str = "cpu",
) -> Score:
    """Fit one mapping to all bins and correlate its predictions in each bin.

    features: (bin, stimulus, feature). responses: (bin, stimulus, neuroid), without missing values. Others: as in
    `neural_predictivity`; splits are over stimuli.

    Returns a raw Score: values (split, bin), the median over neuroids; raw, their mean. details: r (split, bin,
    neuroid), by_bin (bin,), and error_by_bin, the standard deviation over splits / sqrt(splits).

    Raises CornetError for shapes that do not match, and missing responses.
    """
    X, Y = np.asarray(features), np.asarray(responses, float)
    if X.ndim != 3 or Y.ndim != 3 or X.shape[:2] != Y.shape[:2]:
        raise CornetError(
            f"features of shape {X.shape} and responses of shape {Y.shape} must be (bin, stimulus, feature) and (bin, "
            "stimulus, neuroid) of the same bins and stimuli."
        )
    if not np.isfinite(Y).all():
        raise CornetError(
            "the responses have missing values, but one mapping needs those of all bins; leave stimuli out."
        )
    bins, stimuli, neuroids = Y.shape
    pairs = make_splits(stimuli, stratify=stratify, splits=splits, train_fraction=train_fraction, seed=seed)

    def rows(side: ArrayLike) -> np.ndarray:  # bin by bin, as the arrays are stacked
        return (np.arange(bins)[:, None] * stimuli + np.asarray(side)).ravel()

    score = neural_predictivity(
        X.reshape(bins * stimuli, -1),
        Y.reshape(bins * stimuli, neuroids),
        metric,
        splits=[(rows(train), rows(test)) for train, test in pairs],
        device=device,
    )
    r = np.full((len(pairs), bins, neuroids), math.nan)
    for number, (predicted, (_, test)) in enumerate(zip(score.details["predictions"], pairs, strict=True)):
        by_bin = predicted.reshape(bins, len(test), neuroids)
        for b in range(bins):
            r[number, b] = pearson(torch.from_numpy(by_bin[b]), torch.from_numpy(Y[b, test])).numpy()
    values = medians(r.reshape(-1, neuroids)).reshape(len(pairs), bins)
    error = values.std(axis=0) / math.sqrt(len(pairs))
    details = {"metric": f"spantime_{metric}", "r": r, "by_bin": values.mean(axis=0), "error_by_bin": error}
    means = values.mean(axis=1)
    return Score.of_splits(means, n=stimuli, notes=score.notes, details=details)
