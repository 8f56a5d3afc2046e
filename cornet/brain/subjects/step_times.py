"""Map time bins, in ms after stimulus onset, to steps of a network.

Each step of an area has an interval. A time bin is compared with the step whose interval starts nearest to the start
of the bin. Networks with areas state onset and step length of each area in their table; the published ones are in
`cornet.models.cornet.layout`. Before the first driven step, the image has not reached the area, so these steps have no
interval.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cornet.errors import CornetError
from cornet.models.area_table import Area
from cornet.models.cornet.layout import CORNET_S

__all__ = [
    "DEFAULT_BIN",
    "DEFAULT_ONSETS",
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

DEFAULT_ONSETS = {spec.name: spec.onset_ms for spec in CORNET_S}
"""Start in ms after onset of a recurrent layer of any network, by region: that of the area in CORnet-S."""


def network_intervals(
    areas: Mapping[str, Area],
    onset: Mapping[str, float] | None = None,
    step_length: Mapping[str, float] | float | None = None,
) -> dict[str, tuple[Interval | None, ...]]:
    """The intervals of a network with areas, by area.

    areas: its table, `net.area_table`, or `net.table_for(times)` for other numbers of steps.
    onset: start of step 0 of each area in ms (in recurrent networks, the start of the common clock); other areas keep
        the onset of the table.
    step_length: duration of a step in ms, for all areas or by area.

    Raises CornetError for an unknown area, an onset below 0, and a step length of 0 or less.
    """
    onsets = {**{name: area.onset_ms for name, area in areas.items()}, **(onset or {})}
    lengths = {name: area.step_ms for name, area in areas.items()}
    if isinstance(step_length, Mapping):
        lengths.update(step_length)
    elif step_length is not None:
        lengths = dict.fromkeys(lengths, step_length)
    for name, by_area in (("onset", onsets), ("step_length", lengths)):
        for area, value in by_area.items():
            if area not in areas:
                raise CornetError(f"{name} has the unknown area {area!r}; choose from {', '.join(areas)}.")
            if not (0 <= value < math.inf) or (name == "step_length" and value == 0):
                rule = "0 or more" if name == "onset" else "above 0"
                raise CornetError(f"{name}={value!r} of {area} must be {rule}, in ms.")
    return {
        name: tuple(
            (onsets[name] + step * lengths[name], onsets[name] + (step + 1) * lengths[name])
            if step >= area.first_driven_step
            else None
            for step in range(area.steps)
        )
        for name, area in areas.items()
    }


def layer_intervals(
    calls: Mapping[str, int],
    step_ms: float | Mapping[str, float],
    onset_ms: float | Mapping[str, float] | None = None,
) -> dict[str, tuple[Interval, ...]]:
    """The intervals of the layers of any network, by region, for layers that run several times in a forward pass.

    calls: by region, how often its layer runs. step_ms: duration of one call in ms, for all regions or by region.
    onset_ms: start of the first call in ms after stimulus onset; None, or a region that is not named: as in
    DEFAULT_ONSETS.

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
        length, start = lengths[region], starts.get(region, DEFAULT_ONSETS.get(region))
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
