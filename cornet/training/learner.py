"""The Lightning module that trains a network on a task."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from cornet.brain.benchmarks import Benchmark
from cornet.errors import CornetError
from cornet.losses import Loss, Readouts
from cornet.models import Network
from cornet.models.freezing import check_rates, freeze
from cornet.models.own_network import OwnNetwork
from cornet.old_names import with_current_facts
from cornet.runs.provenance import Provenance
from cornet.stimuli.diet import VisualDiet
from cornet.stimuli.normalisation import pixel_scale
from cornet.stimuli.samples import Batch
from cornet.tasks import Classification, Outputs, Task
from cornet.training.averaging import AveragedWeights
from cornet.training.recipe import Recipe, learning_rate_factor, shrink, size_at
from cornet.training.resume import begin_at, position_now, steps_per_epoch

__all__ = ["Learner"]

log = logging.getLogger("cornet")

READOUTS = "readouts"
"""Name of the loss that the recipe's `step_loss` adds."""


class Learner(pl.LightningModule):
    """Trains a network on a task with losses by a recipe.

    net: the network. recipe: how to train it. mean, std: per channel, of images scaled to 0..1; images arrive as uint8
    and are normalised here, on the device. Inputs that are not images have none, and stay as they are. task: what is
    learned (None: the class of each image). losses: terms beside the task's loss, by name. source: the images, for the
    task. frozen: areas or modules of the network that are not trained. diet: how training images look in each epoch.
    views: names of the validation protocols. facts: the network's name and arguments, and the classes; stored in every
    checkpoint, and a checkpoint with other facts is refused.

    Logs train/loss (mean over the ranks), every further loss as train/loss_<name>, and train/learning_rate every few
    steps, and the metrics of the task every epoch. Metrics stay on the device: only logged training steps wait for it.

    With recipe.average the network holds the averaged weights during a validation, for callbacks too; see
    `scored_weights`. Checkpoints store the averaged weights as the network's, and those in training as `raw_weights`,
    from which a training resumes.

    Raises CornetError for a recipe, a task or a loss that does not fit the network, and for a loss whose name is taken.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        net: Network | OwnNetwork,
        recipe: Recipe,
        mean: Sequence[float],
        std: Sequence[float],
        views: Sequence[str] = ("center",),
        facts: Mapping[str, Any] | None = None,
        task: Task | None = None,
        losses: Mapping[str, Loss] | None = None,
        source: Any = None,
        frozen: Sequence[str] = (),
        diet: VisualDiet | None = None,
    ):
        super().__init__()
        check_images_only(mean, recipe, diet)
        self.net = net
        self.recipe = recipe
        self.views, self.diet = tuple(views), diet
        self.facts = {**(facts or {})}
        self.provenance = Provenance()  # set by the run after everything is built
        self.begins_with_seed: int | None = None  # set if the checkpoint is from another run
        for name, scale in zip(("pixel_mean", "pixel_std"), pixel_scale(mean, std), strict=True):
            self.register_buffer(name, scale, persistent=False)
        self.losses = nn.ModuleDict(with_step_loss(losses or {}, recipe.step_loss))
        self.task = Classification(recipe.label_smoothing) if task is None else task
        self.task.attach(net, source, self.views, self.needs("readouts"))
        for loss in self.terms:
            loss.attach(net, source)
        self.frozen = freeze(net, frozen)
        check_rates(net, recipe.rates)
        self.train()
        if isinstance(net, Network) and isinstance(net.decoder, nn.Identity):
            self.facts["net.decoder"] = False  # the task has heads of its own
        self.average: AveragedWeights | None = None
        self.loaded_average: tuple[dict[str, Tensor], int] | None = None
        if recipe.channels_last:
            self.net.to(memory_format=torch.channels_last)
            self.task.to(memory_format=torch.channels_last)
        if recipe.compile:
            self.net.compile(recipe.memory_budget)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; frozen parts stay in evaluation mode, so that their norms keep their statistics."""
        super().train(mode)
        for part in getattr(self, "frozen", ()):
            part.eval()
        return self

    def forward(self, images: Tensor, **arguments: Any) -> Any:
        """Run the network on uint8 images (batch, 3, y, x), which it normalises."""
        return self.net(images, pixels=(self.pixel_mean, self.pixel_std), **arguments)

    @property
    def terms(self) -> list[Loss]:
        """The losses beside the task's."""
        return [loss for loss in self.losses.values() if isinstance(loss, Loss)]

    def needs(self, what: str) -> bool:
        """Whether a loss needs the outputs to hold the "readouts", "states" or "gradients"."""
        return any(getattr(loss, f"needs_{what}") for loss in self.terms)

    @property
    def own_benchmarks(self) -> list[Benchmark[Any]]:
        """Benchmarks on data that the losses hold out."""
        return [one for loss in self.terms for one in loss.benchmarks()]

    @property
    def trained(self) -> nn.ModuleDict:
        """Everything with weights: the network, the heads of the task, and the losses."""
        return nn.ModuleDict({"net": self.net, "task": self.task, "losses": self.losses})

    @property
    def scored_network(self) -> str:
        """Name of the network that brain scores record: without the wrapper of a user's own module."""
        return "net.net" if isinstance(self.net, OwnNetwork) else "net"

    @property
    def task_metric(self) -> str:
        """Name of the metric that is written beside brain scores."""
        return self.task.monitor

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

    def outputs(self, inputs: Tensor, readouts: bool = False, states: bool = False) -> Outputs:
        """Run the network and the heads of the task on uint8 images (batch, 3, y, x)."""
        pixels = (self.pixel_mean, self.pixel_std)
        found: Outputs = self.task(self.net, inputs, readouts, states, pixels=pixels)
        return found

    def differentiable_outputs(self, inputs: Tensor) -> Outputs:
        """Return outputs with images that can be differentiated twice.

        Compiled graphs and fused attention have no second derivative, and gradients of pixels underflow in half
        precision; so the network runs uncompiled, in the precision of its weights.
        """
        with (
            torch.compiler.set_stance("force_eager"),
            torch.autocast(self.device.type, enabled=False),
            sdpa_kernel(SDPBackend.MATH),
        ):
            pixels = (self.pixel_mean, self.pixel_std)
            images = self.net.normalise(inputs, *pixels).detach().requires_grad_()
            found: Outputs = self.task(self.net, images, self.needs("readouts"), self.needs("states"))
        return found._replace(images=images)

    def loss(self, batch: Batch, inputs: Tensor) -> tuple[Tensor, Outputs, dict[str, Tensor]]:
        """Return the whole loss, the outputs, and the terms beside the task's loss by name (loss_<name>).

        inputs: those of the batch, perhaps smaller.
        """
        if self.needs("gradients") and torch.is_grad_enabled():
            outputs = self.differentiable_outputs(inputs)
        else:
            outputs = self.outputs(inputs, self.needs("readouts"), self.needs("states"))
        loss = self.task.loss(outputs.predictions, batch.targets)
        terms = {}
        for name, term in self.losses.items():
            terms[f"loss_{name}"] = term(self.net, self.task, batch, outputs)
            loss = loss + term.weight * terms[f"loss_{name}"]
        return loss, outputs, terms

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if batch_idx == 0:
            self.task.start_epoch()
        inputs = batch.inputs if self.diet is None else self.diet(batch.inputs, self.current_epoch)
        inputs = shrink(inputs, size_at(self.recipe.sizes, self.current_epoch))
        loss, outputs, terms = self.loss(batch, inputs)
        self.task.update_training(outputs.predictions, batch.targets)
        if (self.trainer.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            for name, value in {"loss": loss, **terms}.items():
                mean = self.trainer.strategy.reduce(value.detach().clone(), reduce_op="mean")
                self.log(f"train/{name}", mean, on_step=True)
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log("train/learning_rate", rate, on_step=True)
        return loss

    def on_train_epoch_start(self) -> None:
        for loss in self.terms:
            loss.start_epoch()

    def on_train_epoch_end(self) -> None:
        self.log_dict(self.task.training_metrics())
        for loss in self.terms:
            loss.end_epoch()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        for position, view in enumerate(self.views):
            outputs = self.outputs(batch.inputs[:, position], self.needs("readouts") and position == 0)
            self.task.update(outputs, batch.targets, view)

    def on_validation_epoch_start(self) -> None:
        if self.average is not None and self.trainer.state.fn == "fit":
            self.average.swap()

    def on_validation_epoch_end(self) -> None:
        for name, value in self.task.metrics().items():
            self.log(name, value)
        if self.scored_weights == "averaged":  # after all callbacks
            assert self.average is not None
            self.average.swap()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.recipe.optimiser(self.trained)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of this step, a function of the recipe and the position in epochs only."""
        for term in self.terms:
            term.position = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        per_epoch = steps_per_epoch(self.trainer)
        step = self.current_epoch * per_epoch + batch_idx // self.trainer.accumulate_grad_batches
        rate = self.recipe.learning_rate * learning_rate_factor(self.recipe, step, per_epoch)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * group.get("factor", 1.0)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of all gradients. Lightning's own method refuses every fused optimiser."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.trained.parameters(), gradient_clip_val)

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
            self.average = AveragedWeights(self.trained, self.recipe.average)
            if self.loaded_average is not None:
                self.average.load(*self.loaded_average)
                self.loaded_average = None

    def follow_recipe(self, optimiser: torch.optim.Optimizer) -> None:
        """Give a restored optimiser the recipe's options, and its tensors the memory layout of the parameters.

        A restored optimiser has the checkpoint's options, and a fused one reads its tensors in memory order.
        """
        fresh = self.recipe.optimiser(self.trained).param_groups
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
        self.task.on_save(checkpoint)
        if self.average is not None:
            self.average.pack(checkpoint)

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
        self.loaded_average = AveragedWeights.unpack(checkpoint)
        self.task.on_load(checkpoint, self.trainer.is_global_zero)


def with_step_loss(losses: Mapping[str, Loss], weight: float) -> dict[str, Loss]:
    """Return the losses with that of the recipe's `step_loss`. Raises CornetError if its name is taken."""
    if not weight:
        return dict(losses)
    if READOUTS in losses:
        raise CornetError(
            f"recipe.step_loss={weight:g} adds a loss named {READOUTS}, but losses.{READOUTS} is there already; give "
            "one of them, or rename yours."
        )
    return {READOUTS: Readouts(weight), **losses}


def check_images_only(mean: Sequence[float], recipe: Recipe, diet: VisualDiet | None) -> None:
    """Raise CornetError for a change of images where the inputs are not images."""
    given = [text for text, has in (("recipe.sizes", bool(recipe.sizes)), ("diet", diet is not None)) if has]
    if given and not len(mean):
        raise CornetError(
            f"{given[0]} changes images, but the inputs of this data source are not images; omit it."
        )


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
