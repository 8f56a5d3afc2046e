"""The Lightning module: a network that learns to name images."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from cornet.errors import CornetError
from cornet.models import CORnet
from cornet.stimuli.samples import IGNORED, Batch
from cornet.training.recipe import Recipe, learning_rate_factor

__all__ = ["Classifier"]


class Classifier(pl.LightningModule):
    """Trains a network on labelled images and measures top-1 and top-5 on each validation view.

    net: the network. recipe: how it is trained. mean, std: per channel, of images scaled to 0..1; images
    come as uint8 and are normalised here, on the device. views: names of the validation protocols; the
    first is logged as val/top1, another as val/top1_<name>. facts: kept in every checkpoint, which is refused
    where other facts are asked for: the network's name and arguments, and the classes.

    Logs train/loss and train/learning_rate every few steps; train/top1, val/loss, val/top1 and val/top5
    (fractions) at every epoch. Metrics stay on the device; nothing waits for it at a training step.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        net: CORnet,
        recipe: Recipe,
        mean: Sequence[float],
        std: Sequence[float],
        views: Sequence[str] = ("center",),
        facts: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.net = net
        self.recipe = recipe
        self.views = tuple(views)
        self.facts = dict(facts or {})
        self.register_buffer("pixel_mean", 255 * torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.train_top1 = accuracy(net.num_classes, 1)
        self.val_loss = MeanMetric(nan_strategy="disable")  # looking for NaN would wait for the device
        self.val_accuracy = nn.ModuleDict(
            {
                f"top{k}{self.suffix(view)}": accuracy(net.num_classes, k)
                for view in self.views
                for k in (1, 5)
            }
        )
        if recipe.channels_last:
            self.net.to(memory_format=torch.channels_last)
        if recipe.compile:
            self.net.compile()

    def suffix(self, view: str) -> str:
        """What a view's metrics end in: nothing for the first."""
        return "" if view == self.views[0] else f"_{view}"

    def prepare(self, images: Tensor) -> Tensor:
        """Normalised images (batch, 3, y, x) from uint8 ones, in the recipe's memory layout."""
        layout = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        x = images.to(self.pixel_mean.dtype, memory_format=layout)
        return (x - self.pixel_mean) / self.pixel_std

    def forward(self, images: Tensor, **arguments: Any) -> Any:
        """The network on uint8 images (batch, 3, y, x)."""
        return self.net(self.prepare(images), **arguments)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = self(batch.images)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self.recipe.label_smoothing)
        self.train_top1.update(logits.detach(), batch.labels)
        self.log("train/loss", loss.detach(), on_step=True)
        if batch_idx % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log("train/learning_rate", rate, on_step=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("train/top1", self.train_top1.compute())
        self.train_top1.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        for position, view in enumerate(self.views):
            logits = self(batch.images[:, position]).float()
            for k in (1, 5):
                self.val_accuracy[f"top{k}{self.suffix(view)}"].update(logits, batch.labels)  # type: ignore[operator]
            if position == 0:
                known = (batch.labels != IGNORED).sum()
                loss = F.cross_entropy(logits, batch.labels, ignore_index=IGNORED, reduction="sum")
                self.val_loss.update(loss / known.clamp(min=1), known)

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", self.val_loss.compute())
        self.val_loss.reset()
        for name, metric in self.val_accuracy.items():
            self.log(f"val/{name}", metric.compute())  # type: ignore[operator]
            metric.reset()  # type: ignore[operator]

    def configure_optimizers(self) -> Any:
        optimiser = self.recipe.optimiser(self.net)
        per_epoch = float(self.trainer.estimated_stepping_batches) / self.recipe.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_factor(self.recipe, step, per_epoch)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["cornet"] = self.facts

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises CornetError, saying what differs, for another network's checkpoint or other classes."""
        held = checkpoint.get("cornet", {})
        for key, mine in self.facts.items():
            if key in held and held[key] != mine:
                raise CornetError(
                    f"the checkpoint is of a training with {key}={held[key]!r} and does not fit this one with "
                    f"{key}={mine!r}; give another ckpt_path, or set {key} as the checkpoint has it."
                )
        theirs, own = checkpoint["state_dict"], self.state_dict()
        if differing := sorted(k for k in {*theirs, *own} if shape(theirs, k) != shape(own, k)):
            raise CornetError(
                f"the checkpoint holds the weights of another network ({differing[0]} is "
                f"{shape(theirs, differing[0])} there and {shape(own, differing[0])} here); give another ckpt_path, "
                "or build the network that it was trained with."
            )


def shape(state: Mapping[str, Any], key: str) -> str:
    """How a message tells an entry of a state dict."""
    return str(tuple(state[key].shape)) if key in state else "absent"


def accuracy(classes: int, k: int) -> MulticlassAccuracy:
    """Share of images whose class is among the k highest logits; unreadable images are left out."""
    return MulticlassAccuracy(
        classes, top_k=min(k, classes), average="micro", ignore_index=IGNORED, validate_args=False
    )
