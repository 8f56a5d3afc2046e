"""The loss of read-outs at earlier steps, which makes a recurrent network answer early."""

import torch
from torch import Tensor, nn

from cornet.losses.base import Loss
from cornet.stimuli.samples import Batch
from cornet.tasks.base import Outputs, Task

__all__ = ["Readouts"]


class Readouts(Loss):
    """The mean of the task's loss over the read-outs at all steps before the last that the image reaches."""

    needs_readouts = True

    def forward(self, net: nn.Module, task: Task, batch: Batch, outputs: Outputs) -> Tensor:
        assert outputs.readouts is not None
        steps = len(next(iter(outputs.readouts.values())))
        by_step = [{name: every[k] for name, every in outputs.readouts.items()} for k in range(steps - 1)]
        return torch.stack([task.loss(predictions, batch.targets) for predictions in by_step]).mean()
