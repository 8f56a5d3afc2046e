"""Three ways to unroll areas in time.

sequential   an area finishes its steps before the next begins; only its last step goes on (CORnet-S, -Z).
cascade      at each step the areas update in order, each reading what the one below has just put out (R).
synchronous  at each step every area reads what the one below put out at the step before (RT).

In cascade and synchronous unrolling nothing has reached V2, V4 and IT at step 0: zeros stand in place of
their input path, so that their output is a constant that does not depend on the image. The image stays on.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor

from cornet.models.norm import zero_like_map

__all__ = ["UNROLLS", "Unroll", "first_driven_step"]

Unroll = Literal["sequential", "cascade", "synchronous"]
Areas = Mapping[str, Any]  # of areas as in `cornet.models.areas`
History = dict[str, list[Tensor]]


def sequential(areas: Areas, images: Tensor, steps: Mapping[str, int]) -> History:
    """Every area's output at each of its steps: {area: [(batch, channel, y, x), ...]}."""
    history: History = {}
    below = images
    for name, area in areas.items():
        drive = area.drive(below, 0)
        outputs: list[Tensor] = []
        for step in range(steps[name]):
            outputs.append(area.step(drive, outputs[-1] if outputs else None, step))
        history[name] = outputs
        below = outputs[-1]
    return history


def together(areas: Areas, images: Tensor, steps: Mapping[str, int], lag: int) -> History:
    """All areas advance step by step; each reads the one below as it was `lag` steps ago."""
    names = list(areas)
    history: History = {name: [] for name in names}
    sizes: dict[str, tuple[int, int]] = {}
    size = (images.shape[-2], images.shape[-1])
    for name in names:
        size = sizes[name] = areas[name].output_size(size)
    image_drive = None
    for step in range(steps[names[0]]):
        for position, name in enumerate(names):
            area = areas[name]
            if position == 0:
                # The image does not change: where the norm does not either, its path is computed once.
                if image_drive is None or not area.norm_input.static:
                    image_drive = area.drive(images, step)
                drive = image_drive
            elif step == 0:
                drive = zero_like_map(images, area.channels, sizes[name])
            else:
                drive = area.drive(history[names[position - 1]][step - lag], step)
            state = history[name][-1] if step else None
            history[name].append(area.step(drive, state, step))
    return history


def cascade(areas: Areas, images: Tensor, steps: Mapping[str, int]) -> History:
    """As `sequential` returns; at step 0 only the first area sees anything."""
    return together(areas, images, steps, lag=0)


def synchronous(areas: Areas, images: Tensor, steps: Mapping[str, int]) -> History:
    """As `sequential` returns; an image reaches the n-th area at step n - 1."""
    return together(areas, images, steps, lag=1)


UNROLLS: dict[str, Callable[[Areas, Tensor, Mapping[str, int]], History]] = {
    "sequential": sequential,
    "cascade": cascade,
    "synchronous": synchronous,
}


def first_driven_step(unroll: Unroll, position: int) -> int:
    """The first step (from 0) at which the area at that position (from 0) depends on the image."""
    if unroll == "synchronous":
        return position
    return min(position, 1) if unroll == "cascade" else 0
