"""V1 with fixed weights: a bank of Gabor filters, simple and complex cells, and neuronal noise.

    images in the published scale -> filters -> cells -> noise -> trained 1x1 convolution

* Simple cell: ReLU of its filter. Complex cell: sqrt(q0^2 + q1^2) / sqrt(2) of a filter and its quadrature partner.
  Both have a gain of 25, which is part of the kernels (small kernels would lose digits in half precision).
* Noise: a response x is converted to r = .35 x + .07; normal noise of variance ReLU(r) + .0001 is added (as in neurons,
  the variance is about the mean); the sum is converted back to the units of x and rectified. Also in evaluation.
* A filter reads one colour channel, but is stored with all channels (zeros in the others), so that the state dict is
  complete. On a CPU, this dense convolution takes 1.1 times (channels last) to 1.5 times (channels first) as long as
  one convolution per colour.

Sources: Dapello, Marques et al. 2020 (NeurIPS); for the filter parameters see `cornet.models.cornet.gabor_bank`.
"""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.cornet.areas import Size, conv_macs, output_size
from cornet.models.cornet.gabor_bank import check_frequencies, draw_bank, gabor_kernels
from cornet.sizes import check_positive, check_positive_int
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["GaborArea"]

GAIN = 25.0
SCALE, LEVEL, EPSILON = 0.35, 0.07, 1e-4
MEAN, STD = 0.5, 0.5
"""Normalisation of pixels 0..1 in the published scale; zero padding is therefore mid-grey."""


