"""Map time bins, in ms after stimulus onset, to steps of a network.

Each step of an area has an interval. A time bin is compared with the step whose interval starts nearest to the start
of the bin. The published intervals, in ms after stimulus onset:

    CORnet-S     V1 50-150; V2 70-170, 170-270; V4 90-140, 140-190, 190-240, 240-290; IT 100-200, 200-300
    CORnet-Z     V1 50-150; V2 70-170; V4 90-190; IT 100-200
    CORnet-R     one clock for all areas: step t is 50 + 30 t to 80 + 30 t; V1 from step 0, later areas from step 1
    CORnet-RT    (not published) the clock of CORnet-R; V2 from step 1, V4 from step 2, IT from step 3

V3 of networks with five areas is not published; it starts at 80 ms and otherwise follows V2.

Before the first step listed here, the image has not reached the area, so these steps have no interval. Variants keep
the onset and step length of each area and append further steps.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from cornet.errors import CornetError

__all__ = [
    "DEFAULT_BIN",
    "Interval",
    "Intervals",
    "check_bin",
    "check_intervals",
    "layer_intervals",
    "network_intervals",
    "step_for",
]

Interval = tuple[float, float]
Intervals = Mapping[str, Sequence[Interval | None]]
"""By area, the interval of each step in ms; None for steps before the image has reached the area."""

DEFAULT_BIN: Interval = (70.0, 170.0)
"""The time bin of the static benchmarks, in ms after onset."""

# By block, the (onset, step length) of each area in ms.
PUBLISHED: dict[str, dict[str, Interval]] = {
    "feedforward": {"V1": (50, 100), "V2": (70, 100), "V3": (80, 100), "V4": (90, 100), "IT": (100, 100)},
    "bottleneck": {"V1": (50, 100), "V2": (70, 100), "V3": (80, 100), "V4": (90, 50), "IT": (100, 100)},
    "recurrent": dict.fromkeys(("V1", "V2", "V3", "V4", "IT"), (50, 30)),
}


class Timed(Protocol):
    """The attributes of `cornet.models.CORnet` that determine its intervals."""

    block: str
    steps: Mapping[str, int]

    def first_driven_step(self, area: str) -> int: ...


def network_intervals(
    net: Timed,
    onset: Mapping[str, float] | None = None,
    step_length: Mapping[str, float] | float | None = None,
    steps: Mapping[str, int] | None = None,
) -> dict[str, tuple[Interval | None, ...]]:
    """The intervals of one of cornet's networks, by area.

    onset: start of step 0 of each area in ms (in recurrent networks, the start of the common clock); other areas keep
        the published onset.
    step_length: duration of a step in ms, for all areas or by area.
    steps: number of steps by area; None: as in training.

    Raises CornetError for an unknown area, an onset below 0, and a step length of 0 or less.
    """
    published = {area: PUBLISHED[net.block][area] for area in net.steps}
    onsets = {**{area: published[area][0] for area in published}, **(onset or {})}
    lengths = {area: published[area][1] for area in published}
    if isinstance(step_length, Mapping):
        lengths.update(step_length)
    elif step_length is not None:
        lengths = dict.fromkeys(lengths, step_length)
    for name, by_area in (("onset", onsets), ("step_length", lengths)):
        for area, value in by_area.items():
            if area not in net.steps:
                raise CornetError(
                    f"{name} has the unknown area {area!r}; choose from {', '.join(net.steps)}."
                )
            if not (0 <= value < math.inf) or (name == "step_length" and value == 0):
                rule = "0 or more" if name == "onset" else "above 0"
                raise CornetError(f"{name}={value!r} of {area} must be {rule}, in ms.")
    return {
        area: tuple(
            (onsets[area] + step * lengths[area], onsets[area] + (step + 1) * lengths[area])
            if step >= net.first_driven_step(area)
            else None
            for step in range(count)
        )
        for area, count in (net.steps if steps is None else steps).items()
    }


def layer_intervals(
    calls: Mapping[str, int],
    step_ms: float | Mapping[str, float],
    onset_ms: float | Mapping[str, float] | None = None,
) -> dict[str, tuple[Interval, ...]]:
    """The intervals of the layers of any network, by region, for layers that run several times in a forward pass.

    calls: by region, how often its layer runs. step_ms: duration of one call in ms, for all regions or by region.
    onset_ms: start of the first call in ms after stimulus onset; None, or a region that is not named: as in CORnet-S
    (V1 50, V2 70, V3 80, V4 90, IT 100).

    Raises CornetError if no layer runs several times, for a region without an onset, and for values that are not times.
    """
    lengths = dict(step_ms) if isinstance(step_ms, Mapping) else dict.fromkeys(calls, step_ms)
    starts = dict(onset_ms or {}) if isinstance(onset_ms, Mapping | None) else dict.fromkeys(calls, onset_ms)
    for name, by_region in (("step_ms", lengths), ("onset_ms", starts)):
        if unknown := [region for region in by_region if region not in calls]:
            raise CornetError(
                f"{name} names the region {unknown[0]!r}, which has no layer; choose from {', '.join(calls)}."
            )
    repeated = {region: count for region, count in calls.items() if region in lengths and count > 1}
    if not repeated:
        raise CornetError(
            f"step_ms={step_ms} needs a layer that runs several times in one forward pass, but the layers of "
            f"{', '.join(calls)} run once; leave it out."
        )
    found = {}
    for region, count in repeated.items():
        length, start = lengths[region], starts.get(region, PUBLISHED["bottleneck"].get(region, (None, 0))[0])
        if start is None:
            raise CornetError(
                f"onset_ms is missing for {region}; give it, such as onset_ms={{{region!r}: 100}}."
            )
        for name, value, low in (("step_ms", length, "above 0"), ("onset_ms", start, "0 or more")):
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value < 0 or (value == 0 and name == "step_ms"):
                raise CornetError(f"{name}={value!r} of {region} must be {low}, in ms.")
        found[region] = tuple((start + k * length, start + (k + 1) * length) for k in range(count))
    return found


def step_for(intervals: Sequence[Interval | None], time_bin: Interval | None = None) -> int:
    """The step whose interval starts nearest to the start of the time bin (ms; None: 70 to 170); ties: the earlier one.

    Raises CornetError if no step has an interval, and for an invalid bin.
    """
    start, end = check_bin(time_bin)
    steps = [(abs(interval[0] - start), step) for step, interval in enumerate(intervals) if interval]
    if not steps:
        raise CornetError(
            f"no step has an interval for {start:g}-{end:g} ms, as the image never reaches the area; run more steps."
        )
    return min(steps)[1]


def check_bin(time_bin: Sequence[float] | None, name: str = "time_bin") -> Interval:
    """Return the bin as (start, end) in ms; (70, 170) for None. Raises CornetError unless start < end."""
    edges = DEFAULT_BIN if time_bin is None else tuple(time_bin)
    numbers = all(isinstance(edge, int | float | np.number) and math.isfinite(edge) for edge in edges)
    if len(edges) != 2 or not numbers or not edges[0] < edges[1]:
        raise CornetError(
            f"{name}={edges} must be the start and end of a bin in ms after onset, such as (70, 170)."
        )
    return float(edges[0]), float(edges[1])


def check_intervals(intervals: Intervals) -> None:
    """Raise CornetError for an interval without start < end."""
    for layer, steps in intervals.items():
        for interval in steps:
            if interval is not None:
                check_bin(interval, f"interval of {layer}")
