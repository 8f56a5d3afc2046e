"""What is true of a region's simulated neuroids, and so what a comparison with them must find."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["NeuralTruth"]


@dataclass(frozen=True, eq=False)
class NeuralTruth:
    """rates: (stimulus, neuroid), noiseless, spikes a second from 70 to 170 ms.

    reliability: (neuroid,), of the mean over repetitions: the variance of the noiseless counts over that of the means
    (`cornet.brain.simulated.spikes`).
    """

    rates: NDArray[np.float64] = field(repr=False)
    reliability: NDArray[np.float64] = field(repr=False)

    @property
    def ceiling(self) -> float:
        """What `internal_consistency` estimates: the median reliability."""
        return float(np.median(self.reliability))

    @property
    def best_score(self) -> float:
        """Raw predictivity of the noiseless rates, the root of the ceiling: 1 on the scale r^2/c, above 1 on r/c."""
        return float(np.sqrt(self.ceiling))
