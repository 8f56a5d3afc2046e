"""Three ways to unroll areas in time.

sequential   an area finishes its steps before the next begins; only its last step goes on (CORnet-S, -Z).
cascade      at each step the areas update in order, each reading what the one below has just put out (R).
synchronous  at each step every area reads what the one below put out at the step before (RT).

In cascade and synchronous unrolling zeros stand for the input of areas that no image has reached (V2, V4 and IT at step
0; in RT also V4 at 1 and IT at 1 and 2); these steps run once, on a batch of one, and get gradients from later ones. An
image that goes off is replaced by zeros in V1's input.

Each takes (areas, images, steps, everything, feedback, off_after) and returns every area's output at each of its steps,
{area: [(batch, channel, y, x), ...]}. Without `everything` it may leave out last steps that the last area's last
output does not depend on.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from torch import Tensor

from cornet.models.cornet.feedback import Feedback

__all__ = ["UNROLLS", "Unroll", "first_driven_step"]

Unroll = Literal["sequential", "cascade", "synchronous"]
Areas = Mapping[str, Any]  # of areas as in `cornet.models.cornet.areas`
History = dict[str, list[Tensor]]


def sequential(
    areas: Areas,
    images: Tensor,
    steps: Mapping[str, int],
    everything: bool,
    feedback: Feedback | None = None,
    off_after: int | None = None,
) -> History:
    """One area after the other."""
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


def together(
    areas: Areas,
    images: Tensor,
    steps: Mapping[str, int],
    everything: bool,
    feedback: Feedback | None = None,
    off_after: int | None = None,
    *,
    lag: int,
) -> History:
    """All areas advance step by step; each reads the one below as it was `lag` steps ago."""
    names = list(areas)
    first, last = areas[names[0]], steps[names[-1]] - 1
    # The image does not change: where the norm does not either, its path is computed once.
    static = first.norm_input.static
    image_drive = first.drive(images, 0)
    # Running statistics are those of all steps, whatever is read in the end.
    everything = everything or (first.training and not static)
    size = image_drive.shape[-2:]
    zeros = {names[0]: image_drive.new_zeros(1, areas[names[0]].channels, *size)}
    for name in names[1:]:
        _, size = areas[name].work(size, 1, 1)
        zeros[name] = images.new_zeros(1, areas[name].channels, *size)
    history: History = {name: [] for name in names}
    for step in range(last + 1):
        for position, name in enumerate(names):
            areas_above = len(names) - 1 - position
            if not everything and step > last - lag * areas_above:
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


cascade = partial(together, lag=0)
synchronous = partial(together, lag=1)

UNROLLS: dict[
    str, Callable[[Areas, Tensor, Mapping[str, int], bool, Feedback | None, int | None], History]
] = {
    "sequential": sequential,
    "cascade": cascade,
    "synchronous": synchronous,
}


def first_driven_step(unroll: Unroll, position: int) -> int:
    """The first step (from 0) at which the area at that position (from 0) depends on the image."""
    if unroll == "synchronous":
        return position
    return min(position, 1) if unroll == "cascade" else 0
