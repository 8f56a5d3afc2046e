"""The stages of the network, with the padding that TensorFlow calls SAME.

Map sizes are rounded up: out = ceil(in / stride). If the padding is odd, the smaller part stands before the map.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Conv", "FullyConnected", "Pool", "response_norm", "same_size"]

POOL, POOL_STRIDE = 3, 2


def same_size(size: Sequence[int], stride: int) -> tuple[int, int]:
    """The size (y, x) of a map after a stage of this stride."""
    return math.ceil(size[0] / stride), math.ceil(size[1] / stride)


def padding(maps: Tensor, kernel: int, stride: int) -> list[int]:
    """What `F.pad` needs: left, right, above, below."""
    sides = []
    for size in reversed(maps.shape[-2:]):
        whole = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        sides += [whole // 2, whole - whole // 2]
    return sides


class Conv(nn.Conv2d):
    """A convolution and rectification."""

    def __init__(self, below: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__(below, channels, kernel, stride)

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(F.pad(maps, padding(maps, self.kernel_size[0], self.stride[0]))).relu()


class Pool(nn.Module):
    """The maximum, or the mean without the padding, of 3 x 3 places at every second place."""

    def __init__(self, mean: bool = False) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, maps: Tensor) -> Tensor:
        sides = padding(maps, POOL, POOL_STRIDE)
        if not self.mean:
            return F.max_pool2d(F.pad(maps, sides, value=-math.inf), POOL, POOL_STRIDE)
        inside = F.pad(torch.ones_like(maps[:1, :1]), sides)
        return F.avg_pool2d(F.pad(maps, sides), POOL, POOL_STRIDE) / F.avg_pool2d(inside, POOL, POOL_STRIDE)


class FullyConnected(nn.Module):
    """A linear layer on all places and channels, in the order y, x, channel; rectification and dropout.

    Returns (batch, units, 1, 1).
    """

    def __init__(self, features: int, units: int, dropout: float) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(features, units), nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        flat = maps.permute(0, 2, 3, 1).flatten(1)
        found: Tensor = self.dropout(self.linear(flat).relu())
        return found[:, :, None, None]


def response_norm() -> nn.LocalResponseNorm:
    """x / (1 + .001 sum of x^2 over five channels)^.75; PyTorch divides alpha by the number of channels."""
    return nn.LocalResponseNorm(5, alpha=5e-3, beta=0.75, k=1.0)
