"""Image filters as subjects: pixels, and a bank of Gabor filters. They are baselines for networks."""

import contextlib
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cornet.brain.subjects.base import ScreenSubject
from cornet.brain.subjects.record.recording import Extractor
from cornet.brain.subjects.record.sketch import sketch_rows
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.hashing import digest

__all__ = ["GaborSubject", "PixelSubject"]

LUMINANCE = (0.299, 0.587, 0.114)


class _FilterSubject(ScreenSubject):
    """A subject with one site, used for every region and time."""

    layer: str

    @property
    def identity(self) -> str:
        """Hash of the settings, as filters have no weights."""
        return digest(type(self).__name__, self._settings())

    def sites(self) -> list[Site]:
        return [Site(self.layer)]

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        return Site(self.layer)

    def readout_site(self) -> Site:
        return Site(self.layer)

    @contextlib.contextmanager
    def _extractor(self, sites: Sequence[Site]) -> Iterator[tuple[Extractor, torch.device]]:
        device = self._recording_device()

        def extract(images: Tensor, sites: Sequence[Site]) -> dict[Site, Tensor]:
            return dict.fromkeys(sites, sketch_rows(self.features(images), self.sketch))

        with torch.inference_mode():
            yield extract, device

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features (batch, feature) of screens (batch, 3, size, size) uint8."""


class PixelSubject(_FilterSubject):
    """The pixels of the screen, 0..1. At 32 x 32: 3,072 features in colour, 1,024 in grey.

    color: False for luminance only. size, degrees, device: as in `NetworkSubject`. Raises CornetError for a size
    below 1.
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
        x = x if self.color else _luminance(x)[:, None]
        self._shapes[Site(self.layer)] = tuple(x.shape[1:])
        return x.flatten(1)


class GaborSubject(_FilterSubject):
    """Gabor energy of quadrature pairs, and opponent colours, pooled on a grid: an untrained V1.

    Luminance is filtered with complex filters in the Fourier domain. Each filter is a Gaussian in log spatial frequency
    (sd ln 1 / .55, a log-Gabor of about 1.4 octaves) and in orientation (sd .6 of the step between neighbours). It
    covers one half-plane only, so the real and imaginary parts of its response are a quadrature pair, and the modulus
    is the local energy, independent of phase. The modulus is averaged over grid x grid cells of the screen. The means
    of luminance, red - green and blue - yellow over the same cells are appended.

    frequencies: cycles per screen, at most size / 4; at 8 degrees, 2, 4, 8, 16 are .25 to 2 cycles per degree.
    orientations: number of orientations. grid: cells per side. size, degrees, device: as in `NetworkSubject`.
    Features: (frequencies x orientations + 3) x grid^2, 2,240 by default. Filters: Field (1987), JOSA A 4.

    Raises CornetError for frequencies above size / 4 or below 1, and for other numbers below 1.
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
                "pixels; remove others, or use a larger size."
            )
        if orientations < 1 or not 1 <= grid <= self.size // 4:
            raise CornetError(
                f"orientations={orientations} and grid={grid} must be at least 1, and grid at most {self.size // 4}."
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
        for passed, filters in self._bank(images.device):
            # A low-frequency filter passes low frequencies only, so its response is computed on a coarser grid.
            band = spectrum[:, passed][:, :, passed][:, None]
            energy = torch.fft.ifft2(band * filters).abs() * (len(passed) / self.size) ** 2
            parts.append(F.adaptive_avg_pool2d(energy, self.grid).flatten(1))
        red, green, blue = x.unbind(1)
        opponent = torch.stack([grey, red - green, blue - (red + green) / 2], dim=1)
        parts.append(F.adaptive_avg_pool2d(opponent, self.grid).flatten(1))
        channels = sum(part.shape[1] for part in parts) // self.grid**2
        self._shapes[Site(self.layer)] = (channels, self.grid, self.grid)
        return torch.cat(parts, dim=1)

    def _bank(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """For each frequency: the rows and columns of the spectrum that pass, and filters (orientation, y, x)."""
        if str(device) not in self._banks:
            self._banks[str(device)] = [self._filters(frequency, device) for frequency in self.frequencies]
        return self._banks[str(device)]

    def _filters(self, frequency: float, device: torch.device) -> tuple[Tensor, Tensor]:
        half = min(self.size, max(2 * math.ceil(2.5 * frequency), 16, 2 * self.grid)) // 2
        passed = torch.cat([torch.arange(half), torch.arange(self.size - half, self.size)])
        cycles = torch.where(passed < half, passed, passed - self.size).float()
        fy, fx = torch.meshgrid(cycles, cycles, indexing="ij")
        radius = torch.hypot(fx, fy).clamp(min=1e-6)
        tuning = torch.exp(-(torch.log(radius / frequency) ** 2) / (2 * math.log(0.55) ** 2))
        tuning[0, 0] = 0  # no response to the mean
        step = math.pi / self.orientations
        filters = []
        for index in range(self.orientations):
            away = torch.remainder(torch.atan2(fy, fx) - index * step + math.pi, 2 * math.pi) - math.pi
            filters.append(tuning * torch.exp(-(away**2) / (2 * (0.6 * step) ** 2)))
        return passed.to(device), torch.stack(filters).to(device)


def _luminance(x: Tensor) -> Tensor:
    """Luminance (batch, y, x) of images (batch, 3, y, x)."""
    return torch.einsum("bcyx,c->byx", x, x.new_tensor(LUMINANCE))
