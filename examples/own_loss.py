"""A loss of your own beside that of the task: activity costs, so that areas become sparse.

    cd examples
    python ../train.py +losses.activity._target_=own_loss.Activity +losses.activity.weight=0.01

It is logged as train/loss_activity.
"""

import torch
from torch import Tensor, nn

from cornet.losses import Loss
from cornet.stimuli.samples import Batch
from cornet.tasks import Outputs, Task


class Activity(Loss):
    """The mean activity of an area over time, space and channels. area: None for all areas."""

    needs_states = True  # the outputs hold the activity of all areas

    def __init__(self, weight: float = 0.01, area: str | None = None) -> None:
        super().__init__(weight)
        self.area = area

    def forward(self, net: nn.Module, task: Task, batch: Batch, outputs: Outputs) -> Tensor:
        assert outputs.states is not None
        areas = [self.area] if self.area else list(outputs.states)
        return torch.stack([outputs.states[area].abs().mean() for area in areas]).mean()
