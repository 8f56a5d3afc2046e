"""Count the parameters, multiply-adds and depth of a network."""

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

    layers: each layer counts once, as in the 2019 paper (15 for CORnet-S). unrolled: each layer counts once per step.
    """

    layers: int
    unrolled: int


@dataclass(frozen=True)
class ModelSummary:
    """Costs and published accuracy of a network.

    macs: multiply-adds per image of `size` x `size` pixels. depth: see `Depth`. steps: {area: steps}.
    top1: published ImageNet top-1 (fraction), or None if the network differs from the published one; top1_note: how
    the images were cropped.
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

    Counts follow the published definition: in cascade and synchronous unrolling, the input path of each area
    runs at every step, except at step 0 for areas above V1. The implementation computes less: it processes a
    constant image once and skips steps that the logits do not depend on. Raises CornetError for an invalid size.
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
    return macs + sum(weight.numel() for weight in net.decoder.parameters() if weight.ndim == 2)


def count_depth(net: CORnet) -> Depth:
    """Count the layers on the longest path through areas and steps."""
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
    longest: dict[tuple[str, int], float] = {}  # by area and step; -inf where the image has not arrived

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


def architecture(net: CORnet) -> tuple[Any, ...]:
    """Return what two networks have in common if they differ only in their weights."""
    return net.unroll, net.steps, net.off_after, {key: value.shape for key, value in net.state_dict().items()}


def describe(name: str, size: int = 224, **arguments: Any) -> ModelSummary:
    """Summarise the network `create_model(name, **arguments)` for images of `size` x `size` pixels.

    It is built on the meta device, so no weights are allocated. Raises CornetError as `create_model` does.
    """
    published = published_model(name)
    with torch.device("meta"):
        net = create_model(name, **arguments)
        published_net = create_model(name)
    parameters = sum(p.numel() for p in net.parameters())
    macs = count_macs(net, size)
    as_published = size == 224 and architecture(net) == architecture(published_net)
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
