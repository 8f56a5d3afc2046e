"""The operations of an HCNN layer on maps (batch, channel, y, x): filters, clipping, Lp pool, divisive normalisation.

Windows are odd. With same=True they are centred on each pixel and continue over the border: filters and pools read
zeros there, and a normalisation averages over the pixels that exist. With same=False there is no padding.

Pools and normalisations compute in float32 or wider, also under autocast.

Source: Bergstra, Yamins, Cox 2013 (ICML), who follow Pinto et al. 2009 (PLoS Comput. Biol. 5:e1000579).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DivisiveNorm", "FilterBank", "LpPool", "random_filters", "wide"]

TINY = 1e-12


def wide(x: Tensor) -> Tensor:
    """The tensor in float32, or in its own dtype if that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def random_filters(channels: int, below: int, size: int, seed: tuple[int, ...]) -> Tensor:
    """Draw filters (channel, below, y, x) in float32: uniform, then each with mean 0 and L2 norm 1.

    A filter of one weight, which would be 0, has the norm alone.
    """
    drawn = np.random.default_rng(seed).uniform(-1, 1, (channels, below * size * size))
    if below * size * size > 1:
        drawn -= drawn.mean(1, keepdims=True)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return torch.from_numpy(drawn.astype(np.float32)).view(channels, below, size, size)


class FilterBank(nn.Module):
    """Cross-correlation with filters, then clip(x, min_out, max_out).

    channels: number of filters. size: of the filters in pixels. seed: of `random_filters`, with which it starts.
    trained: whether the filters are parameters; otherwise they are a buffer of the same name.
    min_out, max_out: limits of the output; None: no limit.
    """

    weight: Tensor

    def __init__(
        self,
        below: int,
        channels: int,
        size: int,
        seed: tuple[int, ...],
        trained: bool = False,
        min_out: float | None = 0,
        max_out: float | None = None,
        same: bool = True,
    ):
        super().__init__()
        weight = torch.empty(channels, below, size, size)
        if not weight.is_meta:  # meta tensors have no data
            weight.copy_(random_filters(channels, below, size, seed))
        if trained:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)
        self.min_out, self.max_out = min_out, max_out
        self.padding = size // 2 if same else 0

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, padding=self.padding)
        limited = self.min_out is not None or self.max_out is not None
        return x.clamp(self.min_out, self.max_out) if limited else x


class LpPool(nn.Module):
    """(sum of x^power over a window)^(1 / power), every second pixel.

    power: 1 or more. 1 is the sum, with signs; other powers read |x|, which is the same for even ones.

    x is divided by its maximum over the image, so that x^10 neither overflows nor vanishes; a result below a thousandth
    of this maximum is inexact with power 10. The gradient at 0 is finite.
    """

    def __init__(self, size: int, power: float = 1, same: bool = True):
        super().__init__()
        self.size, self.power = size, float(power)
        self.padding = size // 2 if same else 0

    def forward(self, x: Tensor) -> Tensor:
        x = wide(x)
        if self.power == 1:
            return self.sum(x)
        scale = x.detach().abs().amax((1, 2, 3), keepdim=True).clamp(min=TINY)
        floor = max(1e-30, 1e-6**self.power)
        total = self.sum((x / scale).abs().pow(self.power))
        return scale * (total + floor).pow(1 / self.power)

    def sum(self, x: Tensor) -> Tensor:
        """Sums over the windows."""
        return F.avg_pool2d(x, self.size, 2, self.padding) * self.size**2


class DivisiveNorm(nn.Module):
    """Division by the L2 norm of a window over all channels.

    m is x, or x minus the mean of its window over all channels if remove_mean; n is the L2 norm of the window, without
    this mean if remove_mean. The result is m / n where stretch n is at least the threshold, else stretch m.
    """

    def __init__(
        self,
        window: int,
        stretch: float = 1,
        threshold: float = 1,
        remove_mean: bool = False,
        same: bool = True,
    ):
        super().__init__()
        self.window, self.same = window, same
        self.stretch, self.threshold, self.remove_mean = float(stretch), float(threshold), bool(remove_mean)

    def forward(self, x: Tensor) -> Tensor:
        x = wide(x)
        if self.remove_mean:
            x = x - x.mean((1, 2, 3), keepdim=True)  # changes nothing, but keeps the difference below exact
        square, centre = self.mean(x.square().mean(1, keepdim=True)), self.inside(x)
        if self.remove_mean:
            mean = self.mean(x.mean(1, keepdim=True))
            square, centre = square - mean.square(), centre - mean
        norm = self.stretch * (square * (self.window**2 * x.shape[1])).clamp(min=TINY**2).sqrt()
        return self.stretch * centre / torch.where(norm >= self.threshold, norm, 1.0)

    def mean(self, x: Tensor) -> Tensor:
        """Means over the windows."""
        padding = self.window // 2 if self.same else 0
        return F.avg_pool2d(x, self.window, 1, padding, count_include_pad=False)

    def inside(self, x: Tensor) -> Tensor:
        """The pixels that have a whole window around them; with same=True all."""
        edge = 0 if self.same else self.window // 2
        return x[..., edge : x.shape[-2] - edge, edge : x.shape[-1] - edge]
