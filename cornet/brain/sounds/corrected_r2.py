"""Explained variance of voxels, corrected for the noise of the voxel and of its prediction.

Source: Kell et al. 2018 (Neuron 98:630), as the public code of Feather et al. 2023 computes it. A ridge regression per
voxel whose penalty is chosen by leave-one-out on the training sounds; random halves of the sounds train and test.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cornet.errors import CornetError
from cornet.sizes import check_positive_int, is_seed

__all__ = ["CorrectedR2", "corrected_r2", "sound_splits"]

LOG10_PENALTIES = np.arange(39, -41, -1)
SEED = 3882
FLOOR_VOXEL, FLOOR_PREDICTION = 0.182, 0.183
"""Smallest reliabilities: significant at .05 for 83 sounds, and for 82."""
CONSTANT = 1e-10
"""A prediction that varies less than this share of the responses counts as constant."""


@dataclass(frozen=True)
class CorrectedR2:
    """Results by (voxel, split).

    corrected: r2 / (voxel_reliability prediction_reliability); it can exceed 1. r2: squared correlation of the
    prediction with the mean over scans, on test sounds. log10_penalty: of the fit to the mean over scans. train:
    (sound, split), which sounds are training sounds.
    """

    corrected: np.ndarray
    r2: np.ndarray
    voxel_reliability: np.ndarray
    prediction_reliability: np.ndarray
    log10_penalty: np.ndarray
    train: np.ndarray

    @property
    def by_voxel(self) -> np.ndarray:
        """Median of `corrected` over splits, (voxel,)."""
        return np.asarray(np.median(self.corrected, axis=1))

    @property
    def value(self) -> float:
        """Median of `by_voxel`."""
        return float(np.median(self.by_voxel))


def corrected_r2(features: ArrayLike, voxels: ArrayLike, splits: int = 10, seed: int = SEED) -> CorrectedR2:
    """Predict voxels from features, and correct the explained variance for noise.

    features: (sound, feature), such as the activations of a stage averaged over time. voxels: (sound, voxel, scan),
    three scans or more. splits: random divisions; an odd sound is a training sound. seed: of the splits; default: the
    published one.

    Raises CornetError for shapes that do not match, fewer than 8 sounds or 2 scans, and values that are not finite.
    """
    x, y = np.asarray(features, float), np.asarray(voxels, float)
    if x.ndim != 2 or y.ndim != 3 or len(x) != len(y):
        raise CornetError(
            f"features {x.shape} and voxels {y.shape} must be (sound, feature) and (sound, voxel, scan) of the same "
            "sounds; flatten all but the sounds."
        )
    if len(x) < 8 or y.shape[2] < 2 or not x.shape[1] or not y.shape[1]:
        raise CornetError(
            f"features {x.shape} and voxels {y.shape} are too few; give 8 sounds, a feature, a voxel and 2 scans or "
            "more."
        )
    for word, values in (("features", x), ("voxels", y)):
        if not np.isfinite(values).all():
            raise CornetError(f"{word} have values that are not finite; leave those sounds or voxels out.")
    check_positive_int("splits", splits)
    if not is_seed(seed):
        raise CornetError(f"seed={seed!r} must be a whole number, 0 to {2**32 - 1}.")
    train = sound_splits(len(x), splits, seed)
    parts = [one_split(x, y, chosen) for chosen in train.T]
    r2, voxel, prediction, penalty = (np.stack(part, axis=1) for part in zip(*parts, strict=True))
    return CorrectedR2(r2 / (voxel * prediction), r2, voxel, prediction, penalty, train)


def sound_splits(sounds: int, splits: int, seed: int) -> np.ndarray:
    """Which sounds are training sounds, (sound, split): one more than half of an odd number."""
    draw = np.random.RandomState(seed)
    train = np.zeros((sounds, splits), bool)
    for split in range(splits):
        chosen = draw.choice(sounds, -(-sounds // 2), replace=False)
        draw.choice(
            sounds // 2, sounds // 2, replace=False
        )  # the order of the test sounds, which has no effect
        train[chosen, split] = True
    return train


def one_split(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, ...]:
    """r2, reliability of the voxel and of the prediction, and log10 of the penalty, (voxel,) each."""
    scans = y.shape[2]
    targets = np.concatenate([y.mean(2), *np.moveaxis(y, 2, 0)], axis=1)
    targets = targets - targets[train].mean(0)
    predicted, penalty = ridge(x[train], targets[train], x[~train])
    mean, *single = np.split(predicted, scans + 1, axis=1)
    flat = np.split(predicted.std(0) <= CONSTANT * targets[train].std(0), scans + 1)
    r2 = np.where(flat[0], 0, correlation(mean, targets[~train][:, : y.shape[1]])) ** 2
    pairs = [(one, two) for one in range(scans) for two in range(one + 1, scans)]
    heard = y[train]
    voxel = np.median([correlation(heard[..., a], heard[..., b]) for a, b in pairs], axis=0)
    found = [np.where(flat[a + 1] | flat[b + 1], 0, correlation(single[a], single[b])) for a, b in pairs]
    both = voxel, np.median(found, axis=0)
    floors = FLOOR_VOXEL, FLOOR_PREDICTION
    corrected = [
        np.maximum(scans * r / (1 + (scans - 1) * r), low) for r, low in zip(both, floors, strict=True)
    ]
    return r2, *corrected, penalty[: y.shape[1]]


def ridge(x: np.ndarray, y: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (test sound, target) and log10 of the penalties (target,) of ridge regressions with an intercept.

    Each target has the penalty with the smallest leave-one-out error. All targets share one decomposition of the
    sounds' products, so that neither their number nor that of the features matters much.
    """
    centre = x.mean(0)
    x, test = x - centre, test - centre
    values, vectors = np.linalg.eigh(x @ x.T)
    values = np.where(values > values.max() * len(x) * np.finfo(float).eps, values, 0.0)
    mean = np.full((len(x), 1), len(x) ** -0.5)  # the intercept has no penalty
    rest = vectors[:, values == 0]
    rest = rest - mean @ (mean.T @ rest)
    rest = np.linalg.svd(rest, full_matrices=False)[0][:, : len(x) - 1 - int((values > 0).sum())]
    kept = vectors[:, values > 0]
    basis, own = np.concatenate([kept, rest], axis=1), values[values > 0]
    own = np.concatenate([own, np.zeros(rest.shape[1])])
    inside = basis.T @ (y - y.mean(0))
    least, best = np.full(y.shape[1], np.inf), np.zeros(y.shape[1], int)
    for exponent in LOG10_PENALTIES:
        weights = 10.0**exponent / (own + 10.0**exponent)
        left_out = basis @ (weights[:, None] * inside) / (basis**2 @ weights)[:, None]
        error = (left_out**2).mean(0)
        better = error < least
        least, best = np.where(better, error, least), np.where(better, exponent, best)
    factors = np.where(own[:, None] > 0, 1 / (own[:, None] + 10.0**best), 0)
    return test @ (x.T @ (basis @ (factors * inside))) + y.mean(0), best


def correlation(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Pearson correlation over the first axis; 0 for a constant."""
    one, two = one - one.mean(0), two - two.mean(0)
    size = np.sqrt((one**2).sum(0) * (two**2).sum(0))
    return np.where(size > 0, (one * two).sum(0) / np.where(size > 0, size, 1), 0)
