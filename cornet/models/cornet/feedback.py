"""Top-down connections: an area also reads what areas above it put out at the step before.

A 1x1 convolution without bias brings that output to the area's channels, repeated pixels to its map; it is added to the
area's input path and state. An extension: the CORnet papers have no such connections.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError

__all__ = ["Feedback", "resolve_feedback"]

Connections = bool | Sequence[str]
JOINT = "_to_"


class Feedback(nn.Module):
    """The connections. pairs: (from, to); channels: of every area."""

    def __init__(self, pairs: Iterable[tuple[str, str]], channels: Mapping[str, int]) -> None:
        super().__init__()
        self.pairs = tuple(pairs)
        self.convs = nn.ModuleDict(
            {
                above + JOINT + area: nn.Conv2d(channels[above], channels[area], 1, bias=False)
                for above, area in self.pairs
            }
        )

    def add(self, drive: Tensor, area: str, history: Mapping[str, Sequence[Tensor]], step: int) -> Tensor:
        """The drive of an area at a step, with what reaches it from above."""
        for above, to in self.pairs:
            if to == area and step:
                down = self.convs[above + JOINT + area](history[above][step - 1])
                drive = drive + F.interpolate(down, size=drive.shape[-2:], mode="nearest")
        return drive

    def work(self, sizes: Mapping[str, tuple[int, int]], steps: Mapping[str, int]) -> int:
        """Multiply-adds per image, of all steps; sizes: the (y, x) of every area's output."""
        return sum(
            self.convs[above + JOINT + to].weight.numel()  # type: ignore[operator, misc]
            * sizes[above][0]
            * sizes[above][1]
            * (steps[to] - 1)
            for above, to in self.pairs
        )


def resolve_feedback(feedback: Any, areas: Sequence[str], unroll: str) -> tuple[tuple[str, str], ...]:
    """(from, to) of every connection; feedback: true for all from an area to the one below, or ["IT-V4", "V4-V1"].

    Raises CornetError for areas that are not there, for what does not lead down, and where areas do not run together.
    """
    if feedback is False or feedback is None or feedback == ():
        return ()
    if unroll == "sequential":
        raise CornetError(
            "feedback does not go with unroll='sequential', where an area is done before the one above it begins; "
            "choose unroll='synchronous' or 'cascade', as of cornet_rt and cornet_r."
        )
    if feedback is True:
        return tuple(zip(areas[1:], areas[:-1], strict=True))
    if isinstance(feedback, str) or not isinstance(feedback, Iterable):
        feedback = [feedback]
    pairs = []
    for one in feedback:
        above, _, to = str(one).partition("-")
        if above not in areas or to not in areas or areas.index(above) <= areas.index(to):
            raise CornetError(
                f"feedback={one!r} leads from no area to one below it; give pairs such as IT-V4 of {', '.join(areas)}."
            )
        pairs.append((above, to))
    if len(set(pairs)) < len(pairs):
        raise CornetError(f"feedback={list(feedback)!r} names a pair twice; give each once.")
    return tuple(pairs)
