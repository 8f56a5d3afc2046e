"""What synthesised images achieve, beside the best natural images and controls.

"Stretch" is measured by the response of a neuroid over the largest response to N natural images; "one-hot" by the share
of a softmax over the standardised responses of the population (Bashivan et al. 2019). Both are of responses that are
known or measured, not of predictions.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from cornet.synthesis.driving import Mode

__all__ = ["Measure", "Outcome", "of_images"]


@dataclass(frozen=True, eq=False)
class Measure:
    """What is compared, for the mode that images were made in.

    mean, deviation: (neuroid,), of the responses to natural images; used by the one-hot modes.
    """

    mode: Mode
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @property
    def one_hot(self) -> bool:
        return self.mode != "stretch"

    def of(self, responses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Responses (..., neuroid) to values, (..., neuroid): responses, or shares of the softmax."""
        if not self.one_hot:
            return responses
        shares: NDArray[np.float64] = softmax(self.standardised(responses), axis=-1)
        return shares

    def standardised(self, responses: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = np.where(self.deviation > 0, self.deviation, np.inf)
        z: NDArray[np.float64] = (responses - self.mean) / scale
        return z


@dataclass(frozen=True, eq=False)
class Outcome:
    """One image for each neuroid of a population.

    name: of the condition. values: (neuroid,), true responses to its image, or shares. natural: (neuroid,), the best
    values of N natural images, and `more`, of more of them. responses: (image, neuroid), of all neuroids to each image,
    where they count (one-hot).
    """

    name: str
    values: NDArray[np.float64]
    natural: NDArray[np.float64]
    more: NDArray[np.float64] | None = None
    standardised: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """(neuroid,), over the best natural image; NaN where that is not above 0."""
        return np.divide(
            self.values, self.natural, out=np.full(len(self.values), np.nan), where=self.natural > 0
        )

    @property
    def median(self) -> float:
        known = self.ratio[np.isfinite(self.ratio)]
        return float(np.median(known)) if len(known) else float("nan")

    @property
    def beyond(self) -> float:
        """Share of the neuroids that are driven beyond the best natural image."""
        return float((self.values > self.natural).mean())

    @property
    def beyond_more(self) -> float:
        """The same, of more natural images; NaN if there are no more."""
        return float("nan") if self.more is None else float((self.values > self.more).mean())

    @property
    def right(self) -> float:
        """Share of the images to which the right neuroid responds most, standardised; NaN for stretch."""
        if self.standardised is None:
            return float("nan")
        return float((self.standardised.argmax(axis=1) == np.arange(len(self.values))).mean())

    @property
    def on_target(self) -> float:
        """Mean standardised response of the right neuroids."""
        return float("nan") if self.standardised is None else float(np.diagonal(self.standardised).mean())

    @property
    def off_target(self) -> float:
        """Mean standardised response of the others."""
        if self.standardised is None:
            return float("nan")
        others = ~np.eye(len(self.values), dtype=bool)
        return float(self.standardised[others].mean())


def of_images(
    name: str,
    responses: NDArray[np.float64],
    natural: NDArray[np.float64],
    measure: Measure,
    more: NDArray[np.float64] | None = None,
) -> Outcome:
    """The outcome of one image for each neuroid.

    responses: (image, neuroid), image k is for neuroid k. natural: (natural image, neuroid). more: the same, of further
    natural images beside these.
    """
    best = measure.of(natural).max(axis=0)
    best_of_all = None
    if more is not None and len(more):
        best_of_all = np.maximum(best, measure.of(more).max(axis=0))
    values = np.diagonal(measure.of(responses)).copy()
    standardised = measure.standardised(responses) if measure.one_hot else None
    return Outcome(name, values, best, best_of_all, standardised)
