"""Normalisation that may differ from one time step to the next ("unshared", Kubilius et al. 2019)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cornet.errors import CornetError

__all__ = ["Beyond", "NormMode", "SteppedNorm"]

NormMode = Literal["per_step", "shared", "shared_affine", "group"]
Beyond = Literal["last", "refuse"]
MAX_GROUPS = 32


def group_count(channels: int) -> int:
    """The largest divisor of `channels` that is at most 32 (the published number of groups)."""
    return max(g for g in range(1, MAX_GROUPS + 1) if channels % g == 0)


class SteppedNorm(nn.Module):
    """A norm that knows the time step.

    channels: channels of the (batch, channel, y, x) maps.
    steps: number of time steps it is trained for; None for a norm that is used once per image.
    mode: "per_step" owns one BatchNorm per step, with weight, bias and running statistics of its own;
        "shared" one BatchNorm for all steps; "shared_affine" one weight and bias, with running
        statistics per step; "group" one GroupNorm of at most 32 groups.
    beyond: what a step later than the trained ones does: "last" uses the last step's norm, "refuse" raises.

    Eps 1e-5 and BatchNorm momentum .1, as published.
    """

    def __init__(
        self,
        channels: int,
        steps: int | None = None,
        mode: NormMode = "per_step",
        beyond: Beyond = "last",
    ):
        super().__init__()
        if mode not in get_args(NormMode):
            raise CornetError(f"norm={mode!r} is unknown; choose one of {', '.join(get_args(NormMode))}.")
        if beyond not in ("last", "refuse"):
            raise CornetError(f"beyond={beyond!r} is unknown; choose last or refuse.")
        self.mode = mode
        self.steps = steps
        self.beyond = beyond
        own = steps or 1 if mode in ("per_step", "shared_affine") else 1
        if mode == "group":
            self.norms = nn.ModuleList([nn.GroupNorm(group_count(channels), channels)])
        else:
            self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(own))
        if mode == "shared_affine":
            for norm in self.norms[1:]:
                norm.weight, norm.bias = self.norms[0].weight, self.norms[0].bias

    @property
    def numbered(self) -> bool:
        """Whether each step has entries of its own in a state dict."""
        return self.steps is not None and self.mode in ("per_step", "shared_affine")

    @property
    def static(self) -> bool:
        """Whether the same input gives the same output at every step, and no statistics are kept."""
        return self.mode == "group"

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        """Normalise x (batch, channel, y, x) as of `step` (from 0). Raises CornetError beyond the trained steps."""
        if self.beyond == "refuse" and step >= (self.steps or 1):
            raise CornetError(
                f"step {step + 1} is beyond the {self.steps or 1} trained steps of a norm with beyond=refuse; "
                "run fewer steps, or build the network with beyond=last."
            )
        return self.norms[min(step, len(self.norms) - 1)](x)

    def extra_repr(self) -> str:
        return f"mode={self.mode}, steps={self.steps}, beyond={self.beyond}"


def zero_like_map(images: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """A map of zeros (batch, channels, y, x) with the images' batch, dtype and device."""
    return torch.zeros(images.shape[0], channels, *size, dtype=images.dtype, device=images.device)
