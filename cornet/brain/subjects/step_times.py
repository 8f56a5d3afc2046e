"""Which step of a network answers for which milliseconds after a stimulus appears.

A step of an area stands for an interval. A benchmark asks for a time bin, and gets the step whose interval starts
nearest to the bin's start. The published commitments, in ms after stimulus onset:

    CORnet-S     V1 50-150; V2 70-170, 170-270; V4 90-140, 140-190, 190-240, 240-290; IT 100-200, 200-300
    CORnet-Z     V1 50-150; V2 70-170; V4 90-190; IT 100-200
    CORnet-R     one clock for all areas: step t is 50 + 30 t to 80 + 30 t; V1 from step 0, later areas from step 1
    CORnet-RT    (none was published) R's clock; V2 from step 1, V4 from step 2, IT from step 3

V3 of networks with five areas, which was not published, begins at 80 ms and is otherwise as V2.

Before the first step named here nothing of the image has reached the area, so it answers for no time. A variant
keeps its areas' onset and step length and adds its further steps after.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from cornet.errors import CornetError

__all__ = ["DEFAULT_BIN", "Intervals", "check_bin", "check_intervals", "network_intervals", "step_for"]

Interval = tuple[float, float]
Intervals = Mapping[str, Sequence[Interval | None]]
"""By area: every step's interval in ms, None for a step before the image has reached the area."""

DEFAULT_BIN: Interval = (70.0, 170.0)
"""The time bin of the static benchmarks, in ms after onset."""

# By block: every area's (onset, step length) in ms.
PUBLISHED: dict[str, dict[str, Interval]] = {
    "feedforward": {"V1": (50, 100), "V2": (70, 100), "V3": (80, 100), "V4": (90, 100), "IT": (100, 100)},
    "bottleneck": {"V1": (50, 100), "V2": (70, 100), "V3": (80, 100), "V4": (90, 50), "IT": (100, 100)},
    "recurrent": dict.fromkeys(("V1", "V2", "V3", "V4", "IT"), (50, 30)),
}


class Timed(Protocol):
    """What of a network decides its times; `cornet.models.CORnet` has it."""

    block: str
    steps: Mapping[str, int]

    def first_driven_step(self, area: str) -> int: ...


def network_intervals(
    net: Timed,
    onset: Mapping[str, float] | None = None,
    step_length: Mapping[str, float] | float | None = None,
    steps: Mapping[str, int] | None = None,
) -> dict[str, tuple[Interval | None, ...]]:
    """The intervals of a network of our own, by area.

    onset: ms at which an area's step 0 begins (for the recurrent networks: at which the common clock begins);
        an area left out keeps the published one.
    step_length: ms of a step: one number for all areas, or by area.
    steps: that it is run for; None for those that it was trained for.

    Raises CornetError for an unknown area, an onset below 0 and a step length that is not above 0.
    """
    published = {area: PUBLISHED[net.block][area] for area in net.steps}
    onsets = {**{area: published[area][0] for area in published}, **(onset or {})}
    lengths = {area: published[area][1] for area in published}
    if isinstance(step_length, Mapping):
        lengths.update(step_length)
    elif step_length is not None:
        lengths = dict.fromkeys(lengths, step_length)
    for word, given in (("onset", onsets), ("step_length", lengths)):
        for area, value in given.items():
            if area not in net.steps:
                raise CornetError(f"{word} names the area {area!r}; the areas are {', '.join(net.steps)}.")
            if not (0 <= value < math.inf) or (word == "step_length" and value == 0):
                rule = "0 or more" if word == "onset" else "above 0"
                raise CornetError(f"{word}={value!r} of {area} must be {rule}, in ms after stimulus onset.")
    return {
        area: tuple(
            (onsets[area] + step * lengths[area], onsets[area] + (step + 1) * lengths[area])
            if step >= net.first_driven_step(area)
            else None
            for step in range(count)
        )
        for area, count in (net.steps if steps is None else steps).items()
    }


def step_for(intervals: Sequence[Interval | None], time_bin: Interval | None = None) -> int:
    """The step whose interval starts nearest to the start of the time bin (ms; None: 70 to 170); ties: the earlier.

    Raises CornetError where no step has an interval, and for a bin that does not end after its start.
    """
    start, end = check_bin(time_bin)
    steps = [(abs(interval[0] - start), step) for step, interval in enumerate(intervals) if interval]
    if not steps:
        raise CornetError(
            f"no step answers for {start:g}-{end:g} ms: no image reaches the area; run more steps."
        )
    return min(steps)[1]


def check_bin(time_bin: Sequence[float] | None, name: str = "time_bin") -> Interval:
    """The bin as two numbers, or 70 to 170 ms for None. Raises CornetError unless it ends after its start."""
    edges = DEFAULT_BIN if time_bin is None else tuple(time_bin)
    numbers = all(isinstance(edge, int | float | np.number) and math.isfinite(edge) for edge in edges)
    if len(edges) != 2 or not numbers or not edges[0] < edges[1]:
        raise CornetError(
            f"{name}={edges} must be the start and the end of a bin in ms after onset, such as (70, 170)."
        )
    return float(edges[0]), float(edges[1])


def check_intervals(intervals: Intervals) -> None:
    """Raise CornetError for a step whose interval does not end after its start."""
    for layer, steps in intervals.items():
        for interval in steps:
            if interval is not None:
                check_bin(interval, f"interval of {layer}")
