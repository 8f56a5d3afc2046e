"""Responses that come back: are the neuroids driven beyond their natural images?

The best of several images is chosen on one half of the trials and measured on the other, for synthesised and for
natural images alike, then the halves change places; this is averaged over random halves. The largest of several means
of the same trials would be too large: of five equal images, by 1.16 standard errors of a mean.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.metrics.resampling import DRAWS
from cornet.synthesis.driven.outcome import Measure
from cornet.synthesis.driving import Mode

__all__ = ["HALVES", "Returned", "Trials", "evaluate"]

HALVES = 100
"""Random halves of the trials."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Responses to synthesised and natural images, in one session.

    files: (image,). neuroids: (neuroid,). values: (repetition, image, neuroid), NaN where missing. synthetic, natural:
    of each neuroid, the positions of its images. mode: that the images were made in. notes: what was left out.
    """

    files: NDArray[np.str_]
    neuroids: NDArray[np.str_]
    values: NDArray[np.float64] = field(repr=False)
    synthetic: list[NDArray[np.int64]] = field(repr=False)
    natural: list[NDArray[np.int64]] = field(repr=False)
    mode: Mode = "stretch"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Returned:
    """synthetic, natural: (neuroid,), of the best image: responses, or shares of the softmax (one-hot). chosen:
    (neuroid,), the synthesised image that was chosen most often."""

    trials: Trials
    synthetic: NDArray[np.float64]
    natural: NDArray[np.float64]
    chosen: NDArray[np.str_]
    seed: int = 0

    @property
    def stretch(self) -> NDArray[np.float64]:
        """(neuroid,), 100 (synthetic / natural - 1), in %; NaN where natural is not above 0."""
        ratio = np.divide(
            self.synthetic, self.natural, out=np.full(len(self.natural), np.nan), where=self.natural > 0
        )
        return 100 * (ratio - 1)

    @property
    def median(self) -> tuple[float, float, float]:
        """Median stretch over neuroids, and its 95 % interval."""
        return self._interval(self.stretch, np.median)

    @property
    def beyond(self) -> tuple[float, float, float]:
        """Share of the neuroids driven beyond their best natural image, and its 95 % interval."""
        return self._interval((self.synthetic > self.natural).astype(float), np.mean)

    def _interval(
        self, values: NDArray[np.float64], middle: Callable[..., Any]
    ) -> tuple[float, float, float]:
        """A statistic over neuroids (np.median, np.mean) and its bootstrap interval."""
        known = values[np.isfinite(values)]
        if not len(known):
            return math.nan, math.nan, math.nan
        rows = np.random.default_rng(self.seed).integers(len(known), size=(DRAWS, len(known)))
        low, high = np.quantile(middle(known[rows], axis=1), [0.025, 0.975])
        return float(middle(known)), float(low), float(high)

    def table(self) -> pd.DataFrame:
        """A row for each neuroid."""
        return pd.DataFrame(
            {
                "neuroid": self.trials.neuroids,
                "image": self.chosen,
                "synthetic": self.synthetic,
                "natural": self.natural,
                "stretch_percent": self.stretch,
                "beyond": self.synthetic > self.natural,
                "synthetic_images": [len(one) for one in self.trials.synthetic],
                "natural_images": [len(one) for one in self.trials.natural],
            }
        )


def evaluate(trials: Trials, halves: int = HALVES, seed: int = 0) -> Returned:
    """Measure the best synthesised and the best natural image of each neuroid.

    For the one-hot modes the value of an image is the share of the neuroid in a softmax over all neuroids, standardised
    by mean and standard deviation of the mean responses to the natural images of this session.
    """
    rng = np.random.default_rng(seed)
    count = len(trials.neuroids)
    mean, deviation = np.zeros((2, count))
    if trials.mode != "stretch":
        shown = np.nanmean(trials.values, axis=0)[np.unique(np.concatenate(trials.natural))]
        mean, deviation = shown.mean(axis=0), shown.std(axis=0)
    measure = Measure(trials.mode, mean, deviation)
    totals = np.zeros((2, count))
    wins = [np.zeros(len(own)) for own in trials.synthetic]
    for _ in range(halves):
        sides = [measure.of(one) for one in half_means(trials.values, rng)]
        for choose, test in (sides, sides[::-1]):
            for kind, places in enumerate((trials.synthetic, trials.natural)):
                for neuroid, own in enumerate(places):
                    best = int(choose[own, neuroid].argmax())
                    totals[kind, neuroid] += test[own[best], neuroid]
                    if kind == 0:
                        wins[neuroid][best] += 1
    synthetic, natural = totals / (2 * halves)
    chosen = [trials.files[own[won.argmax()]] for own, won in zip(trials.synthetic, wins, strict=True)]
    return Returned(trials, synthetic, natural, np.array(chosen, dtype=str), seed)


def half_means(values: NDArray[np.float64], rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Means over two random halves of the trials of each image and neuroid, [(image, neuroid), ...].

    The trials of an image are divided for each image alone, the same for all neuroids that have them. values:
    (repetition, image, neuroid), with at least two repetitions of each pair that is used; with an odd number, either
    half can have one more.
    """
    known = np.isfinite(values)
    drawn = np.where(known, rng.random(values.shape[:2])[..., None], np.inf)
    rank = drawn.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    number = known.sum(axis=0)
    first = (number + rng.integers(2)) // 2
    filled = np.where(known, values, 0.0)
    found = []
    for side in (known & (rank < first), known & (rank >= first)):
        shown = side.sum(axis=0)
        sums = (filled * side).sum(axis=0)
        found.append(np.divide(sums, shown, out=np.full(shown.shape, np.nan), where=shown > 0))
    return found
