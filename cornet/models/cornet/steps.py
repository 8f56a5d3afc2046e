"""Steps of the areas of a CORnet: its table of areas, and which numbers of steps it can run.

Areas of CORnet-S have the steps and times of `cornet.models.cornet.layout`, those of CORnet-Z one step from the same
onset, those of CORnet-R and -RT a common clock. Before the first driven step, the image has not reached the area.
Variants keep the onset and step length of each area and append further steps. Imports no PyTorch.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from cornet.errors import CornetError
from cornet.models.area_table import Area, Times, given_steps
from cornet.models.cornet.layout import AreaSpec
from cornet.sizes import check_positive_int

__all__ = [
    "Unroll",
    "check_feedback_arrives",
    "check_off_after",
    "first_driven_step",
    "network_areas",
    "resolve_steps",
]

Unroll = Literal["sequential", "cascade", "synchronous"]

RECURRENT = 5, 50, 30
"""Steps of CORnet-R and -RT; onset and step length of their common clock in ms."""


def network_areas(block: str, unroll: Unroll, layout: Sequence[AreaSpec], times: Times | None) -> list[Area]:
    """The table of areas of a network. times: as in `resolve_steps`, which raises CornetError."""
    published = {spec.name: published_times(block, spec) for spec in layout}
    steps = resolve_steps(block, unroll, times, {name: known[0] for name, known in published.items()})
    return [
        Area(name, steps[name], onset, step, first_driven_step(unroll, position))
        for position, (name, (_, onset, step)) in enumerate(published.items())
    ]


def published_times(block: str, spec: AreaSpec) -> tuple[int, float, float]:
    """Steps, onset in ms and step length in ms of an area in the published network of a block."""
    if block == "recurrent":
        return RECURRENT
    return (1, spec.onset_ms, 100) if block == "feedforward" else (spec.steps, spec.onset_ms, spec.step_ms)


def first_driven_step(unroll: Unroll, position: int) -> int:
    """First step (from 0) at which the area at a position (from 0) depends on the image."""
    if unroll == "synchronous":
        return position
    return min(position, 1) if unroll == "cascade" else 0


def resolve_steps(
    block: str, unroll: Unroll, times: Times | None, default: Mapping[str, int]
) -> dict[str, int]:
    """Resolve `times` (one number, {area: number}, or None for the default) to steps per area.

    Raises CornetError for unknown areas, and for steps that the block and the unrolling cannot run.
    """
    areas = tuple(default)
    single = {"feedforward": areas, "bottleneck": areas[:1]}.get(block, ())
    several = [area for area in areas if area not in single]
    given = {} if times is None else given_steps(times, areas, several)
    for area, value in given.items():
        if area in single and value != 1:
            raise CornetError(
                f"times.{area}={value} is impossible: {area} is feed-forward in block={block!r}; leave it at 1."
            )
    steps = {area: given.get(area, default[area]) for area in areas}
    if unroll != "sequential" and len(set(steps.values())) > 1:
        raise CornetError(
            f"times={steps} must be equal, as all areas advance in lockstep with unroll={unroll!r}; give one number."
        )
    needed = first_driven_step(unroll, len(areas) - 1) + 1
    if steps[areas[-1]] < needed:
        raise CornetError(
            f"times={steps[areas[-1]]} is too few: with unroll={unroll!r} the image reaches {areas[-1]} at step "
            f"{needed}, so the logits would not depend on it; give at least {needed}."
        )
    return steps


def check_off_after(off_after: int | None, unroll: str, steps: Mapping[str, int]) -> None:
    """Raise CornetError if `off_after` has no effect: sequential unrolling, or too late."""
    if off_after is None:
        return
    check_positive_int("off_after", off_after)
    if unroll == "sequential":
        raise CornetError(
            f"off_after={off_after} is incompatible with unroll='sequential', where V1 reads the image once; choose "
            "unroll='synchronous' or 'cascade', as in cornet_rt and cornet_r."
        )
    most = max(steps.values())
    if off_after >= most:
        raise CornetError(
            f"off_after={off_after} is too late: the network runs {most} steps, so the image would never go off; "
            f"choose at most {most - 1}, or increase times."
        )


def check_feedback_arrives(
    pairs: Sequence[tuple[str, str]], unroll: Unroll, steps: Mapping[str, int]
) -> None:
    """Raise CornetError for a connection whose signal would not reach the last area in time."""
    areas = tuple(steps)
    for above, to in pairs:
        arrives = first_driven_step(unroll, areas.index(above)) + 1
        lag = len(areas) - 1 - areas.index(to) if unroll == "synchronous" else 0
        if (needed := arrives + lag + 1) > steps[areas[-1]]:
            raise CornetError(
                f"times={steps[areas[-1]]} is too few for feedback {above}-{to}: its signal reaches "
                f"{areas[-1]} at step {needed}; give at least {needed}."
            )
