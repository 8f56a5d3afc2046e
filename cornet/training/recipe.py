"""How a network is trained: optimiser, schedule, precision. The published recipes stand in conf/recipe."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from cornet.errors import CornetError
from cornet.training.averaging import check_average

__all__ = ["Recipe", "Sizes", "check_sizes", "learning_rate_factor", "parameter_groups", "shrunk", "size_at"]

Sizes = Sequence[Sequence[int]]
"""[[pixels, epochs], ...]: that many epochs at that size each, in order; the rest at the images' own size."""


def check_sizes(sizes: Any, epochs: int) -> None:
    """Raise CornetError for impossible sizes, and where no epoch is left at the full size."""
    whole = isinstance(sizes, Sequence) and all(
        isinstance(part, Sequence)
        and len(part) == 2
        and all(isinstance(number, int) and number >= 1 for number in part)
        for part in sizes
    )
    if not whole:
        raise CornetError(
            f"recipe.sizes={sizes!r} must be pairs of pixels and epochs, such as [[128, 10], [160, 10]]."
        )
    small = sum(part[1] for part in sizes)
    if sizes and small >= epochs:
        raise CornetError(
            f"recipe.sizes={[list(part) for part in sizes]} takes {small} of recipe.epochs={epochs}; leave at least "
            "one epoch at the images' own size, at which brains are scored."
        )


def size_at(sizes: Sizes, epoch: int) -> int | None:
    """Pixels of the training images in an epoch (from 0); None: their own."""
    for pixels, epochs in sizes:
        if epoch < epochs:
            return pixels
        epoch -= epochs
    return None


def shrunk(images: Tensor, pixels: int | None) -> Tensor:
    """Images (batch, channel, y, x) at `pixels` a side, as floats of the same scale; unchanged for None.

    Bilinear with antialiasing. Raises CornetError for a size above theirs.
    """
    if pixels is None or images.shape[-2:] == (pixels, pixels):
        return images
    if pixels > min(images.shape[-2:]):
        raise CornetError(
            f"recipe.sizes asks for {pixels} pixels, but the training images have {min(images.shape[-2:])}; give "
            "smaller sizes, or larger images with data.size."
        )
    wide = images if images.is_floating_point() else images.to(torch.float32)
    return F.interpolate(wide, (pixels, pixels), mode="bilinear", antialias=True)


