"""Normalisations of an olfactory layer, (batch, unit) to (batch, unit)."""

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["FixedActivity", "MeanCentre", "Norm", "OlsenNorm", "make_norm"]

Norm = Literal["none", "batch", "layer", "mean_centre", "fixed_activity", "olsen"]
SMALL = 1e-6
"""Added to sums over units, as in the public code."""


class OlsenNorm(nn.Module):
    """r x / (x + rho + m sum(x)) with r, rho and m for each unit, all trained (Olsen et al. 2010, exponent 1).

    Start and limits of n units: r n/2 in [n/10, n]; rho 0 in [0, 3]; m .99 in [.05, 2]. At rho = 0 its gradient is 0.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.r_max = nn.Parameter(torch.full((1, units), units / 2))
        self.rho = nn.Parameter(torch.zeros(1, units))
        self.m = nn.Parameter(torch.full((1, units), 0.99))

    def forward(self, x: Tensor) -> Tensor:
        r = self.r_max.clamp(self.units / 10, self.units)
        rho = self.rho.relu().clamp(max=3)
        total = x.sum(dim=1, keepdim=True) + SMALL
        return r * x / (x + rho + self.m.clamp(0.05, 2) * total)


class FixedActivity(nn.Module):
    """Scales each response pattern so that its sum is half the number of units."""

    def forward(self, x: Tensor) -> Tensor:
        return x.shape[1] / 2 * x / (x.sum(dim=1, keepdim=True) + SMALL)


class MeanCentre(nn.Module):
    """Subtracts the mean over units."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=1, keepdim=True)


def make_norm(name: Norm, units: int) -> nn.Module:
    """Return the norm of this name for a layer."""
    if name == "batch":
        return nn.BatchNorm1d(units)
    if name == "layer":
        return nn.LayerNorm(units)
    if name == "olsen":
        return OlsenNorm(units)
    return {"none": nn.Identity, "mean_centre": MeanCentre, "fixed_activity": FixedActivity}[name]()
