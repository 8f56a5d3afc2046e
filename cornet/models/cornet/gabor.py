"""V1 that is not learnt: a bank of Gabor filters, simple and complex cells, and the noise of neurons.

    images, in the published scale -> filters -> cells -> noise -> 1x1 convolution, which is trained

* Simple cell: ReLU of its filter. Complex cell: sqrt(q0^2 + q1^2) / sqrt(2) of a filter and its quadrature partner.
  Both times 25, which is in the kernels already (in half precision small kernels would lose digits).
* Noise: in units r = .35 x + .07 of a cell's response x, a normal of variance ReLU(r) + .0001: like a neuron's, as
  large as the mean. Then back to the units of x, and ReLU. It is there in evaluation as in training.
* A filter sees one colour channel. It is still stored with all of them, zeros in the others, so that a state dict holds
  all there is to know. The one dense convolution takes, on a CPU, 1.1 (channels last) to 1.5 times (channels first) as
  long as one for each colour.

Sources: Dapello, Marques et al. 2020 (NeurIPS); of the filters' parameters, see `cornet.models.cornet.gabor_bank`.
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
from cornet.models.cornet.areas import Size, conv_work, strided
from cornet.models.cornet.gabor_bank import check_frequencies, draw_bank, gabor_kernels
from cornet.models.cornet.variants import check_positive, check_whole
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["GaborArea"]

GAIN = 25.0
SCALE, LEVEL, EPSILON = 0.35, 0.07, 1e-4
MEAN, STD = 0.5, 0.5
"""Of pixels 0..1 in the published scale. The border that padding adds is mid-grey."""


class GaborArea(nn.Module):
    """V1 as fixed Gabor filters: simple and complex cells with neuronal noise, then a trained 1x1 convolution.

    channels: of its output.
    simple, complex: numbers of cells. The filters are buffers: in the state dict, never trained.
    pixels_per_degree: of the images (published: 224 pixels over 8 degrees, 28); above 16, see `check_frequencies`.
    kernel, stride: of the filters, in pixels; the kernel is odd.
    noise: whether responses are noisy, in training and in evaluation alike; an attribute that may be changed. The
        noise is torch's next normals on the device, new for each image, unless `fix_noise` was called.
    seed: of the filters, independent of torch's.
    mean, std: of pixels 0..1, with which the images were normalised, per channel. They are turned into the published
        .5 and .5. For one channel, grey, three numbers are averaged.

    Cells in half precision are computed in it up to the filters' outputs, and from there in float32.
    Raises CornetError for numbers outside these rules.
    """

    drive_depth, step_depth = 2, 0
    depth = 2
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
            check_whole(word, value)
        for word, value in (("simple", simple), ("complex", complex), ("seed", seed)):
            check_natural(word, value)
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
            return  # there is nothing to set
        self.filters.copy_(torch.from_numpy(self.drawn()))
        self.input_scale.copy_(torch.tensor([std / STD for std in stds]).view(-1, 1, 1))
        self.input_shift.copy_(torch.tensor([(mean - MEAN) / STD for mean in means]).view(-1, 1, 1))

    def drawn(self) -> np.ndarray:
        """(filter, colour, y, x) kernels: simple cells, complex cells, and the partners of these."""
        bank = draw_bank(self.simple + self.complex, self.in_channels, self.seed)
        first = gabor_kernels(bank, self.kernel, self.pixels_per_degree)
        partner = gabor_kernels(bank, self.kernel, self.pixels_per_degree, shift=90)[self.simple :]
        colour = np.concatenate([bank.colour, bank.colour[self.simple :]])
        seen = np.eye(self.in_channels)[colour][:, :, None, None]
        return GAIN * seen * np.concatenate([first, partner])[:, None]

    def cells(self, below: Tensor) -> Tensor:
        """Responses (batch, cell, y, x) to normalised images (batch, colour, y, x): simple cells, then complex."""
        images = below * self.input_scale + self.input_shift
        filtered = F.conv2d(images, self.filters, stride=self.stride, padding=self.kernel // 2)
        wide = filtered.to(torch.promote_types(filtered.dtype, torch.float32))
        lone, first, partner = wide.split([self.simple, self.complex, self.complex], dim=1)
        responses = torch.cat([F.relu(lone), amplitude(first, partner) / math.sqrt(2)], dim=1)
        if self.noise:
            responses = noisy(responses, self.normals(responses))
        return responses.to(filtered.dtype)

    def normals(self, responses: Tensor) -> Tensor:
        """What the noise is made of: new, or fixed and then the same for all images."""
        if self.noise_seed is None:
            # In the order of channels first: the same in either layout, and several times as fast as in channels last.
            return torch.randn(responses.shape, dtype=responses.dtype, device=responses.device)
        return fixed_normals(self.noise_seed, responses.shape[1:]).to(responses.dtype)

    def fix_noise(self, seed: int = 0) -> None:
        """From now on every cell at every place has one draw, the same for all images, on all devices.

        It follows from the seed, the cell and the place in a map of that size; it is not in the state dict.
        Raises CornetError for a seed that is not a whole number from 0 to 2^32 - 1.
        """
        check_natural("seed", seed)
        self.noise_seed = torch.tensor(seed, dtype=torch.int64, device=self.filters.device)

    def release_noise(self) -> None:
        """From now on the noise is new for each image again."""
        self.noise_seed = None

    def drive(self, below: Tensor, step: int) -> Tensor:
        return self.conv(self.cells(below))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        return drive

    def work(self, size: Size, drives: int, steps: int) -> tuple[int, Size]:
        size = strided(size, self.stride)
        filters = (self.simple + 2 * self.complex) * self.kernel**2 * math.prod(size)
        return drives * (filters + conv_work(self.conv, size)[0]), size

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, simple={self.simple}, complex={self.complex}, kernel={self.kernel}, "
            f"stride={self.stride}, pixels_per_degree={self.pixels_per_degree:g}, noise={self.noise}"
        )


def amplitude(first: Tensor, partner: Tensor) -> Tensor:
    """sqrt(first^2 + partner^2), with gradient 0 where both are 0 (of sqrt alone it would be infinite)."""
    power = first.square() + partner.square()
    there = power > 0
    return torch.where(there, torch.where(there, power, 1.0).sqrt(), 0.0)


def noisy(responses: Tensor, normals: Tensor) -> Tensor:
    """Responses with noise whose variance is their mean, in units of `SCALE` times a response plus `LEVEL`."""
    rates = SCALE * responses + LEVEL
    return F.relu((rates + (F.relu(rates) + EPSILON).sqrt() * normals - LEVEL) / SCALE)


def fixed_normals(seed: Tensor, size: Sequence[int]) -> Tensor:
    """Standard normals (channel, y, x) in float32 that follow from `seed` and place alone, on any device.

    By a 32-bit integer hash (Wellons 2018, "lowbias32"), as a compiled graph cannot hold a generator; at most 5.3 sd.
    """
    place = torch.arange(math.prod(size), device=seed.device).view(*size)
    bits = hashed(hashed(place) + hashed(seed + 1)) >> 9
    return math.sqrt(2) * torch.erfinv((2 * bits + 1).to(torch.float32) / 2**23 - 1)


def hashed(numbers: Tensor) -> Tensor:
    """Whole numbers (int64, the low 32 bits count) scattered over 0 to 2^32 - 1. No product exceeds 63 bits."""
    numbers = numbers & 0xFFFFFFFF
    numbers = (numbers ^ (numbers >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    numbers = (numbers ^ (numbers >> 15)) * (0x846CA68B - 2**32) & 0xFFFFFFFF
    return numbers ^ (numbers >> 16)


def check_natural(word: str, value: Any) -> None:
    """Refuse anything but a whole number from 0 to 2^32 - 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= int(value) < 2**32:
        raise CornetError(f"{word}={value!r} must be a whole number, from 0 to {2**32 - 1}.")


def check_cells(simple: int, complex: int, kernel: Any) -> None:
    """Refuse a bank of no cells, and kernels without a middle pixel."""
    if simple + complex == 0:
        raise CornetError("simple=0 and complex=0 leave no cell; give at least one of either.")
    check_whole("kernel", kernel)
    if kernel % 2 == 0:
        raise CornetError(f"kernel={kernel} must be odd, to have a middle pixel; give {kernel + 1}.")


def per_channel(word: str, values: Sequence[float], channels: int) -> list[float]:
    """One number for each channel of the images; for a single channel the average of those given."""
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
