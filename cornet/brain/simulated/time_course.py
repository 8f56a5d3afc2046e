"""Solution times of the simulated IT, as in Kar et al. (2019): a read-out per time bin, i1 per image, first crossing.

They are computed from noiseless rates, which gives the ground truth, and from spikes, as in an experiment.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cornet.brain.metrics.choices.dprime import dprime, mean_over_distractors
from cornet.brain.simulated.linear_readout import cross_validated
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["SolutionTimes", "decoded_i1", "sensitivity"]

_PENALTY = 0.463
"""Penalty of the benchmark's decoder."""


@dataclass(frozen=True, eq=False)
class SolutionTimes:
    """A simulated recording for object solution times.

    labels: (stimulus,), category names, which are the objects of this task.
    threshold_i1: (stimulus,), the observer's sensitivity (i1) to each image, in the limit of infinitely many trials.
    target_ost: (stimulus,), solution time decoded from spikes, in ms after onset; NaN if never solved.
    truth_ost: (stimulus,), solution time decoded from noiseless rates.
    time_bin_start: (time,), ms. spikes: (repetition, stimulus, neuroid, time) uint8, counts.
    rates: (stimulus, neuroid, time), spikes/s.
    """

    stimuli: StimulusSet
    labels: NDArray[np.str_]
    threshold_i1: NDArray[np.float64]
    target_ost: NDArray[np.float64]
    truth_ost: NDArray[np.float64]
    time_bin_start: NDArray[np.float64]
    spikes: NDArray[np.uint8] = field(repr=False)
    rates: NDArray[np.float64] = field(repr=False)


def sensitivity(probabilities: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """i1 of each image, (stimulus,): mean d' over all other categories."""
    return mean_over_distractors(dprime(probabilities, truth))


def decoded_i1(responses: NDArray[np.float64], truth: NDArray[np.intp], seed: int) -> NDArray[np.float64]:
    """i1 of each image in each time bin, (stimulus, time), from responses (stimulus, neuroid, time)."""
    bins = [
        sensitivity(np.exp(cross_validated(responses[..., t], truth, _PENALTY, seed)), truth)
        for t in range(responses.shape[-1])
    ]
    return np.stack(bins, axis=1)
