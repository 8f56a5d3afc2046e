"""What a network costs, and what was published about it."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from cornet.models.catalogue import published_model
from cornet.models.cornet.network import CORnet
from cornet.models.registry import create_model
from cornet.sizes import check_pixels

__all__ = ["Depth", "ModelSummary", "count_depth", "count_macs", "describe"]


class Depth(NamedTuple):
    """Convolutions and linear layers on the longest path from the image to the logits.

    layers: each once, however often it runs, as the 2019 paper counts (15 for CORnet-S). unrolled: as often as it runs.
    """

    layers: int
    unrolled: int


@dataclass(frozen=True)
class ModelSummary:
    """A row of the table of networks.

    macs: multiply-adds per image of `size` x `size` pixels. depth: see `Depth`. steps: {area: steps}.
    top1: published ImageNet top-1 (fraction), for the network as published only; top1_note: of what images.
    """

    name: str
    summary: str
    parameters: int
    macs: int
    depth: Depth
    size: int
    steps: dict[str, int]
    top1: float | None
    top1_note: str
    paper: str


def count_macs(net: CORnet, size: int = 224) -> int:
    """Multiply-adds of the convolutions and the decoder for one image of `size` x `size` pixels.

    They are those of the definition, by formula: in cascade and synchronous unrolling every area's input path
    runs at every step (but for the areas that nothing has reached at step 0), although `unroll` runs that of
    the unchanging image once, and leaves out what the logits do not depend on.
    Raises CornetError as `check_pixels` does.
    """
    check_pixels("size", size)
    macs, shape, shapes = 0, (size, size), {}
    for position, (name, area) in enumerate(net.areas.items()):
        steps = net.steps[name]
        drives = 1 if net.unroll == "sequential" else steps - 1 if position else net.off_after or steps
        work, shape = area.work(shape, drives, steps)  # type: ignore[operator]
        macs += work
        shapes[name] = shape
    if net.feedback is not None:
        macs += net.feedback.work(shapes, net.steps)
    return macs + net.decoder.weight.numel()


def count_depth(net: CORnet) -> Depth:
    """The longest path through all areas and steps."""
    areas: dict[str, Any] = dict(net.areas.items())
    layers = 1 + sum(area.drive_depth + area.step_depth for area in areas.values())
    if net.unroll == "sequential":
        unrolled = 1 + sum(
            area.drive_depth + net.steps[name] * area.step_depth for name, area in areas.items()
        )
        return Depth(layers, unrolled)
    lag = 1 if net.unroll == "synchronous" else 0
    from_above = net.feedback.pairs if net.feedback is not None else ()
    names = list(areas)
    longest: dict[tuple[str, int], float] = {}  # by area and step; -inf where nothing of the image is

    def reached(name: str, step: int) -> float:
        return longest.get((name, step), -math.inf)

    for step in range(net.steps[names[-1]]):
        for position, name in enumerate(names):
            area = areas[name]
            if position == 0:
                below = 0.0 if step < (net.off_after or math.inf) else -math.inf
            else:
                below = reached(names[position - 1], step - lag) if step else -math.inf
            paths = [below + area.drive_depth, reached(name, step - 1)]
            paths += [reached(above, step - 1) + 1 for above, to in from_above if to == name]
            longest[name, step] = max(paths) + area.step_depth
    return Depth(layers, 1 + int(longest[names[-1], net.steps[names[-1]] - 1]))


def definition(net: CORnet) -> tuple[Any, ...]:
    """What makes two networks the same but for their weights."""
    return net.unroll, net.steps, net.off_after, {key: value.shape for key, value in net.state_dict().items()}


def describe(name: str, size: int = 224, **arguments: Any) -> ModelSummary:
    """What is known of the network `create_model(name, **arguments)` on images of `size` x `size` pixels.

    Nothing is computed with and no weights are made. Raises CornetError as `create_model` does.
    """
    published = published_model(name)
    with torch.device("meta"):
        net = create_model(name, **arguments)
        plain = create_model(name)
    parameters = sum(p.numel() for p in net.parameters())
    macs = count_macs(net, size)
    as_published = size == 224 and definition(net) == definition(plain)
    return ModelSummary(
        name,
        published.summary,
        parameters,
        macs,
        count_depth(net),
        size,
        dict(net.steps),
        published.top1 if as_published else None,
        published.top1_note if as_published else "",
        published.paper,
    )
