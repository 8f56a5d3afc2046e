"""The Lightning module that trains a network to classify images."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric

from cornet.errors import CornetError
from cornet.models import CORnet
from cornet.models.own_network import OwnNetwork
from cornet.old_names import with_current_facts
from cornet.runs.provenance import Provenance
from cornet.stimuli.normalisation import pixel_scale
from cornet.stimuli.samples import IGNORED, Batch
from cornet.training.averaging import AveragedWeights
from cornet.training.recipe import Recipe, learning_rate_factor, shrink, size_at
from cornet.training.resume import begin_at, position_now, steps_per_epoch

__all__ = ["Classifier"]

log = logging.getLogger("cornet")

COUNTS = ("correct", "images")  # state of the training accuracy in checkpoints


class TopK(Metric):
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


class Classifier(pl.LightningModule):
    """Trains a network on labelled images and measures top-1 and top-5 accuracy on each validation view.

    net: the network. recipe: how to train it. mean, std: per channel, of images scaled to 0..1; images arrive as uint8
    and are normalised here, on the device. views: names of the validation protocols; the first is logged as val/top1,
    others as val/top1_<name>. facts: the network's name and arguments, and the classes; stored in every checkpoint, and
    a checkpoint with other facts is refused.

    Logs train/loss (mean over the ranks) and train/learning_rate every few steps; train/top1, val/loss, val/top1 and
    val/top5 (fractions) every epoch; with recipe.step_loss also val/top1_step<k>, the read-out at each step k (from 0)
    of the last area that the image reaches. Metrics stay on the device: only logged training steps wait for it.

    With recipe.average the network holds the averaged weights during a validation, for callbacks too; see
    `scored_weights`. Checkpoints store the averaged weights as the network's, and those in training as `raw_weights`,
    from which a training resumes.

    Raises CornetError for a recipe that the network cannot follow.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        net: CORnet | OwnNetwork,
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
        self.provenance = Provenance()  # set by the run after everything is built
        self.begins_with_seed: int | None = None  # set if the checkpoint is from another run
        for name, scale in zip(("pixel_mean", "pixel_std"), pixel_scale(mean, std), strict=True):
            self.register_buffer(name, scale, persistent=False)
        self.train_top1 = TopK(1)
        # A check for NaN would wait for the device, and without the check MeanMetric ignores its weights.
        self.val_loss = SumMetric(nan_strategy="disable")
        self.val_images = SumMetric(nan_strategy="disable")
        self.val_accuracy = nn.ModuleDict(
            {
                f"top{k}{self.suffix(view)}": TopK(min(k, net.num_classes))
                for view in self.views
                for k in (1, 5)
            }
        )
        self.average: AveragedWeights | None = None
        self.loaded_average: tuple[dict[str, Tensor], int] | None = None
        last = list(net.steps)[-1]
        self.read_steps = range(net.first_driven_step(last), net.steps[last])
        self.step_accuracy = nn.ModuleDict()
        if recipe.step_loss:
            if len(self.read_steps) < 2:
                raise CornetError(
                    f"recipe.step_loss={recipe.step_loss} needs several steps to read out, but the image "
                    f"reaches {last} only at its last; set it to 0, or raise model.times."
                )
            self.step_accuracy.update({f"top1_step{k}": TopK(1) for k in self.read_steps})
        if recipe.channels_last:
            self.net.to(memory_format=torch.channels_last)
        if recipe.compile:
            self.net.compile(recipe.memory_budget)

    def suffix(self, view: str) -> str:
        """Return the suffix of a view's metrics: empty for the first view."""
        return "" if view == self.views[0] else f"_{view}"

    def forward(self, images: Tensor, **arguments: Any) -> Any:
        """Run the network on uint8 images (batch, 3, y, x), which it normalises."""
        return self.net(images, pixels=(self.pixel_mean, self.pixel_std), **arguments)

    @property
    def scored_network(self) -> str:
        """Name of the network that brain scores record: without the wrapper of a user's own module."""
        return "net.net" if isinstance(self.net, OwnNetwork) else "net"

    def averaged_weights(self) -> contextlib.AbstractContextManager[None]:
        """A context in which the network holds the averaged weights, if there are any."""
        return contextlib.nullcontext() if self.average is None else self.average.swapped_in()

    def provenance_columns(self) -> dict[str, Any]:
        """Columns for every row of scores.csv."""
        return self.provenance.columns()

    @property
    def scored_weights(self) -> str:
        """The weights that the network holds now: "averaged", or "raw" for those in training."""
        return "averaged" if self.average is not None and self.average.swapped else "raw"

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if batch_idx == 0:
            self.train_top1.reset()
        images = shrink(batch.images, size_at(self.recipe.sizes, self.current_epoch))
        loss, logits = self.loss(images, batch.labels)
        self.train_top1.update(logits.detach(), batch.labels)
        if (self.trainer.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            mean_loss = self.trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
            self.log("train/loss", mean_loss, on_step=True)
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log("train/learning_rate", rate, on_step=True)
        return loss

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits (batch, class) of the last step."""
        if not self.recipe.step_loss:
            logits = self(images)
            return self.cross_entropy(logits, labels), logits
        *earlier, logits = self(images, readouts=True).unbind()
        earlier_loss = torch.stack([self.cross_entropy(one, labels) for one in earlier]).mean()
        return self.cross_entropy(logits, labels) + self.recipe.step_loss * earlier_loss, logits

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    def on_train_epoch_end(self) -> None:
        self.log("train/top1", self.train_top1.compute())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        for position, view in enumerate(self.views):
            if self.step_accuracy and position == 0:
                all_logits = self(batch.images[:, position], readouts=True).float()
                for metric, one in zip(self.step_accuracy.values(), all_logits, strict=True):
                    metric.update(one, batch.labels)  # type: ignore[operator]
                logits = all_logits[-1]
            else:
                logits = self(batch.images[:, position]).float()
            for k in (1, 5):
                self.val_accuracy[f"top{k}{self.suffix(view)}"].update(logits, batch.labels)  # type: ignore[operator]
            if position == 0:
                labelled = (batch.labels != IGNORED).sum()
                loss = F.cross_entropy(logits, batch.labels, ignore_index=IGNORED, reduction="sum")
                self.val_loss.update(loss)
                self.val_images.update(labelled)

    def on_validation_epoch_start(self) -> None:
        if self.average is not None and self.trainer.state.fn == "fit":
            self.average.swap()

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", self.val_loss.compute() / self.val_images.compute().clamp(min=1))
        self.val_loss.reset()
        self.val_images.reset()
        for name, metric in [*self.val_accuracy.items(), *self.step_accuracy.items()]:
            self.log(f"val/{name}", metric.compute())  # type: ignore[operator]
            metric.reset()  # type: ignore[operator]
        if self.scored_weights == "averaged":  # after all callbacks
            assert self.average is not None
            self.average.swap()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.recipe.optimiser(self.net)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of this step, a function of the recipe and the position in epochs only."""
        per_epoch = steps_per_epoch(self.trainer)
        step = self.current_epoch * per_epoch + batch_idx // self.trainer.accumulate_grad_batches
        rate = self.recipe.learning_rate * learning_rate_factor(self.recipe, step, per_epoch)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of all gradients. Lightning's own method refuses every fused optimiser."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.net.parameters(), gradient_clip_val)

    def on_fit_start(self) -> None:
        if self.device.type != "cpu":
            return
        if self.recipe.channels_last:
            check_layout(self.net)
        if "bf16" in self.recipe.precision and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            log.warning(
                "recipe.precision=%s is many times slower than float32 on this CPU, which lacks bf16 instructions; "
                "set recipe.precision=32-true",
                self.recipe.precision,
            )

    def on_train_start(self) -> None:
        self.follow_recipe(self.trainer.optimizers[0])
        if self.recipe.average is not None:
            self.average = AveragedWeights(self.net, self.recipe.average)
            if self.loaded_average is not None:
                self.average.load(*self.loaded_average)
                self.loaded_average = None

    def follow_recipe(self, optimiser: torch.optim.Optimizer) -> None:
        """Give a restored optimiser the recipe's options, and its tensors the memory layout of the parameters.

        A restored optimiser has the checkpoint's options, and a fused one reads its tensors in memory order.
        """
        fresh = self.recipe.optimiser(self.net).param_groups
        for group, own in zip(optimiser.param_groups, fresh, strict=True):
            group.update({name: value for name, value in own.items() if name != "params"})
        for parameter, state in optimiser.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter).copy_(value)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(*arguments, **options)
        if self.average is not None:
            self.average.update()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["cornet"] = self.facts
        checkpoint["provenance"] = self.provenance.content()
        checkpoint["position"] = position_now(self.trainer)
        with self.train_top1.sync_context():
            checkpoint["train_top1"] = {name: getattr(self.train_top1, name).clone() for name in COUNTS}
        if self.average is not None:
            self.average.pack(checkpoint, "net.")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check and unpack a checkpoint. Raises CornetError if it is from another network or other classes."""
        recorded = with_current_facts(checkpoint.get("cornet", {}))
        for key, expected in self.facts.items():
            if key in recorded and recorded[key] != expected:
                raise CornetError(
                    f"the checkpoint is from a training with {key}={recorded[key]!r} and does not fit this one with "
                    f"{key}={expected!r}; give another ckpt_path, or set {key} to the checkpoint's value."
                )
        theirs, own = checkpoint["state_dict"], self.state_dict()
        if differing := sorted(k for k in {*theirs, *own} if shape_text(theirs, k) != shape_text(own, k)):
            raise CornetError(
                f"the checkpoint holds the weights of another network ({differing[0]} is "
                f"{shape_text(theirs, differing[0])} there and {shape_text(own, differing[0])} here); give another "
                "ckpt_path, or build the network that it was trained with."
            )
        if self.begins_with_seed is not None:
            begin_at(checkpoint, self.trainer, self.begins_with_seed)
        self.loaded_average = AveragedWeights.unpack(checkpoint, "net.")
        counts = checkpoint.get("train_top1")
        if counts is not None and self.trainer.is_global_zero:  # the counts are sums over all ranks
            if "tp" in counts:  # from a version that counted with torchmetrics
                counts = {"correct": counts["tp"], "images": counts["tp"] + counts["fn"]}
            self.train_top1.update(torch.zeros(1, 1), torch.full((1,), IGNORED))
            for name in COUNTS:
                getattr(self.train_top1, name).copy_(counts[name].squeeze())


def shape_text(state: Mapping[str, Any], key: str) -> str:
    """Return the shape of an entry of a state dict as text, for messages."""
    return str(tuple(state[key].shape)) if key in state else "missing"


def check_layout(net: nn.Module) -> None:
    """Raise CornetError for a layer whose backward pass on a CPU corrupts memory with a channels-last layout.

    This is a strided 1 x 1 convolution with fewer than 8 channels (oneDNN in torch 2.15 with AVX2; seen with 4, 6).
    """
    for name, layer in net.named_modules():
        strided = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and max(layer.stride) > 1
        if strided and (channels := min(layer.in_channels, layer.out_channels)) < 8:
            raise CornetError(
                f"recipe.channels_last=true cannot train {name}, which has {channels} channels, on a CPU: PyTorch "
                "would write out of bounds; set recipe.channels_last=false, or a larger model.width."
            )
