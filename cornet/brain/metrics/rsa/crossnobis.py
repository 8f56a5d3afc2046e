"""Cross-validated Mahalanobis distances, and the precision of the noise that they need.

Distances between noisy patterns grow with the noise. The crossnobis distance multiplies differences from different
repetitions, so that its expectation is 0 for equal patterns; it may be negative, and is never clipped. Walther et al.
(2016), NeuroImage 137:188. Values equal those of rsatoolbox 0.3.2.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.errors import CornetError, check_choice

__all__ = ["Shrinkage", "crossnobis", "mahalanobis", "noise_precision"]

Shrinkage = Literal["full", "diag", "shrinkage_eye", "shrinkage_diag"]


def crossnobis(measurements: ArrayLike, precision: ArrayLike | None = None) -> NDArray[np.float64]:
    """Compute the crossnobis distances (stimulus, stimulus) of patterns; 0 on the diagonal, elsewhere of any sign.

    measurements: (repetition, stimulus, channel). precision: (channel, channel), inverse covariance of the noise, see
    `noise_precision`; None: the identity. Each repetition is multiplied with the mean of the others; the mean over
    repetitions is divided by the number of channels.

    Raises CornetError for fewer than two repetitions or stimuli, and for missing values.
    """
    values = checked(measurements)
    count, _, channels = values.shape
    S = checked_precision(precision, channels)
    total = values.sum(axis=0)
    K = np.mean([((total - fold) / (count - 1)) @ S @ fold.T for fold in values], axis=0)
    return distances(K, channels)


def mahalanobis(measurements: ArrayLike, precision: ArrayLike | None = None) -> NDArray[np.float64]:
    """Squared Mahalanobis distances (stimulus, stimulus) of the means over repetitions, per channel: biased by noise.

    Arguments and errors: as in `crossnobis`. Without a precision: squared Euclidean distances.
    """
    values = checked(measurements, repetitions=1)
    means, channels = values.mean(axis=0), values.shape[2]
    return distances(means @ checked_precision(precision, channels) @ means.T, channels)


def distances(K: NDArray[np.float64], channels: int) -> NDArray[np.float64]:
    """(K_ii + K_jj - K_ij - K_ji) / channels."""
    own = np.diagonal(K)
    return (own[:, None] + own - K - K.T) / channels


def noise_precision(
    measurements: ArrayLike,
    shrinkage: Shrinkage = "shrinkage_diag",
    dof: Literal["toolbox", "exact"] = "toolbox",
) -> NDArray[np.float64]:
    """Inverse covariance (channel, channel) of the residuals: each repetition minus the mean of its stimulus.

    measurements: (repetition, stimulus, channel). shrinkage: "full" (none), "diag" (variances alone), "shrinkage_eye"
    (Ledoit & Wolf 2004, toward a multiple of the identity), "shrinkage_diag" (Schaefer & Strimmer 2005, toward the
    diagonal). dof: degrees of freedom: "exact", stimuli x (repetitions - 1), or "toolbox", (stimuli - 1) x repetitions,
    which rsatoolbox 0.3.2 uses. They differ by a factor that is the same for all distances.

    Raises CornetError as `crossnobis`, and for a covariance that has no inverse.
    """
    check_choice("shrinkage", shrinkage, get_args(Shrinkage))
    check_choice("dof", dof, ("toolbox", "exact"))
    values = checked(measurements)
    repetitions, stimuli, channels = values.shape
    R = (values - values.mean(axis=0)).reshape(-1, channels)
    N = len(R)
    freedom = (stimuli - 1) * repetitions if dof == "toolbox" else stimuli * (repetitions - 1)
    covariance = R.T @ R / freedom
    if shrinkage == "diag":
        covariance = np.diag(np.diag(covariance))
    elif shrinkage == "shrinkage_eye":
        s = R.T @ R / N
        m = np.trace(s) / channels
        d2 = np.square(s - m * np.eye(channels)).sum()
        b2 = min(d2, (((R**2).T @ (R**2)) / N - s**2).sum() / N)
        covariance = (b2 / d2 * m * np.eye(channels) + (1 - b2 / d2) * s) * N / freedom
    elif shrinkage == "shrinkage_diag":
        z = R / np.sqrt(np.diag(covariance))
        u, v = z.T @ z / (N - 1), (z**2).T @ (z**2) / (N - 1)
        off = ~np.eye(channels, dtype=bool)
        share = (N / freedom**2 * (v - u**2))[off].sum() / (u**2)[off].sum() if channels > 1 else 0.0
        covariance = np.where(off, covariance * (1 - np.clip(share, 0, 1)), covariance)
    try:
        found = np.linalg.inv(covariance)
    except np.linalg.LinAlgError:
        found = np.full_like(covariance, np.nan)
    if not np.isfinite(found).all() or np.linalg.cond(covariance) > 1e14:
        raise CornetError(
            f"the covariance of {channels} channels from {N} residuals has no inverse; use "
            "shrinkage='shrinkage_diag', or leave out constant channels."
        )
    return found


def checked(measurements: ArrayLike, repetitions: int = 2) -> NDArray[np.float64]:
    """Check measurements (repetition, stimulus, channel)."""
    values = np.asarray(measurements, float)
    if values.ndim != 3 or values.shape[0] < repetitions or values.shape[1] < 2 or values.shape[2] < 1:
        raise CornetError(
            f"measurements of shape {values.shape} must be (repetition, stimulus, channel) with at least {repetitions} "
            f"repetition{'s' * (repetitions > 1)} and 2 stimuli."
        )
    if not np.isfinite(values).all():
        raise CornetError(
            f"{int((~np.isfinite(values)).sum())} measurements are missing or infinite, but every repetition needs "
            "all; leave out the stimuli or channels."
        )
    return values


def checked_precision(precision: ArrayLike | None, channels: int) -> NDArray[np.float64]:
    if precision is None:
        return np.eye(channels)
    found = np.asarray(precision, float)
    if found.shape != (channels, channels):
        raise CornetError(
            f"precision of shape {found.shape} must be ({channels}, {channels}), one row per channel."
        )
    return found
