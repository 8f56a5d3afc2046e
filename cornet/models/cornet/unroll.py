"""Unroll areas in time: sequential, cascade or synchronous.

sequential   an area finishes its steps before the next one starts, which reads its last output (CORnet-S, -Z).
cascade      at each step, areas update in order; each reads the output of the one below at this step (R).
synchronous  at each step, every area reads the output of the one below at the previous step (RT).

In cascade and synchronous unrolling, areas read zeros until the image arrives (V2, V4 and IT at step 0; in RT also V4
at 1 and IT at 1 and 2). These steps run once, on a batch of one, and get gradients from later steps. After `off_after`
steps, zeros replace the image in V1's input.

Each function takes (areas, images, steps, keep_all, feedback, off_after) and returns the output of each area at each
step, {area: [(batch, channel, y, x), ...]}. Without `keep_all`, it may skip final steps that do not affect the last
output of the last area.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from cornet.models.cornet.feedback import Feedback

__all__ = ["UNROLLS"]

Areas = Mapping[str, Any]  # see `cornet.models.cornet.areas`
History = dict[str, list[Tensor]]


def sequential(
    areas: Areas,
    images: Tensor,
    steps: Mapping[str, int],
    keep_all: bool,
    feedback: Feedback | None = None,
    off_after: int | None = None,
) -> History:
    """Run one area after the other."""
    history: History = {}
    below = images
    for name, area in areas.items():
        drive = area.drive(below, 0)
        state, outputs = None, []
        for step in range(steps[name]):
            state = area.step(drive, state, step)
            outputs.append(state)
        history[name] = outputs
        below = outputs[-1]
    return history


def time_stepped(
    areas: Areas,
    images: Tensor,
    steps: Mapping[str, int],
    keep_all: bool,
    feedback: Feedback | None = None,
    off_after: int | None = None,
    *,
    lag: int,
) -> History:
    """Advance all areas step by step; each reads the output of the one below from `lag` steps ago."""
    names = list(areas)
    first, last = areas[names[0]], steps[names[-1]] - 1
    # The image is constant; if the norm is, too, the input path is computed once.
    static = first.norm_input.static
    image_drive = first.drive(images, 0)
    # Running statistics cover all steps, also those that the output does not depend on.
    keep_all = keep_all or (first.training and not static)
    size = image_drive.shape[-2:]
    zeros = {names[0]: image_drive.new_zeros(1, areas[names[0]].channels, *size)}
    for name in names[1:]:
        _, size = areas[name].work(size, 1, 1)
        zeros[name] = images.new_zeros(1, areas[name].channels, *size)
    history: History = {name: [] for name in names}
    for step in range(last + 1):
        for position, name in enumerate(names):
            areas_above = len(names) - 1 - position
            if not keep_all and step > last - lag * areas_above:
                continue
            if position == 0 and (off_after is None or step < off_after):
                drive = image_drive if step == 0 or static else first.drive(images, step)
            elif step == 0 or position == 0:
                drive = zeros[name]
            else:
                drive = areas[name].drive(history[names[position - 1]][step - lag], step)
            if feedback is not None:
                drive = feedback.add(drive, name, history, step)
            state = history[name][-1] if step else None
            history[name].append(areas[name].step(drive, state, step))
    return history


cascade = partial(time_stepped, lag=0)
synchronous = partial(time_stepped, lag=1)

UNROLLS: dict[
    str, Callable[[Areas, Tensor, Mapping[str, int], bool, Feedback | None, int | None], History]
] = {"sequential": sequential, "cascade": cascade, "synchronous": synchronous}
