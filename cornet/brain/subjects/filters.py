"""Image filters as subjects: the pixels themselves, and a bank of Gabor filters. What a network has to beat."""

import contextlib
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cornet.brain.subjects.base import ScreenSubject
from cornet.brain.subjects.recording import Answer
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.hashing import digest

__all__ = ["GaborSubject", "PixelSubject"]

LUMINANCE = (0.299, 0.587, 0.114)


class _FilterSubject(ScreenSubject):
    """One site, which answers for every region and time."""

    layer: str

    @property
    def identity(self) -> str:
        """A hash of the settings: there are no weights."""
        return digest(type(self).__name__, self._settings())

    def sites(self) -> list[Site]:
        return [Site(self.layer)]

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        return Site(self.layer)

    def readout_site(self) -> Site:
        return Site(self.layer)

    @contextlib.contextmanager
    def _listening(self, sites: Sequence[Site]) -> Iterator[tuple[Answer, torch.device]]:
        device = self._where()

        def answer(images: Tensor, sites: Sequence[Site]) -> dict[Site, Tensor]:
            return dict.fromkeys(sites, self.features(images))

        with torch.inference_mode():
            yield answer, device

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """(batch, feature) of screens (batch, 3, size, size) uint8."""


class PixelSubject(_FilterSubject):
    """The pixels of the screen at 32 x 32, in 0..1: in colour 3 x 32 x 32 = 3,072 features, grey 1,024.

    color: False for luminance alone. size, degrees, device: as in `NetworkSubject`. Raises CornetError for a size of
    which no pixel is left.
    """

    layer = "pixels"

    def __init__(
        self,
        size: int = 32,
        color: bool = True,
        degrees: float = 8.0,
        device: torch.device | str | None = None,
        name: str = "pixels",
    ):
        super().__init__(name, size, degrees, device)
        self.color = color

    def _settings(self) -> list[Any]:
        return [*super()._settings(), self.color]

    def features(self, images: Tensor) -> Tensor:
        x = images.float() / 255
        return (x if self.color else _luminance(x)[:, None]).flatten(1)


class GaborSubject(_FilterSubject):
    """Quadrature-pair Gabor energy and opponent colours, pooled on a grid: a V1 without any training.

    Luminance goes through a bank of complex filters in the Fourier domain: each is a Gaussian in the logarithm of
    spatial frequency (sd ln 1 / .55, a log-Gabor of about 1.4 octaves) and in orientation (sd .6 of the step between
    neighbours), on one half of the plane only, so that real and imaginary part of its answer are a quadrature pair
    and their modulus is the local energy, whatever the phase. The modulus is averaged in grid x grid fields of the
    screen. Beside it stand the means of luminance, red - green and blue - yellow on the same grid.

    frequencies: cycles per screen (so at 8 degrees 2, 4, 8, 16 are .25 to 2 cycles a degree); at most size / 4.
    orientations, grid: numbers. Features: (frequencies x orientations + 3) x grid^2, 2,240 by default.
    size, degrees, device: as in `NetworkSubject`. Source of the filters: Field (1987), JOSA A 4.

    Raises CornetError for frequencies that the screen cannot show and for numbers below 1.
    """

    layer = "gabor"

    def __init__(
        self,
        size: int = 64,
        frequencies: Sequence[float] = (2, 4, 8, 16),
        orientations: int = 8,
        grid: int = 8,
        degrees: float = 8.0,
        device: torch.device | str | None = None,
        name: str = "gabor",
    ):
        super().__init__(name, size, degrees, device)
        self.frequencies = tuple(float(value) for value in frequencies)
        if not self.frequencies or not all(1 <= value <= self.size / 4 for value in self.frequencies):
            raise CornetError(
                f"frequencies={list(frequencies)} must be 1 to {self.size / 4:g} cycles per screen of {self.size} "
                "pixels; leave others out, or take a larger size."
            )
        if orientations < 1 or not 1 <= grid <= self.size // 4:
            raise CornetError(
                f"orientations={orientations} and grid={grid} must be at least 1, grid at most {self.size // 4}."
            )
        self.orientations, self.grid = orientations, grid
        self._banks: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def _settings(self) -> list[Any]:
        return [*super()._settings(), self.frequencies, self.orientations, self.grid]

    def features(self, images: Tensor) -> Tensor:
        x = images.float() / 255
        grey = _luminance(x)
        spectrum = torch.fft.fft2(grey - grey.mean(dim=(-2, -1), keepdim=True))
        parts = []
        for kept, filters in self._bank(images.device):
            # Only low frequencies pass a low filter, so its answer is computed on a coarser grid.
            few = spectrum[:, kept][:, :, kept][:, None]
            energy = torch.fft.ifft2(few * filters).abs() * (len(kept) / self.size) ** 2
            parts.append(F.adaptive_avg_pool2d(energy, self.grid).flatten(1))
        red, green, blue = x.unbind(1)
        opponent = torch.stack([grey, red - green, blue - (red + green) / 2], dim=1)
        parts.append(F.adaptive_avg_pool2d(opponent, self.grid).flatten(1))
        return torch.cat(parts, dim=1)

    def _bank(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """For each frequency: which rows and columns of the spectrum it needs, and (orientation, y, x) filters."""
        if str(device) not in self._banks:
            self._banks[str(device)] = [self._filters(frequency, device) for frequency in self.frequencies]
        return self._banks[str(device)]

    def _filters(self, frequency: float, device: torch.device) -> tuple[Tensor, Tensor]:
        half = min(self.size, max(2 * math.ceil(2.5 * frequency), 16, 2 * self.grid)) // 2
        kept = torch.cat([torch.arange(half), torch.arange(self.size - half, self.size)])
        cycles = torch.where(kept < half, kept, kept - self.size).float()
        fy, fx = torch.meshgrid(cycles, cycles, indexing="ij")
        radius = torch.hypot(fx, fy).clamp(min=1e-6)
        tuning = torch.exp(-(torch.log(radius / frequency) ** 2) / (2 * math.log(0.55) ** 2))
        tuning[0, 0] = 0  # no answer to the mean
        step = math.pi / self.orientations
        filters = []
        for index in range(self.orientations):
            away = torch.remainder(torch.atan2(fy, fx) - index * step + math.pi, 2 * math.pi) - math.pi
            filters.append(tuning * torch.exp(-(away**2) / (2 * (0.6 * step) ** 2)))
        return kept.to(device), torch.stack(filters).to(device)


def _luminance(x: Tensor) -> Tensor:
    """(batch, y, x) of (batch, 3, y, x)."""
    return torch.einsum("bcyx,c->byx", x, x.new_tensor(LUMINANCE))
