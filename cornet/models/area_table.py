"""One row of a network's table of areas: steps, and the milliseconds that they represent. Imports no PyTorch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cornet.errors import CornetError
from cornet.sizes import MAX_STEPS, check_positive_int

__all__ = ["Area", "Times", "given_steps"]

Times = int | Mapping[str, int]
"""Steps of a network: one number, or {area: number}."""


@dataclass(frozen=True)
class Area:
    """One area of a network, and the time that its steps represent.

    name: as in the states. steps: time steps that it runs. onset_ms: start of step 0, in ms after stimulus onset.
    step_ms: duration of a step. first_driven_step: the first step (from 0) whose output depends on the image. region:
    the brain region that the area stands for; default: the area's name.

    Raises CornetError for an empty name, steps outside 1 to MAX_STEPS, and times that are not times.
    """

    name: str
    steps: int
    onset_ms: float
    step_ms: float
    first_driven_step: int = 0
    region: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise CornetError("an area has no name; give one, such as V1.")
        check_positive_int(f"steps of area {self.name}", self.steps, MAX_STEPS)
        for word, value, low in (
            ("onset_ms", self.onset_ms, "0 or more"),
            ("step_ms", self.step_ms, "above 0"),
        ):
            if not 0 <= value < math.inf or (word == "step_ms" and value == 0):
                raise CornetError(f"{word}={value!r} of area {self.name} must be {low}, in ms.")
        if not 0 <= self.first_driven_step < self.steps:
            raise CornetError(
                f"first_driven_step={self.first_driven_step} of area {self.name} must be 0 to {self.steps - 1}, as it "
                f"runs {self.steps} steps; run more."
            )
        object.__setattr__(self, "region", self.region or self.name)


def given_steps(times: Times, areas: Sequence[str], several: Sequence[str]) -> dict[str, int]:
    """The steps that `times` names: {area: number}, or one number for the areas in `several` (all areas if empty).

    Raises CornetError for unknown areas, and for anything but whole numbers from 1 to MAX_STEPS.
    """
    by_area = isinstance(times, Mapping)
    given: dict[str, Any] = (
        dict(times) if isinstance(times, Mapping) else dict.fromkeys(several or areas, times)
    )
    if unknown := [str(area) for area in given if area not in areas]:
        raise CornetError(f"times names {', '.join(unknown)}, but the areas are {', '.join(areas)}.")
    for area, value in given.items():
        check_positive_int(f"times.{area}" if by_area else "times", value, MAX_STEPS)
    return {area: int(value) for area, value in given.items()}
