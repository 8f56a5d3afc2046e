"""Resample stimuli and neuroids, the same for all models, so that differences between models are paired.

| score | draws |
|---|---|
| mappings (pls, ridge, ...) | bootstrap over neuroids and stimuli: the held-out predictions are not fitted again |
| similarities (cka, rdm) | bootstrap over the pseudo-values of a jackknife over groups of stimuli |
| transfer | bootstrap over test images |
| others (i2n, solution times) | normal draws with the score's error, independent for each model: not paired |

Efron & Tibshirani (1993), An Introduction to the Bootstrap: paired comparisons, and pseudo-values (chapter 11.5).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.brain.score import Score

__all__ = ["DRAWS", "UNPAIRED", "raw_draws"]

DRAWS = 1000

UNPAIRED = "unpaired"

BLOCK = 1 << 22  # values resampled at a time


def raw_draws(
    score: Score,
    name: str,
    model: str = "",
    responses: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    draws: int = DRAWS,
) -> tuple[NDArray[np.float64], str]:
    """Draw the raw score of a model again and again, (draw,), and say what was resampled.

    name: of the benchmark; models of one benchmark get the same draws of stimuli and neuroids. model: its name.
    responses: (stimulus, neuroid) that a mapping predicted, NaN where missing. groups: (stimulus,), stimuli that are
    drawn together.
    """
    rng = np.random.default_rng(np.frombuffer(name.encode(), np.uint8))
    details = score.details
    if "predictions" in details and responses is not None:
        answers = np.asarray(responses, float)
        found = mapped_draws(details["predictions"], details["tests"], answers, groups, rng, draws)
        return found, "neuroids and stimuli"
    if "jackknife" in details and len(details["jackknife"]) > 1:
        left_out = np.asarray(details["jackknife"], float)
        count = len(left_out)
        pseudo = count * score.raw - (count - 1) * left_out
        chosen = rng.integers(count, size=(draws, count))
        # The plug-in variance of a mean of `count` values is too small by (count - 1) / count.
        spread = (pseudo[chosen].mean(axis=1) - pseudo.mean()) * np.sqrt(count / (count - 1))
        return score.raw + spread, "groups of stimuli"
    if "correct" in details:
        correct = np.asarray(details["correct"], float)
        hits = rng.multinomial(len(correct), np.full(len(correct), 1 / len(correct)), draws) @ correct
        return hits / len(correct), "images"
    error = score.error if np.isfinite(score.error) else np.nan
    unpaired = np.random.default_rng(np.frombuffer(f"{name} {model}".encode(), np.uint8))
    return score.raw + error * unpaired.standard_normal(draws), UNPAIRED


def mapped_draws(
    predictions: Sequence[NDArray[np.float64]],
    tests: Sequence[NDArray[np.int64]],
    responses: NDArray[np.float64],
    groups: ArrayLike | None,
    rng: Any,
    draws: int,
) -> NDArray[np.float64]:
    """Median over drawn neuroids of r over drawn test stimuli, averaged over splits, (draw,)."""
    stimuli, neuroids = responses.shape
    _, members = np.unique(np.arange(stimuli) if groups is None else np.asarray(groups), return_inverse=True)
    units = int(members.max()) + 1
    weights = rng.multinomial(units, np.full(units, 1 / units), draws)[:, members].astype(float)
    chosen = rng.integers(neuroids, size=(draws, neuroids))
    totals, counts = np.zeros(draws), np.zeros(draws)
    for predicted, test in zip(predictions, tests, strict=True):
        r = weighted_correlations(predicted, responses[test], weights[:, test])
        medians = np.empty(draws)
        step = max(1, BLOCK // neuroids)
        for start in range(0, draws, step):
            part = slice(start, start + step)
            drawn = np.take_along_axis(r[part], chosen[part], axis=1)
            medians[part] = nan_medians(drawn)
        finite = np.isfinite(medians)
        totals += np.where(finite, medians, 0.0)
        counts += finite
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = totals / counts
    return found


def weighted_correlations(
    predicted: NDArray[np.float64], measured: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson's r of each neuroid with weighted stimuli, (draw, neuroid). weights: (draw, stimulus).

    predicted, measured: (stimulus, neuroid); pairs with a NaN are left out.
    """
    known = np.isfinite(predicted) & np.isfinite(measured)
    count = np.maximum(known.sum(axis=0), 1)
    x, y = (np.where(known, values, 0.0) for values in (predicted, measured))
    x, y = (np.where(known, values - values.sum(axis=0) / count, 0.0) for values in (x, y))
    total = weights @ known.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = weights @ x / total, weights @ y / total
        xx = weights @ (x * x) / total - mean_x**2
        yy = weights @ (y * y) / total - mean_y**2
        r: NDArray[np.float64] = (weights @ (x * y) / total - mean_x * mean_y) / np.sqrt(xx * yy)
    # Rounding of constant values: their variance is a tiny fraction of that over all stimuli.
    varies = (xx > 1e-12 * (x * x).max(axis=0)) & (yy > 1e-12 * (y * y).max(axis=0))
    return np.where(varies, r, np.nan)


def nan_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the last axis, NaN skipped; NaN for rows that are all NaN."""
    if not np.isnan(values).any():
        return np.median(values, axis=-1)
    found = np.full(len(values), np.nan)
    some = np.isfinite(values).any(axis=-1)
    found[some] = np.nanmedian(values[some], axis=-1)
    return found
