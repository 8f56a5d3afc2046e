"""Noisy responses of neuroids whose noiseless responses, and the variables that they follow, are known."""

import numpy as np
from numpy.typing import NDArray


class Neuroids:
    """Rates of neuroids that follow a few variables of each stimulus, and repetitions with Gaussian noise.

    rates: (stimulus, neuroid), rectified, standard deviation 1. variables: (stimulus, variable).
    """

    def __init__(self, seed: int, stimuli: int = 60, neuroids: int = 50, variables: int = 6) -> None:
        self.rng = np.random.default_rng(seed)
        self.variables = self.rng.standard_normal((stimuli, variables)) * np.geomspace(1, 0.4, variables)
        rates = np.maximum(self.variables @ self.rng.standard_normal((variables, neuroids)) + 0.3, 0)
        self.rates = rates / rates.std()

    def repetitions(self, number: int, noise: float) -> NDArray[np.float64]:
        """(repetition, stimulus, neuroid). noise: standard deviation in one repetition."""
        return self.rates + noise * self.rng.standard_normal((number, *self.rates.shape))

    def random_projection(self, units: int = 200) -> NDArray[np.float64]:
        """Features of an untrained layer: rectified random sums of the variables and of as many irrelevant ones."""
        irrelevant = self.rng.standard_normal(self.variables.shape)
        inputs = np.concatenate([self.variables, irrelevant], axis=1)
        return np.maximum(inputs @ self.rng.standard_normal((inputs.shape[1], units)), 0)
