"""Choices of the simulated observer between two categories.

A linear read-out of the first 100 ms of IT gives the evidence; each trial adds Gumbel noise. The error probability is
then P(i, d) / (P(i, d) + P(i, truth)), the false alarm rate of Rajalingham et al. (2018).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from cornet.brain.simulated.linear_readout import cross_validated
from cornet.brain.simulated.randomness import uniform
from cornet.stimuli.objects import CATEGORIES

__all__ = ["choice_probabilities", "draw_trials"]

_PENALTY = 0.05
_STEEPNESS = 0.35
"""Ratio of evidence to noise."""


def choice_probabilities(
    rates: NDArray[np.float64], truth: NDArray[np.intp], seed: int
) -> NDArray[np.float64]:
    """P(image, category), (stimulus, category), rows sum to 1, from noiseless rates (stimulus, neuroid)."""
    return softmax(_STEEPNESS * cross_validated(rates, truth, _PENALTY, seed), axis=1)


def draw_trials(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.intp],
    stimulus_ids: NDArray[np.str_],
    repetitions: int,
    seed: int,
) -> pd.DataFrame:
    """Draw `repetitions` trials of each image with each other category as the distractor, in random order.

    Columns: stimulus_id; sample, the category shown; distractor, the other category offered; choice.
    """
    image, distractor, repetition = np.indices((*probabilities.shape, repetitions)).reshape(3, -1)
    differs = distractor != truth[image]
    image, distractor, repetition = image[differs], distractor[differs], repetition[differs]
    sample = truth[image]
    wrong, right = probabilities[image, distractor], probabilities[image, sample]
    erred = uniform(seed, "choice", image, distractor, repetition) < wrong / (wrong + right)
    order = np.argsort(uniform(seed, "order", image, distractor, repetition), kind="stable")
    names = np.array(CATEGORIES)
    return pd.DataFrame(
        {
            "stimulus_id": stimulus_ids[image[order]],
            "sample": names[sample[order]],
            "distractor": names[distractor[order]],
            "choice": names[np.where(erred, distractor, sample)[order]],
        }
    )
