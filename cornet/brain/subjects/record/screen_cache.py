"""In-memory cache of screens, so that images shown repeatedly are decoded and placed only once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cornet.memory import available_memory
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["ScreenCache"]

LIMIT = 2 * 10**9
"""Bytes. The public stimuli at 224 pixels take 1.03 GB."""


@dataclass(frozen=True)
class CachedScreens:
    """screens: (stimulus, 3, size, size) uint8. filled: (stimulus,) bool, True where a screen is in the cache."""

    screens: NDArray[np.uint8]
    filled: NDArray[np.bool_]


class ScreenCache:
    """Caches the screens of stimulus sets until the limit is reached; further sets are decoded each time.

    limit: bytes. A set is not cached either if it needs more than a quarter of the free memory.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._sets: dict[tuple[str, float, int], CachedScreens] = {}

    def entry(self, stimuli: StimulusSet, size: int, share: float) -> CachedScreens | None:
        """The cached screens of a stimulus set, to read and fill; None if they exceed the limit.

        size: pixels per side. share: visual angle of the stimuli / visual angle of the screen.
        """
        key = stimuli.identity, share, size
        if key not in self._sets:
            needed = len(stimuli) * 3 * size * size
            used = sum(cached.screens.size for cached in self._sets.values())
            if used + needed > self.limit or needed > available_memory() // 4:
                return None
            try:
                screens = np.empty((len(stimuli), 3, size, size), np.uint8)
            except MemoryError:
                return None
            self._sets[key] = CachedScreens(screens, np.zeros(len(stimuli), bool))
        return self._sets[key]
