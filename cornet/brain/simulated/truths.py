"""Ground truth of a region's simulated neuroids, which comparisons must recover."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["NeuralTruth"]


@dataclass(frozen=True, eq=False)
class NeuralTruth:
    """rates: (stimulus, neuroid), noiseless, spikes/s, from 70 to 170 ms.

    reliability: (neuroid,), of the mean over repetitions: variance of noiseless counts / variance of the mean counts
    (`cornet.brain.simulated.spikes`).
    """

    rates: NDArray[np.float64] = field(repr=False)
    reliability: NDArray[np.float64] = field(repr=False)

    @property
    def ceiling(self) -> float:
        """The median reliability, which `internal_consistency` estimates."""
        return float(np.median(self.reliability))

    @property
    def best_score(self) -> float:
        """Raw predictivity of noiseless rates: the square root of the ceiling; 1 on the scale r^2/c, above 1 on r/c."""
        return float(np.sqrt(self.ceiling))
