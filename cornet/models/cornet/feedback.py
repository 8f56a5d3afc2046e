"""Top-down connections: an area also reads the output of higher areas at the previous step.

A 1x1 convolution without bias maps that output to the area's channels, and nearest-neighbour upsampling to its map
size. The result is added to the area's input path. An extension: the CORnet papers have no such connections.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError

__all__ = ["Feedback", "resolve_feedback"]

SEPARATOR = "_to_"


class Feedback(nn.Module):
    """Top-down connections. pairs: (from, to) area names; channels: {area: channels}."""

    def __init__(self, pairs: Iterable[tuple[str, str]], channels: Mapping[str, int]) -> None:
        super().__init__()
        self.pairs = tuple(pairs)
        self.convs = nn.ModuleDict(
            {
                above + SEPARATOR + area: nn.Conv2d(channels[above], channels[area], 1, bias=False)
                for above, area in self.pairs
            }
        )

    def add(self, drive: Tensor, area: str, history: Mapping[str, Sequence[Tensor]], step: int) -> Tensor:
        """Add the feedback that reaches an area at a step to its drive."""
        for above, to in self.pairs:
            if to == area and step:
                down = self.convs[above + SEPARATOR + area](history[above][step - 1])
                drive = drive + F.interpolate(down, size=drive.shape[-2:], mode="nearest")
        return drive

    def work(self, sizes: Mapping[str, tuple[int, int]], steps: Mapping[str, int]) -> int:
        """Multiply-adds per image over all steps. sizes: output (y, x) of each area."""
        return sum(
            self.convs[above + SEPARATOR + to].weight.numel()  # type: ignore[operator, misc]
            * sizes[above][0]
            * sizes[above][1]
            * (steps[to] - 1)
            for above, to in self.pairs
        )


def resolve_feedback(feedback: Any, areas: Sequence[str], unroll: str) -> tuple[tuple[str, str], ...]:
    """Return the (from, to) pairs. feedback: True for each area to the one below, or a list such as ["IT-V4", "V4-V1"].

    Raises CornetError for unknown areas, pairs that do not lead downwards, and sequential unrolling.
    """
    if feedback is False or feedback is None or feedback == ():
        return ()
    if unroll == "sequential":
        raise CornetError(
            "feedback is incompatible with unroll='sequential', where an area finishes before the next one starts; "
            "choose unroll='synchronous' or 'cascade', as in cornet_rt and cornet_r."
        )
    if feedback is True:
        return tuple(zip(areas[1:], areas[:-1], strict=True))
    if isinstance(feedback, str) or not isinstance(feedback, Iterable):
        feedback = [feedback]
    pairs = []
    for pair in feedback:
        above, _, to = str(pair).partition("-")
        if above not in areas or to not in areas or areas.index(above) <= areas.index(to):
            raise CornetError(
                f"feedback={pair!r} does not lead from an area to a lower one; give pairs such as IT-V4, with areas "
                f"{', '.join(areas)}."
            )
        pairs.append((above, to))
    if len(set(pairs)) < len(pairs):
        raise CornetError(f"feedback={list(feedback)!r} names a pair twice; give each pair once.")
    return tuple(pairs)
