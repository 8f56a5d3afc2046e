"""Sensitivity of each image against each distractor, from the probabilities of choices.

Rajalingham et al. (2018), J. Neurosci. 38, 7255; the same measure serves behaviour (i1, i2n) and solution times.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

__all__ = ["dprime", "dprime_of_alarms", "mean_by_truth", "mean_over_distractors"]

LIMIT = 5.0
"""d' is clipped to [-LIMIT, LIMIT]: beyond it says more about rounding than about the image."""


def dprime(probabilities: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """d' of every image and distractor, clipped to [-5, 5].

    probabilities: (..., image, choice), of each choice; NaN where a choice was not offered.
    truth: (image,), the column of each image's object.

    d'(i, d) = Z(1 - FA(i, d)) - Z(mean over images j whose truth is d of FA(j, truth_i)), where
    FA(i, d) = P(i, d) / (P(i, d) + P(i, truth_i)) is the false alarm of taking image i for d, and Z the inverse of
    the normal distribution. Images are compared within each leading index only.

    Returns (..., image, choice): NaN in the truth's column, for distractors that no image shows, and where it is
    infinity minus infinity.
    """
    p = np.asarray(probabilities, np.float64)
    truth = np.asarray(truth, np.intp)
    right = p[..., np.arange(len(truth)), truth][..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return dprime_of_alarms(p / (p + right), truth)


def dprime_of_alarms(alarms: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """d' from false alarms FA(i, d), (..., image, choice): NaN without trials; the truth's column is not read."""
    alarms = np.array(alarms, np.float64)
    truth = np.asarray(truth, np.intp)
    alarms[..., np.arange(len(truth)), truth] = np.nan
    by_object = mean_by_truth(alarms, truth)  # (..., object shown, object reported)
    others = np.swapaxes(by_object, -1, -2)[..., truth, :]  # (..., image, distractor): FA of d for truth_i
    with np.errstate(invalid="ignore"):
        return np.clip(ndtri(1 - alarms) - ndtri(others), -LIMIT, LIMIT)


def mean_over_distractors(sensitivity: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., image, choice) -> (..., image): i1 when given un-normalised d'. NaN are skipped, and are what comes out
    where nothing else is there."""
    there = np.isfinite(sensitivity)
    count = there.sum(axis=-1)
    total = np.where(there, sensitivity, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_by_truth(values: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """(..., image, choice) -> (..., truth, choice), NaN skipped, NaN where no image is left."""
    choices = values.shape[-1]
    result = np.full((*values.shape[:-2], choices, choices), np.nan)
    for shown in range(choices):
        block = values[..., truth == shown, :]
        there = np.isfinite(block)
        count = there.sum(axis=-2)
        total = np.where(there, block, 0.0).sum(axis=-2)
        result[..., shown, :] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result
