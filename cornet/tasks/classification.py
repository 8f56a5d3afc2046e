"""Classification: the class of each image, read from the network's decoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import SumMetric

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, ImageSource
from cornet.tasks.base import Outputs, Targets, Task
from cornet.tasks.counter import Counter

__all__ = ["Classification", "TopK"]

COUNTS = ("correct", "images")  # state of the training accuracy in checkpoints
LABEL = "label"
STORED = "train_top1"  # key in checkpoints


class TopK(Counter):
    """Share of images whose class is among the k highest logits; images of the class IGNORED are not counted.

    It never waits for the device, unlike torchmetrics' accuracy with an ignored class.
    """

    correct: Tensor
    images: Tensor

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        for name in COUNTS:
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """logits: (batch, class). labels: (batch,)."""
        # With equal logits argmax returns the first, topk any.
        best = logits.argmax(1, keepdim=True) if self.k == 1 else logits.topk(self.k).indices
        self.correct += (best == labels[:, None]).sum()
        self.images += (labels != IGNORED).sum()

    def compute(self) -> Tensor:
        return self.correct / self.images.clamp(min=1)


class Classification(Task):
    """Learns the class of each image; the network's own decoder is the head, so published checkpoints load unchanged.

    label_smoothing: share of the target spread over all classes, in the training loss.

    Metrics: val/loss, val/top1 and val/top5 (fractions) of the first validation view, val/top1_<view> of others,
    train/top1; with readouts val/top1_step<k> at each step k (from 0) of the last area that the image reaches.
    """

    monitor = "val/top1"
    shown: Sequence[tuple[str, str]] = (("val/top1", "top-1"), ("val/top5", "top-5"))

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.train_top1 = TopK(1)
        # A check for NaN would wait for the device, and without the check MeanMetric ignores its weights.
        self.val_loss = SumMetric(nan_strategy="disable")
        self.val_images = SumMetric(nan_strategy="disable")
        self.val_accuracy = nn.ModuleDict()
        self.step_accuracy = nn.ModuleDict()

    def attach(self, net: Any, source: ImageSource, views: Sequence[str], readouts: bool = False) -> None:
        self.build_metrics(int(net.num_classes), views)
        if readouts:
            self.read_every_step(net, list(net.steps)[-1])

    def build_metrics(self, classes: int, views: Sequence[str]) -> None:
        """Build the metrics of the validation views."""
        self.views = tuple(views)
        self.chance = {self.monitor: 1 / classes}
        for view in self.views:
            for k in (1, 5):
                self.val_accuracy[f"top{k}{self.suffix(view)}"] = TopK(min(k, classes))

    def read_every_step(self, net: Any, area: str) -> None:
        """Build the metrics of the read-outs of an area at every step that the image reaches."""
        steps = range(net.first_driven_step(area), net.steps[area])
        if len(steps) < 2:
            raise CornetError(
                f"the image reaches {area} only at its last step, so there are no earlier steps to read out; set "
                "recipe.step_loss to 0, or raise model.times."
            )
        self.step_accuracy.update({f"top1_step{k}": TopK(1) for k in steps})

    def suffix(self, view: str) -> str:
        """Return the suffix of a view's metrics: empty for the first view."""
        return "" if view == self.views[0] else f"_{view}"

    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool = False, states: bool = False, **arguments: Any
    ) -> Outputs:
        found = net(
            inputs,
            **({"readouts": True} if readouts else {}),
            **({"return_states": True} if states else {}),
            **arguments,
        )
        logits, areas = found if states else (found, None)
        if not readouts:
            return Outputs({LABEL: logits}, None, areas)
        return Outputs({LABEL: logits[-1]}, {LABEL: logits}, areas)

    def loss(self, predictions: Mapping[str, Tensor], targets: Targets) -> Tensor:
        return F.cross_entropy(predictions[LABEL], targets[LABEL], label_smoothing=self.label_smoothing)

    def start_epoch(self) -> None:
        self.train_top1.reset()

    def update_training(self, predictions: Mapping[str, Tensor], targets: Targets) -> None:
        self.train_top1.update(predictions[LABEL].detach(), targets[LABEL])

    def training_metrics(self) -> dict[str, Tensor]:
        return {"train/top1": self.train_top1.compute()}

    def update(self, outputs: Outputs, targets: Targets, view: str) -> None:
        labels, logits = targets[LABEL], outputs.predictions[LABEL].float()
        if outputs.readouts is not None:
            every = outputs.readouts[LABEL].float()
            for metric, one in zip(self.step_accuracy.values(), every, strict=True):
                metric.update(one, labels)  # type: ignore[operator]
        for k in (1, 5):
            self.val_accuracy[f"top{k}{self.suffix(view)}"].update(logits, labels)  # type: ignore[operator]
        if view == self.views[0]:
            labelled = (labels != IGNORED).sum()
            self.val_loss.update(F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))
            self.val_images.update(labelled)

    def metrics(self) -> dict[str, Tensor]:
        found = {"val/loss": self.val_loss.compute() / self.val_images.compute().clamp(min=1)}
        self.val_loss.reset()
        self.val_images.reset()
        for name, metric in [*self.val_accuracy.items(), *self.step_accuracy.items()]:
            found[f"val/{name}"] = metric.compute()  # type: ignore[operator]
            metric.reset()  # type: ignore[operator]
        return found

    def counters(self) -> dict[str, Counter]:
        return {STORED: self.train_top1}

    def on_load(self, checkpoint: dict[str, Any], first_rank: bool) -> None:
        counts = checkpoint.get(STORED)
        if counts is not None and "tp" in counts:  # from a version that counted with torchmetrics
            counts = {"correct": counts["tp"], "images": counts["tp"] + counts["fn"]}
            checkpoint = {**checkpoint, STORED: counts}
        super().on_load(checkpoint, first_rank)
