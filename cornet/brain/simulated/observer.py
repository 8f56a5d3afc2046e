"""Choices of the simulated observer between two categories.

A linear read-out of IT's first 100 ms gives the evidence, to which Gumbel noise is added in each trial. An error then
has the probability P(i, d) / (P(i, d) + P(i, truth)), the false alarm of Rajalingham et al. (2018).
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
"""Evidence over noise."""


def choice_probabilities(
    rates: NDArray[np.float64], truth: NDArray[np.intp], seed: int
) -> NDArray[np.float64]:
    """P(image, category), (stimulus, category), rows summing to 1, from noiseless rates (stimulus, neuroid)."""
    return softmax(_STEEPNESS * cross_validated(rates, truth, _PENALTY, seed), axis=1)


def draw_trials(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.intp],
    stimulus_ids: NDArray[np.str_],
    repetitions: int,
    seed: int,
) -> pd.DataFrame:
    """Trials, each image against each other category `repetitions` times, in an order as random as in a session.

    Columns: stimulus_id; sample, what it shows; distractor, what else was offered; choice, which was taken.
    """
    image, distractor, repetition = np.indices((*probabilities.shape, repetitions)).reshape(3, -1)
    offered = distractor != truth[image]
    image, distractor, repetition = image[offered], distractor[offered], repetition[offered]
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
