"""Compute d' (sensitivity) of each image against each distractor from choice probabilities.

Rajalingham et al. (2018), J. Neurosci. 38, 7255. Used for behaviour (i1, i2n) and for solution times.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

__all__ = ["dprime", "dprime_of_alarms", "mean_by_truth", "mean_over_distractors"]

MAX_DPRIME = 5.0
"""d' is clipped to [-MAX_DPRIME, MAX_DPRIME], since larger values mostly reflect rounding."""


def dprime(probabilities: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Return d' of every image and distractor, clipped to [-5, 5].

    probabilities: (..., image, choice); NaN where a choice was not offered.
    truth: (image,), the column of each image's object.

    d'(i, d) = Z(1 - FA(i, d)) - Z(mean of FA(j, truth_i) over images j whose truth is d), where
    FA(i, d) = P(i, d) / (P(i, d) + P(i, truth_i)) is the false alarm rate of choosing d for image i, and Z is the
    inverse normal CDF. Images are compared only within the same leading index.

    Returns (..., image, choice): NaN in the truth's column, for distractors without images, and for infinity minus
    infinity.
    """
    p = np.asarray(probabilities, np.float64)
    truth = np.asarray(truth, np.intp)
    right = p[..., np.arange(len(truth)), truth][..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return dprime_of_alarms(p / (p + right), truth)


def dprime_of_alarms(alarms: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Return d' from false alarm rates, (..., image, choice), NaN without trials. Ignores the truth's column."""
    alarms = np.array(alarms, np.float64)
    truth = np.asarray(truth, np.intp)
    alarms[..., np.arange(len(truth)), truth] = np.nan
    by_object = mean_by_truth(alarms, truth)  # (..., object shown, object reported)
    others = np.swapaxes(by_object, -1, -2)[..., truth, :]  # (..., image, distractor): FA of d for truth_i
    with np.errstate(invalid="ignore"):
        return np.clip(ndtri(1 - alarms) - ndtri(others), -MAX_DPRIME, MAX_DPRIME)


def mean_over_distractors(sensitivity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average (..., image, choice) over choices: i1 if the input is d'. NaN are skipped; all-NaN rows give NaN."""
    valid = np.isfinite(sensitivity)
    count = valid.sum(axis=-1)
    total = np.where(valid, sensitivity, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_by_truth(values: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Average (..., image, choice) over the images of each object: (..., truth, choice). NaN skipped, NaN if empty."""
    choices = values.shape[-1]
    result = np.full((*values.shape[:-2], choices, choices), np.nan)
    for shown in range(choices):
        block = values[..., truth == shown, :]
        valid = np.isfinite(block)
        count = valid.sum(axis=-2)
        total = np.where(valid, block, 0.0).sum(axis=-2)
        result[..., shown, :] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result