class GaborArea(nn.Module):
    """V1 as fixed Gabor filters: simple and complex cells with neuronal noise, then a trained 1x1 convolution.

    channels: number of output channels.
    simple, complex: number of cells. Filters are buffers: in the state dict, but not trained.
    pixels_per_degree: resolution of the images (published: 28, as 224 pixels span 8 degrees); must exceed 16.
    kernel, stride: of the filters, in pixels; the kernel is odd.
    noise: add noise to responses, in training and evaluation; this attribute may be changed later. Noise comes from
        torch's generator of the device, new for each image, unless `fix_noise` was called.
    seed: seed of the filters, independent of torch's generator.
    mean, std: normalisation of the images (pixels 0..1), per channel. It is converted to the published .5 and .5.
        For grey images (one channel), three numbers are averaged.

    In half precision, only the filters run in half precision; cells and noise are computed in float32.
    Raises CornetError for invalid arguments.
    """

    drive_depth, step_depth = 2, 0
    filters: Tensor
    input_scale: Tensor
    input_shift: Tensor
    noise_seed: Tensor | None

    def __init__(
        self,
        in_channels: int,
        channels: int,
        simple: int = 256,
        complex: int = 256,
        pixels_per_degree: float = 28.0,
        kernel: int = 25,
        stride: int = 4,
        noise: bool = True,
        seed: int = 0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__()
        for word, value in (("in_channels", in_channels), ("channels", channels), ("stride", stride)):
            check_positive_int(word, value)
        for word, value in (("simple", simple), ("complex", complex), ("seed", seed)):
            check_non_negative_int(word, value)
        check_cells(simple, complex, kernel)
        check_positive("pixels_per_degree", pixels_per_degree)
        check_frequencies(pixels_per_degree)
        self.in_channels, self.channels = in_channels, channels
        self.simple, self.complex = simple, complex
        self.pixels_per_degree, self.kernel, self.stride = pixels_per_degree, kernel, stride
        self.noise, self.seed = noise, seed
        means, stds = per_channel("mean", mean, in_channels), per_channel("std", std, in_channels)
        for deviation in stds:
            check_positive("std", deviation)
        self.register_buffer("filters", torch.empty(simple + 2 * complex, in_channels, kernel, kernel))
        self.register_buffer("input_scale", torch.empty(in_channels, 1, 1))
        self.register_buffer("input_shift", torch.empty(in_channels, 1, 1))
        self.register_buffer("noise_seed", None, persistent=False)
        self.conv = nn.Conv2d(simple + complex, channels, 1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.filters.is_meta:
            return  # meta tensors have no data
        self.filters.copy_(torch.from_numpy(self.make_filters()))
        self.input_scale.copy_(torch.tensor([std / STD for std in stds]).view(-1, 1, 1))
        self.input_shift.copy_(torch.tensor([(mean - MEAN) / STD for mean in means]).view(-1, 1, 1))

    def make_filters(self) -> np.ndarray:
        """Make (filter, colour, y, x) kernels: simple cells, complex cells, quadrature partners of the latter."""
        bank = draw_bank(self.simple + self.complex, self.in_channels, self.seed)
        first = gabor_kernels(bank, self.kernel, self.pixels_per_degree)
        partner = gabor_kernels(bank, self.kernel, self.pixels_per_degree, shift=90)[self.simple :]
        colour = np.concatenate([bank.colour, bank.colour[self.simple :]])
        seen = np.eye(self.in_channels)[colour][:, :, None, None]
        return GAIN * seen * np.concatenate([first, partner])[:, None]

    def cells(self, below: Tensor) -> Tensor:
        """Responses (batch, cell, y, x) of simple, then complex cells to normalised images (batch, colour, y, x)."""
        images = below * self.input_scale + self.input_shift
        filtered = F.conv2d(images, self.filters, stride=self.stride, padding=self.kernel // 2)
        wide = filtered.to(torch.promote_types(filtered.dtype, torch.float32))
        simple, first, partner = wide.split([self.simple, self.complex, self.complex], dim=1)
        responses = torch.cat([F.relu(simple), amplitude(first, partner) / math.sqrt(2)], dim=1)
        if self.noise:
            responses = add_noise(responses, self.normals(responses))
        return responses.to(filtered.dtype)

    def normals(self, responses: Tensor) -> Tensor:
        """Draw standard normals: new ones, or (after `fix_noise`) the same for all images."""
        if self.noise_seed is None:
            # Channels first: the same numbers in both layouts, and several times as fast as in channels last.
            return torch.randn(responses.shape, dtype=responses.dtype, device=responses.device)
        return fixed_normals(self.noise_seed, responses.shape[1:]).to(responses.dtype)

    def fix_noise(self, seed: int = 0) -> None:
        """Use the same noise for all images and on all devices from now on.

        It depends on the seed, the cell, the position and the map size; it is not in the state dict.
        Raises CornetError for a seed that is not an integer from 0 to 2^32 - 1.
        """
        check_non_negative_int("seed", seed)
        self.noise_seed = torch.tensor(seed, dtype=torch.int64, device=self.filters.device)

    def release_noise(self) -> None:
        """Draw new noise for each image again."""
        self.noise_seed = None

    def drive(self, below: Tensor, step: int) -> Tensor:
        return self.conv(self.cells(below))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        return drive

    def work(self, size: Size, drives: int, steps: int) -> tuple[int, Size]:
        size = output_size(size, self.stride)
        filters = (self.simple + 2 * self.complex) * self.kernel**2 * math.prod(size)
        return drives * (filters + conv_macs(self.conv, size)[0]), size

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, simple={self.simple}, complex={self.complex}, kernel={self.kernel}, "
            f"stride={self.stride}, pixels_per_degree={self.pixels_per_degree:g}, noise={self.noise}"
        )


def amplitude(first: Tensor, partner: Tensor) -> Tensor:
    """sqrt(first^2 + partner^2), with gradient 0 where both are 0 (plain sqrt has an infinite gradient there)."""
    power = first.square() + partner.square()
    positive = power > 0
    return torch.where(positive, torch.where(positive, power, 1.0).sqrt(), 0.0)


def add_noise(responses: Tensor, normals: Tensor) -> Tensor:
    """Add noise whose variance equals the mean, in units of `SCALE` * response + `LEVEL`."""
    rates = SCALE * responses + LEVEL
    return F.relu((rates + (F.relu(rates) + EPSILON).sqrt() * normals - LEVEL) / SCALE)


def fixed_normals(seed: Tensor, size: Sequence[int]) -> Tensor:
    """Standard normals (channel, y, x) in float32 that depend only on `seed` and position, on any device.

    Uses a 32-bit integer hash (Wellons 2018, "lowbias32"), as compiled graphs support no generator; at most 5.3 sd.
    """
    place = torch.arange(math.prod(size), device=seed.device).view(*size)
    bits = hash_bits(hash_bits(place) + hash_bits(seed + 1)) >> 9
    return math.sqrt(2) * torch.erfinv((2 * bits + 1).to(torch.float32) / 2**23 - 1)


def hash_bits(numbers: Tensor) -> Tensor:
    """Hash integers (int64; only the low 32 bits count) to 0 .. 2^32 - 1. No product exceeds 63 bits."""
    numbers = numbers & 0xFFFFFFFF
    numbers = (numbers ^ (numbers >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    numbers = (numbers ^ (numbers >> 15)) * (0x846CA68B - 2**32) & 0xFFFFFFFF
    return numbers ^ (numbers >> 16)


def check_non_negative_int(word: str, value: Any) -> None:
    """Raise CornetError unless the value is an integer from 0 to 2^32 - 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= int(value) < 2**32:
        raise CornetError(f"{word}={value!r} must be a whole number, from 0 to {2**32 - 1}.")


def check_cells(simple: int, complex: int, kernel: Any) -> None:
    """Raise CornetError for a bank without cells, and for a kernel without a middle pixel."""
    if simple + complex == 0:
        raise CornetError("simple=0 and complex=0 leave no cells; give at least one.")
    check_positive_int("kernel", kernel)
    if kernel % 2 == 0:
        raise CornetError(f"kernel={kernel} must be odd, to have a middle pixel; give {kernel + 1}.")


def per_channel(word: str, values: Sequence[float], channels: int) -> list[float]:
    """Return one number per channel; for a single channel, the average of `values`."""
    numbers = list(values)
    if not all(isinstance(value, Real) and math.isfinite(value) for value in numbers):
        raise CornetError(f"{word}={numbers} must be numbers; give one for each channel of the images.")
    if channels == 1 and numbers:
        return [float(sum(numbers)) / len(numbers)]
    if len(numbers) != channels:
        raise CornetError(
            f"{word}={numbers} has {len(numbers)} numbers, but the images have in_channels={channels}; "
            "give one for each channel."
        )
    return [float(value) for value in numbers]
