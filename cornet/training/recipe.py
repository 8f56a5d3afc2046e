"""Training recipes: optimiser, schedule, precision. The published recipes are in conf/recipe."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from cornet.errors import CornetError
from cornet.models.freezing import rate_factor
from cornet.training.averaging import check_average

__all__ = ["Recipe", "Sizes", "check_sizes", "learning_rate_factor", "parameter_groups", "shrink", "size_at"]

Sizes = Sequence[Sequence[int]]
"""[[pixels, epochs], ...]: image sizes and their numbers of epochs, in order; then the images' own size."""


def check_sizes(sizes: Any, epochs: int) -> None:
    """Raise CornetError for invalid sizes, and if no epoch is left at the full size."""
    valid = isinstance(sizes, Sequence) and all(
        isinstance(part, Sequence)
        and len(part) == 2
        and all(isinstance(number, int) and number >= 1 for number in part)
        for part in sizes
    )
    if not valid:
        raise CornetError(
            f"recipe.sizes={sizes!r} must be pairs of pixels and epochs, such as [[128, 10], [160, 10]]."
        )
    small = sum(part[1] for part in sizes)
    if sizes and small >= epochs:
        raise CornetError(
            f"recipe.sizes={[list(part) for part in sizes]} takes {small} of recipe.epochs={epochs}; leave at least "
            "one epoch at the images' own size, which brain scores use."
        )


def size_at(sizes: Sizes, epoch: int) -> int | None:
    """Return the size in pixels of the training images in an epoch (from 0); None for their own size."""
    for pixels, epochs in sizes:
        if epoch < epochs:
            return pixels
        epoch -= epochs
    return None


def shrink(images: Tensor, pixels: int | None) -> Tensor:
    """Resize images (batch, channel, y, x) to `pixels` per side, as floats of the same scale; None: no change.

    Bilinear with antialiasing. Raises CornetError for a size above the images' own.
    """
    if pixels is None or images.shape[-2:] == (pixels, pixels):
        return images
    if pixels > min(images.shape[-2:]):
        raise CornetError(
            f"recipe.sizes asks for {pixels} pixels, but the training images have {min(images.shape[-2:])}; set "
            "smaller sizes, or a larger data.size."
        )
    wide = images if images.is_floating_point() else images.to(torch.float32)
    return F.interpolate(wide, (pixels, pixels), mode="bilinear", antialias=True)


