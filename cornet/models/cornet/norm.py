"""Normalisation that can differ between time steps ("unshared" in Kubilius et al. 2019)."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError, check_choice

__all__ = ["LaterSteps", "NormMode", "SteppedNorm"]

NormMode = Literal["per_step", "shared", "shared_affine", "group"]
LaterSteps = Literal["last", "refuse"]
MAX_GROUPS = 32


def group_count(channels: int) -> int:
    """Largest divisor of `channels` up to 32, the published number of groups."""
    return max(g for g in range(1, MAX_GROUPS + 1) if channels % g == 0)


class SteppedNorm(nn.Module):
    """A norm that depends on the time step.

    channels: channels of the (batch, channel, y, x) maps.
    steps: number of time steps to train for; None for a norm that runs once per image.
    mode: "per_step": one BatchNorm per step, each with its own weight, bias and running statistics;
        "shared": one BatchNorm for all steps; "shared_affine": one weight and bias (those of the first
        step's norm), with running statistics per step; "group": one GroupNorm of at most 32 groups.
    later_steps: behaviour at steps later than the trained ones: "last" uses the last step's norm, "refuse" raises.
    first_driven: first step (from 0) at which the maps depend on the image. Before it, they are the same for all
        images (a batch of one), so there are no statistics over images. BatchNorm modes then normalise the map by
        its own mean and variance over y and x, in training and evaluation, without running statistics. This equals
        BatchNorm in training on copies of one map. Running statistics would lag behind the weights, and evaluation
        would divide by a variance near 0.

    Eps 1e-5 and BatchNorm momentum .1, as published. Raises CornetError for an unknown mode.
    """

    def __init__(
        self,
        channels: int,
        steps: int | None = None,
        mode: NormMode = "per_step",
        later_steps: LaterSteps = "last",
        first_driven: int = 0,
    ):
        super().__init__()
        for word, value, known in (("norm", mode, NormMode), ("later_steps", later_steps, LaterSteps)):
            check_choice(word, value, get_args(known))
        self.mode = mode
        self.steps = steps
        self.later_steps = later_steps
        self.first_driven = first_driven
        self.norms = nn.ModuleList()
        if mode == "group":
            self.norms.append(nn.GroupNorm(group_count(channels), channels))
            return
        for step in range(1 if steps is None or mode == "shared" else steps):
            self.norms.append(nn.BatchNorm2d(channels, affine=mode != "shared_affine" or step == 0))

    @property
    def has_entries_per_step(self) -> bool:
        """Whether the state dict has separate entries for each step."""
        return self.steps is not None and self.mode in ("per_step", "shared_affine")

    @property
    def static(self) -> bool:
        """Whether the norm is the same at every step and has no running statistics."""
        return self.mode == "group"

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        """Normalise x (batch, channel, y, x) at `step` (from 0). Raises CornetError for a refused step."""
        trained = self.steps or 1
        if self.later_steps == "refuse" and step >= trained:
            raise CornetError(
                f"step {step + 1} is later than the {trained} trained steps of a norm with later_steps=refuse; "
                "run fewer steps, or build the network with later_steps=last."
            )
        norm = self.norms[min(step, len(self.norms) - 1)]
        # The same values as `norm(x)`, without PyTorch's check of the batch, which would fix its size in an export.
        alone = self.mode == "group" and (torch.compiler.is_exporting() or len(x) == 1)
        if step < self.first_driven or alone:
            return normalise_single(x, norm, self.norms[0] if self.mode == "shared_affine" else norm)
        if self.mode != "shared_affine" or norm is self.norms[0]:
            return norm(x)
        return batch_norm_with_affine(self.norms[0], norm, x)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        return f"mode={self.mode}, steps={self.steps}, later_steps={self.later_steps}"


def batch_norm_with_affine(first: nn.BatchNorm2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """BatchNorm with the statistics of `norm` and the weight and bias of `first`."""
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return F.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        first.weight,
        first.bias,
        norm.training,
        norm.momentum or 0.0,
        norm.eps,
    )


def normalise_single(x: Tensor, norm: nn.Module, affine: nn.Module) -> Tensor:
    """Normalise x (1, channel, y, x) by its own mean and variance, then apply weight and bias of `affine`."""
    weight, bias, eps = affine.weight, affine.bias, norm.eps
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    assert isinstance(eps, float)
    if isinstance(norm, nn.GroupNorm):
        return torch.group_norm(x, norm.num_groups, weight, bias, eps)
    wide = x.to(torch.promote_types(x.dtype, weight.dtype))
    variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0, keepdim=True)
    scale = torch.rsqrt(variance + eps) * weight.view(-1, 1, 1)
    return ((wide - mean) * scale + bias.view(-1, 1, 1)).to(x.dtype)