Schedule = Literal["divide", "cosine", "constant"]
Precision = Literal["32-true", "64-true", "bf16-mixed", "16-mixed"]
FUSED = {"cpu", "cuda"}
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training recipe for SGD with momentum.

    epochs: passes over the training images. batch_size: images a step, over all devices.
    learning_rate: at its highest. schedule: "divide" by 10 every `divide_every` epochs; "cosine" to 0 at the
        end; "constant". warmup: epochs of linear rise from 0 before that (may be a fraction).
    weight_decay: on weights; on norms and biases too where decay_norms_and_biases.
    label_smoothing: share of the target spread over all classes.
    clip: largest gradient norm, None for no clipping.
    precision: "32-true", "bf16-mixed", "16-mixed" or "64-true". tf32: on a GPU, allow TF32 in fp32 products.
    channels_last: memory layout of weights and images.
    compile: compile the whole unrolled network.
    memory_budget: of the activations that a backward pass needs, the share (0 to 1) that is kept in memory, the
        rest being computed again; None: all that is faster to keep. Takes compile.
    accumulate: parts in which a batch goes through the network, where the whole does not fit in memory; each has
        batch_size / accumulate images (and its own batch statistics), and one optimiser step follows them all.
    average: decay, per optimiser step, of averaged weights, which are then validated, scored against brains and
        kept in checkpoints; see `cornet.training.averaging`. None: no averaging.
    sizes: [[pixels, epochs], ...], smaller images for the first epochs; the last ones have their own size.
    step_loss: weight of the mean loss of the read-outs at the earlier steps that the image reaches, so that the
        network is right sooner; 0: only the last step is trained.

    Raises CornetError for a value that no training can have.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_norms_and_biases: bool = True
    schedule: Schedule = "divide"
    divide_every: int | None = None
    warmup: float = 0.0
    label_smoothing: float = 0.0
    clip: float | None = None
    precision: Precision = "32-true"
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False
    memory_budget: float | None = None
    accumulate: int = 1
    average: float | None = None
    sizes: Sizes = ()
    step_loss: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise CornetError(f"recipe.{name}={value!r} must be a whole number, at least 1.")
        if not self.learning_rate > 0 or not math.isfinite(self.learning_rate):
            raise CornetError(f"recipe.learning_rate={self.learning_rate!r} must be above 0.")
        for name, known in (("schedule", get_args(Schedule)), ("precision", get_args(Precision))):
            if (value := getattr(self, name)) not in known:
                raise CornetError(f"recipe.{name}={value!r} is unknown; choose one of {', '.join(known)}.")
        if self.schedule == "divide" and (self.divide_every or 0) < 1:
            raise CornetError(
                f"recipe.divide_every={self.divide_every!r} must be at least 1 epoch with schedule=divide."
            )
        if not 0 <= self.warmup < self.epochs:
            raise CornetError(
                f"recipe.warmup={self.warmup} epochs must be at least 0 and fewer than recipe.epochs={self.epochs}."
            )
        if not 0 <= self.label_smoothing < 1:
            raise CornetError(f"recipe.label_smoothing={self.label_smoothing} must be from 0 to below 1.")
        for name in ("momentum", "weight_decay", "step_loss"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise CornetError(f"recipe.{name}={value} must be a number, at least 0.")
        if self.nesterov and not self.momentum:
            raise CornetError("recipe.nesterov=true needs recipe.momentum above 0; set it to false.")
        if self.batch_size % self.accumulate:
            raise CornetError(
                f"recipe.accumulate={self.accumulate} does not divide recipe.batch_size={self.batch_size}; choose a "
                "divisor of it."
            )
        if self.memory_budget is not None:
            if not 0 <= self.memory_budget <= 1:
                raise CornetError(f"recipe.memory_budget={self.memory_budget} must be a share from 0 to 1.")
            if not self.compile:
                raise CornetError(
                    f"recipe.memory_budget={self.memory_budget} is kept by the compiler; set recipe.compile=true, or "
                    "use recipe.accumulate to save memory."
                )
        check_average(self.average)
        check_sizes(self.sizes, self.epochs)

    def optimiser(self, net: nn.Module) -> torch.optim.SGD:
        """SGD over the network's parameters, fused where the device can.

        Norms are known by type. Half precision with clipping is not fused: it would see scaled gradients.
        """
        devices = {p.device.type for p in net.parameters()}
        unscaled_first = self.precision == "16-mixed" and self.clip is not None
        return torch.optim.SGD(
            parameter_groups(net, self.weight_decay, self.decay_norms_and_biases),
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            fused=devices <= FUSED and not unscaled_first,
        )


def parameter_groups(net: nn.Module, weight_decay: float, everything: bool) -> list[dict[str, Any]]:
    """Parameters with their weight decay: all alike, or none on norms and biases."""
    if everything:
        return [{"params": list(net.parameters()), "weight_decay": weight_decay}]
    plain = {id(p) for m in net.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)}
    plain |= {id(p) for name, p in net.named_parameters() if name.endswith("bias")}
    return [
        {"params": [p for p in net.parameters() if id(p) not in plain], "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if id(p) in plain], "weight_decay": 0.0},
    ]


def learning_rate_factor(recipe: Recipe, step: int, steps_per_epoch: float) -> float:
    """What the highest learning rate is multiplied by at a step (from 0)."""
    epoch = step / steps_per_epoch
    if epoch < recipe.warmup:
        return (step + 1) / (recipe.warmup * steps_per_epoch + 1)
    if recipe.schedule == "divide":
        return 0.1 ** math.floor(epoch / (recipe.divide_every or 1) + 1e-9)
    if recipe.schedule == "constant":
        return 1.0
    share = min(1.0, (epoch - recipe.warmup) / (recipe.epochs - recipe.warmup))
    return 0.5 * (1.0 + math.cos(math.pi * share))
