"""Screens of stimulus sets that are shown again and again: decoded and placed once, kept as uint8."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cornet.memory import available_memory
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Kept", "KeptScreens"]

LIMIT = 2 * 10**9
"""Bytes; the public stimuli at 224 pixels take 1.03 GB."""


@dataclass(frozen=True)
class Kept:
    """screens: (stimulus, 3, size, size) uint8. there: (stimulus,) bool, those that are placed already."""

    screens: NDArray[np.uint8]
    there: NDArray[np.bool_]


class KeptScreens:
    """Keeps the screens of as many stimulus sets as find room, in the order in which they are first shown.

    limit: bytes; never more than a quarter of what is free at that time. What finds no room is decoded anew.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._sets: dict[tuple[str, float, int], Kept] = {}

    def of(self, stimuli: StimulusSet, size: int, share: float) -> Kept | None:
        """Where this set's screens are kept, and are to be put; None where there is no room for them.

        share: of the screen, that the stimuli cover.
        """
        key = stimuli.identity, share, size
        if key not in self._sets:
            needed = len(stimuli) * 3 * size * size
            held = sum(kept.screens.size for kept in self._sets.values())
            if held + needed > self.limit or needed > available_memory() // 4:
                return None
            try:
                screens = np.empty((len(stimuli), 3, size, size), np.uint8)
            except MemoryError:
                return None
            self._sets[key] = Kept(screens, np.zeros(len(stimuli), bool))
        return self._sets[key]
