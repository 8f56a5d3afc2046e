"""Select neuroids and stimuli without missing responses, for metrics that compare whole patterns of responses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CompleteData", "complete_data"]

MIN_NEUROIDS = 2


@dataclass(frozen=True, eq=False)
class CompleteData:
    """A part of (stimulus, neuroid) responses that lacks none.

    stimuli, neuroids: positions of those that are used. silent_stimuli, silent_neuroids: numbers of those without any
    response. incomplete_neuroids: number left out because they lack responses to some stimuli; incomplete_stimuli:
    number left out because they lack responses of some neuroids. One of the last two is always 0.
    """

    stimuli: NDArray[np.int64]
    neuroids: NDArray[np.int64]
    silent_stimuli: int
    silent_neuroids: int
    incomplete_neuroids: int
    incomplete_stimuli: int

    def notes(self, total: tuple[int, int]) -> list[str]:
        """Notes that count what is left out. total: numbers of stimuli and neuroids."""
        stimuli, neuroids = total
        notes = []
        if self.silent_stimuli:
            notes.append(f"skipped {self.silent_stimuli} of {stimuli} stimuli without responses")
        if self.silent_neuroids:
            notes.append(f"skipped {self.silent_neuroids} of {neuroids} neuroids without responses")
        if self.incomplete_neuroids:
            notes.append(
                f"skipped {self.incomplete_neuroids} of {neuroids} neuroids that lack responses to some stimuli"
            )
        if self.incomplete_stimuli:
            notes.append(
                f"skipped {self.incomplete_stimuli} of {stimuli} stimuli that lack responses of some neuroids, as "
                f"fewer than {MIN_NEUROIDS} neuroids have responses to all stimuli"
            )
        return notes


def complete_data(present: NDArray[np.bool_]) -> CompleteData:
    """Select a complete part of responses. present: (stimulus, neuroid), True where there is a response.

    Stimuli and neuroids without any response are left out first. Then neuroids that lack responses are left out, or, if
    fewer than two neuroids would remain, stimuli that lack responses.
    """
    shown, responding = present.any(axis=1), present.any(axis=0)
    complete = responding & present[shown].all(axis=0)
    silent = {"silent_stimuli": int((~shown).sum()), "silent_neuroids": int((~responding).sum())}
    if complete.sum() >= min(MIN_NEUROIDS, int(responding.sum())):
        incomplete = int((responding & ~complete).sum())
        return CompleteData(
            np.flatnonzero(shown),
            np.flatnonzero(complete),
            **silent,
            incomplete_neuroids=incomplete,
            incomplete_stimuli=0,
        )
    whole = shown & present[:, responding].all(axis=1)
    return CompleteData(
        np.flatnonzero(whole),
        np.flatnonzero(responding),
        **silent,
        incomplete_neuroids=0,
        incomplete_stimuli=int((shown & ~whole).sum()),
    )
