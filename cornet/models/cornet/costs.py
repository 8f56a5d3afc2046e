"""Multiply-adds and depth of a CORnet by the published definitions.

Each function takes a `cornet.models.CORnet`, which imports this module.
"""

import math
from typing import Any

from cornet.models.base import Depth

__all__ = ["count_depth", "count_macs"]


def count_macs(net: Any, size: int) -> int:
    """Multiply-adds of the convolutions and the decoder for one image of `size` x `size` pixels.

    Counts follow the published definition: in cascade and synchronous unrolling, the input path of each area
    runs at every step, except at step 0 for areas above V1. The implementation computes less: it processes a
    constant image once and skips steps that the logits do not depend on.
    """
    macs, shape, shapes = 0, (size, size), {}
    for position, (name, area) in enumerate(net.areas.items()):
        steps = net.steps[name]
        drives = 1 if net.unroll == "sequential" else steps - 1 if position else net.off_after or steps
        work, shape = area.work(shape, drives, steps)
        macs += work
        shapes[name] = shape
    if net.feedback is not None:
        macs += net.feedback.work(shapes, net.steps)
    return macs + sum(weight.numel() for weight in net.decoder.parameters() if weight.ndim == 2)


def count_depth(net: Any) -> Depth:
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
