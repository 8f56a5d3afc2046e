"""A *simulated* brain that responds to rendered objects, to test the pipeline and to learn the tool.

from cornet.brain import simulated
bundle = simulated.bundle("IT")               # responses of 60 neuroids to 640 images, ten repetitions
trials = simulated.trials()                   # choices, for i2n
times = simulated.solution_times()            # IT in 18 time bins, for object solution times
simulated.truth("IT").best_score              # score of the best possible predictor

V1 and V2 respond to pixels, V4 to the object's outline, IT to its category, appearance and pose. Nothing was measured:
scores on these data say nothing about brains.
"""

from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.bundle import Bundle
from cornet.brain.regions import REGIONS
from cornet.brain.simulated.brain import SIMULATION_VERSION, SimulatedBrain
from cornet.brain.simulated.time_course import SolutionTimes
from cornet.brain.simulated.truths import NeuralTruth
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = [
    "REGIONS",
    "SIMULATION_VERSION",
    "NeuralTruth",
    "SimulatedBrain",
    "SolutionTimes",
    "brain",
    "bundle",
    "choice_probabilities",
    "it_over_time",
    "solution_times",
    "stimuli",
    "trials",
    "truth",
]


@cache
def brain() -> SimulatedBrain:
    """The default simulated brain, one per process."""
    return SimulatedBrain()


def stimuli() -> StimulusSet:
    """The 640 stimuli; see `SimulatedBrain.stimuli`."""
    return brain().stimuli


def bundle(region: str | None = None) -> Bundle:
    """Responses from 70 to 170 ms of a region (None: V1, V2, V4 and IT); see `SimulatedBrain.bundle`."""
    return brain().bundle(region)


def it_over_time() -> Bundle:
    """Responses of IT in 18 bins from 70 to 250 ms; see `SimulatedBrain.it_over_time`."""
    return brain().it_over_time()


def trials() -> pd.DataFrame:
    """Choices between two categories: stimulus_id, sample, distractor, choice; see `SimulatedBrain.trials`."""
    return brain().trials()


def solution_times() -> SolutionTimes:
    """The recording for object solution times; see `SolutionTimes`."""
    return brain().solution_times()


def truth(region: str) -> NeuralTruth:
    """Ground truth of a region's neuroids; see `NeuralTruth`."""
    return brain().truth(region)


def choice_probabilities() -> NDArray[np.float64]:
    """P(image, category) that trials are drawn from; see `SimulatedBrain.choice_probabilities`."""
    return brain().choice_probabilities
