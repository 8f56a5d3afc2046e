"""The network on a card: costs, and a table of areas, steps and the time that they represent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cornet.errors import CornetError
from cornet.models.registry import NO_ARGUMENTS
from cornet.report.card.blocks import MISSING, Block, Cell, Facts, Section, Table, Texts, told
from cornet.report.card.read import Recorded, part_of
from cornet.report.render import count_text
from cornet.report.run.network import describe_run, named_network

__all__ = ["Architecture", "architecture", "configured", "initial_weights", "model_section"]


@dataclass(frozen=True)
class Architecture:
    """What follows from the recorded configuration of a network, by building it without weights.

    areas: rows (area, region, steps, step in ms, intervals). macs: multiply-adds per image. as_published: the same
    architecture as the published network, up to the number of classes. problem: why the rest is unknown; "" if it is
    known.
    """

    paper: str = ""
    summary: str = ""
    parameters: int | None = None
    macs: int | None = None
    depth: str = ""
    size: int | None = None
    areas: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    as_published: bool | None = None
    problem: str = ""


def architecture(recorded: Recorded) -> Architecture:
    """Describe the network that the recorded configuration names; nothing of the user's own code is imported."""
    model = part_of(recorded.config, "model")
    source = recorded.runs[0].path / "config.yaml"
    if "_target_" in model:
        return Architecture(
            problem=f"a network of the user's own code, {model['_target_']}, which is not imported"
        )
    size = part_of(recorded.config, "data").get("size")
    classes = recorded.summary.get("classes")
    try:
        found = describe_run(source, model, classes, size)
        return Architecture(
            found.paper,
            found.summary,
            found.parameters,
            found.macs,
            ""
            if found.depth is None
            else f"{found.depth.layers} layers, {found.depth.unrolled} counted as often as they run",
            found.size,
            *_areas(*named_network(source, model, 1000), part_of(recorded.config, "brain")),
        )
    except CornetError as error:
        return Architecture(problem=str(error))


def _areas(
    name: str, arguments: dict[str, Any], brain: Mapping[str, Any]
) -> tuple[list[tuple[str, str, str, str, str]], bool]:
    """Return the rows of the table of areas, and whether the architecture is the published one."""
    import torch

    from cornet.brain.subjects.step_times import network_intervals
    from cornet.models import create_model

    arguments = {**arguments, **({"num_classes": 1000} if "num_classes" in arguments else {})}
    with torch.device("meta"):
        net, published = create_model(name, **arguments), create_model(name)
    onset, step = brain.get("onset_ms"), brain.get("step_ms")
    intervals = network_intervals(
        net.area_table,
        onset if isinstance(onset, Mapping) else None,
        step if isinstance(step, Mapping | int | float) and not isinstance(step, bool) else None,
    )
    rows = []
    for area in net.area_table.values():
        times = [f"{one[0]:g}-{one[1]:g}" if one else "-" for one in intervals[area.name]]
        length = next((one[1] - one[0] for one in intervals[area.name] if one), area.step_ms)
        rows.append((area.name, area.region, str(area.steps), f"{length:g}", ", ".join(times)))
    return rows, net.architecture() == published.architecture()


def model_section(recorded: Recorded, built: Architecture) -> Section:
    """Render the network."""
    model, summary = part_of(recorded.config, "model"), recorded.summary
    rows = [
        ("network", told(recorded.network)),
        ("paper", told(built.paper)),
        ("parameters", told(summary.get("parameters", built.parameters))),
        ("multiply-adds per image", _macs(built)),
        ("depth", told(built.depth)),
        ("configuration", configured(recorded)),
        ("architecture as published", _as_published(built)),
        ("initial weights", initial_weights(recorded)),
        ("frozen", told(model["freeze"]) if model.get("freeze") else _unless(model, "nothing")),
    ]
    blocks: list[Block] = [Facts(rows)]
    if built.areas:
        columns = (
            "area",
            "region",
            "steps",
            "ms per step",
            "ms after stimulus onset that the steps represent",
        )
        table = [[Cell(text) for text in row] for row in built.areas]
        note = "Computed from the recorded configuration; -: steps before the image has reached the area."
        blocks.append(Table(columns, table, note))
    elif isinstance(summary.get("steps"), list):
        blocks.append(Texts([f"Steps of its areas: {'/'.join(map(str, summary['steps']))}."]))
    if built.problem:
        blocks.append(Texts([f"Costs and times of steps are not shown: {built.problem.rstrip('.')}."]))
    return Section("Network", blocks)


def configured(recorded: Recorded) -> str:
    """Return the recorded arguments of the network."""
    left_out = ("name", "_target_", *NO_ARGUMENTS)
    model = part_of(recorded.config, "model")
    return told({k: value for k, value in model.items() if k not in left_out and value not in (None, "auto")})


def initial_weights(recorded: Recorded) -> str:
    """Return where the weights came from before training."""
    model = part_of(recorded.config, "model")
    if any(recorded.started_from):
        starts = [
            f"{one.get('checkpoint')} (SHA-256 {str(one.get('sha256'))[:16]})"
            for one in recorded.started_from
            if one
        ]
        return f"checkpoint {', '.join(starts)}"
    given = model.get("pretrained")
    if given:
        return "published weights" if given is True else f"weights of {given}"
    return _unless(model, f"random ({recorded.seeds})")


def _unless(part: Mapping[str, Any], text: str) -> str:
    return text if part else MISSING


def _macs(built: Architecture) -> str:
    if built.macs is None:
        return MISSING
    return f"{count_text(built.macs)} (images of {built.size} x {built.size} pixels)"


def _as_published(built: Architecture) -> str:
    if built.as_published is None:
        return MISSING
    return "yes, up to the number of classes" if built.as_published else "no"
