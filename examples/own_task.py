"""A task of your own: animals against vehicles and other things, with one output.

cd examples
python ../train.py task=own task._target_=own_task.IsLiving monitor=val/living
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.stimuli.samples import ImageSource
from cornet.tasks import Outputs, Task
from cornet.tasks.base import Targets
from cornet.tasks.heads import Heads


class IsLiving(Task):
    """Learns whether the object is living. living: names of classes. Logs val/loss and val/living (share correct)."""

    monitor = "val/living"
    shown = (("val/living", "living"),)

    def __init__(self, living: Sequence[str] = ("animal", "face", "fruit")) -> None:
        super().__init__()
        self.living, self.heads = set(living), Heads({"living": 1})

    def attach(self, net: Any, source: ImageSource, views: Sequence[str], readouts: bool = False) -> None:
        self.heads.attach(net, source.size)
        wanted = torch.tensor([float(name in self.living) for name in source.classes])
        self.register_buffer("wanted", wanted, persistent=False)
        self.sums: dict[str, Tensor] = {}

    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool = False, states: bool = False, **arguments: Any
    ) -> Outputs:
        return self.heads(net, inputs, readouts, states, **arguments)

    def loss(self, predictions: Mapping[str, Tensor], targets: Targets) -> Tensor:
        return F.binary_cross_entropy_with_logits(predictions["living"][:, 0], self.wanted[targets["label"]])

    def update(self, outputs: Outputs, targets: Targets, view: str) -> None:
        right = (outputs.predictions["living"][:, 0] > 0) == (self.wanted[targets["label"]] > 0.5)
        count = len(right)
        new = {"images": count, "right": right.sum(), "loss": self.loss(outputs.predictions, targets) * count}
        self.sums = {name: self.sums.get(name, 0) + value for name, value in new.items()}

    def metrics(self) -> dict[str, Tensor]:
        sums, self.sums = self.sums, {}
        return {"val/loss": sums["loss"] / sums["images"], "val/living": sums["right"] / sums["images"]}

    def start_epoch(self) -> None: ...

    def update_training(self, predictions: Mapping[str, Tensor], targets: Targets) -> None: ...

    def training_metrics(self) -> dict[str, Tensor]:
        return {}