Algorithm = Literal["sgd", "adam"]
Schedule = Literal["divide", "cosine", "constant"]
Precision = Literal["32-true", "64-true", "bf16-mixed", "16-mixed"]
FUSED = {"cpu", "cuda"}
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training recipe for SGD with momentum, or for Adam.

    epochs: passes over the training images. batch_size: images per step, over all devices.
    algorithm: "sgd", or "adam" (Kingma and Ba 2015), whose first-moment decay (beta1) is `momentum`.
    second_moment: decay of Adam's second moments (beta2); its epsilon is 1e-8.
    learning_rate: its maximum. schedule: "divide" by 10 every `divide_every` epochs, or
        after the epochs `divide_at`; "cosine" to 0 at the end;
        "constant". warmup: epochs of linear increase from 0 before that (may be a fraction).
    weight_decay: of weights; also of norms and biases with decay_norms_and_biases.
    label_smoothing: share of the target spread over all classes.
    clip: largest gradient norm, None for no clipping.
    precision: "32-true", "bf16-mixed", "16-mixed" or "64-true". tf32: on a GPU, allow TF32 in fp32 products.
    channels_last: memory layout of weights and images.
    compile: compile the whole unrolled network.
    memory_budget: share (0 to 1) of the activations that is kept for the backward pass, while the rest is recomputed;
        None: keep whatever is faster to keep. Requires compile.
    accumulate: parts of a batch that go through the network in turn, if the whole does not fit in memory; each has
        batch_size / accumulate images (and its own batch statistics), and one optimiser step follows all parts.
    average: decay, per optimiser step, of averaged weights, which are then validated, scored against brains and stored
        in checkpoints; see `cornet.training.averaging`. None: no averaging.
    sizes: [[pixels, epochs], ...], smaller images in the first epochs; the last epochs use the images' own size.
    rates: factors of the learning rate by area or module, such as {"V1": 0.1, "decoder": 10}; 1 for others.
    step_loss: weight of the mean loss of the read-outs at earlier steps that the image reaches, which makes earlier
        read-outs accurate; 0: train the last step only.

    Raises CornetError for an invalid value.
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
    divide_at: Sequence[int] = ()
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
    rates: Mapping[str, float] = field(default_factory=dict)
    algorithm: Algorithm = "sgd"
    second_moment: float = 0.999

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise CornetError(f"recipe.{name}={value!r} must be a whole number, at least 1.")
        if not self.learning_rate > 0 or not math.isfinite(self.learning_rate):
            raise CornetError(f"recipe.learning_rate={self.learning_rate!r} must be above 0.")
        kinds: dict[str, Any] = {"schedule": Schedule, "precision": Precision, "algorithm": Algorithm}
        for name, choices in ((name, get_args(kind)) for name, kind in kinds.items()):
            if (value := getattr(self, name)) not in choices:
                raise CornetError(f"recipe.{name}={value!r} is unknown; choose one of {', '.join(choices)}.")
        if any(not isinstance(one, int) or one < 1 for one in self.divide_at) or (
            self.divide_at and (self.schedule != "divide" or self.divide_every is not None)
        ):
            raise CornetError(
                f"recipe.divide_at={list(self.divide_at)} must be whole epochs, with schedule=divide and "
                "divide_every=null; give for example [30, 60, 80]."
            )
        if self.schedule == "divide" and not self.divide_at and (self.divide_every or 0) < 1:
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
        if self.algorithm == "adam":
            self.check_adam()
        if self.nesterov and not self.momentum:
            raise CornetError("recipe.nesterov=true needs recipe.momentum above 0; set it to false.")
        if self.batch_size % self.accumulate:
            raise CornetError(
                f"recipe.accumulate={self.accumulate} does not divide recipe.batch_size={self.batch_size}; set it to a "
                "divisor."
            )
        if self.memory_budget is not None:
            if not 0 <= self.memory_budget <= 1:
                raise CornetError(f"recipe.memory_budget={self.memory_budget} must be a share from 0 to 1.")
            if not self.compile:
                raise CornetError(
                    f"recipe.memory_budget={self.memory_budget} requires the compiler; set recipe.compile=true, or "
                    "use recipe.accumulate to save memory."
                )
        check_average(self.average)
        check_sizes(self.sizes, self.epochs)

    def check_adam(self) -> None:
        """Raise CornetError for values that Adam cannot use."""
        for name in ("momentum", "second_moment"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise CornetError(
                    f"recipe.{name}={value} must be from 0 to below 1 with recipe.algorithm=adam."
                )
        if self.nesterov:
            raise CornetError("recipe.nesterov=true belongs to recipe.algorithm=sgd; set it to false.")

    def optimiser(self, net: nn.Module) -> torch.optim.Optimizer:
        """Create SGD or Adam over the network's parameters, fused if the device supports it.

        Not fused in 16-mixed with clipping, where a fused step would see scaled gradients.
        """
        devices = {p.device.type for p in net.parameters()}
        unscaled_first = self.precision == "16-mixed" and self.clip is not None
        groups = parameter_groups(net, self.weight_decay, self.decay_norms_and_biases, self.rates)
        fused = devices <= FUSED and not unscaled_first
        if self.algorithm == "adam":
            moments = (self.momentum, self.second_moment)
            return torch.optim.Adam(groups, lr=self.learning_rate, betas=moments, fused=fused)
        return torch.optim.SGD(
            groups, lr=self.learning_rate, momentum=self.momentum, nesterov=self.nesterov, fused=fused
        )


def parameter_groups(
    net: nn.Module, weight_decay: float, decay_all: bool, rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Group the parameters by weight decay: one group for all, or no decay for norms (by type) and biases.

    rates: factors of the learning rate by area or module; there is then a group for each factor, with the key "factor".
    """
    groups = decay_groups(net, weight_decay, decay_all)
    if not rates:
        return groups
    factors = {id(p): rate_factor(name, rates) for name, p in net.named_parameters()}
    found = []
    for group in groups:
        for factor in sorted({factors[id(p)] for p in group["params"]}):
            chosen = [p for p in group["params"] if factors[id(p)] == factor]
            found.append({**group, "params": chosen, "factor": factor})
    return found


def decay_groups(net: nn.Module, weight_decay: float, decay_all: bool) -> list[dict[str, Any]]:
    """Group the parameters by weight decay."""
    if decay_all:
        return [{"params": list(net.parameters()), "weight_decay": weight_decay}]
    undecayed = {id(p) for m in net.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)}
    undecayed |= {id(p) for name, p in net.named_parameters() if name.endswith("bias")}
    return [
        {"params": [p for p in net.parameters() if id(p) not in undecayed], "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if id(p) in undecayed], "weight_decay": 0.0},
    ]


def learning_rate_factor(recipe: Recipe, step: int, steps_per_epoch: float) -> float:
    """Return the factor of the maximal learning rate at a step (from 0)."""
    epoch = step / steps_per_epoch
    if epoch < recipe.warmup:
        return (step + 1) / (recipe.warmup * steps_per_epoch + 1)
    if recipe.schedule == "divide" and recipe.divide_at:
        return 0.1 ** sum(epoch + 1e-9 >= one for one in recipe.divide_at)
    if recipe.schedule == "divide":
        return 0.1 ** math.floor(epoch / (recipe.divide_every or 1) + 1e-9)
    if recipe.schedule == "constant":
        return 1.0
    share = min(1.0, (epoch - recipe.warmup) / (recipe.epochs - recipe.warmup))
    return 0.5 * (1.0 + math.cos(math.pi * share))
