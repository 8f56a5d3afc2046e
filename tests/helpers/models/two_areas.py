"""A small family beside CORnet: two recurrent areas, A and B, in one file, with times of their own.

It is not registered here, so that `list_models` in other tests of the process does not have it; see `registration`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cornet.models import Area, Network, register, registry

NAME = "two_areas"


class TwoAreas(Network):
    """B reads A at the previous step, from step 1 on. A stands for a region A, B for IT."""

    def __init__(self, num_classes=1000, channels=6, times=3):
        areas = [Area("A", times, 50, 60), Area("B", times, 20, 50, first_driven_step=1, region="IT")]
        super().__init__(areas, num_classes)
        self.channels = channels
        self.below = nn.Conv2d(3, channels, 5, 4, 2)
        self.up = nn.Conv2d(channels, channels, 3, 2, 1)
        self.again = nn.Conv2d(channels, channels, 3, 1, 1)
        self.decoder = nn.Linear(channels, num_classes)

    def run_areas(self, images, steps, keep_all):
        drive = self.below(images)
        a, b = [torch.relu(drive)], [torch.zeros_like(self.up(drive))[:1]]
        for _ in range(1, max(steps.values())):
            b.append(torch.relu(self.up(a[-1]) + self.again(b[-1])))
            a.append(torch.relu(drive - 0.5 * a[-1]))
        return {"A": a[: steps["A"]], "B": b[: steps["B"]]}


@contextmanager
def registration() -> Iterator[type[TwoAreas]]:
    """A context in which the family has a name."""
    yield register(NAME, summary="two recurrent areas", paper="a test")(TwoAreas)
    del registry.REGISTERED[NAME]
