"""Cochleagrams: envelopes of a bank of filters, compressed, as a differentiable PyTorch module.

Two published systems differ in details that change the values. `kell_2018`: Kell et al. 2018 (Neuron 98:630), as its
public demo computes it. `feather_2023`: Feather et al. 2023 (Nature Neuroscience 26:2017). `small` is `kell_2018` with
fewer filters for clips of one second.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import firwin
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.stimuli.sounds.erb_filters import erb_filters

__all__ = ["COCHLEAGRAMS", "Cochleagram", "CochleagramSettings"]

KAISER = 5.0
SINC_TAPS = 1001
FLOOR = 1e-8  # of the envelope of feather_2023, and the offset before its compression


@dataclass(frozen=True)
class CochleagramSettings:
    """What a cochleagram is computed from.

    rate: Hz. samples: of a clip. filters, low, high, factor: of the bank, see `erb_filters`. pad: zeros appended before
    filtering, which is circular. envelope_rate: frames per second. power: of the compression. system: which
    downsampling and which factor of the envelope. slope_limit: limit of the gradient of the compression
    (feather_2023 only; None: no limit). short: compute each envelope by the shortest inverse FFT.
    """

    rate: int
    samples: int
    filters: int
    low: float
    high: float
    factor: int
    pad: int
    envelope_rate: int
    power: float = 0.3
    system: Literal["kell_2018", "feather_2023"] = "kell_2018"
    slope_limit: float | None = 5.0
    short: bool = False


COCHLEAGRAMS = {
    "kell_2018": CochleagramSettings(16_000, 32_000, 50, 20.0, 8_000.0, 4, 2, 200),
    "feather_2023": CochleagramSettings(20_000, 40_000, 50, 50.0, 10_000.0, 4, 0, 200, system="feather_2023"),
    "small": CochleagramSettings(8_000, 8_000, 20, 50.0, 4_000.0, 2, 192, 100, short=True),
}
"""The published settings by name, and those of the embedded sounds, with 211, 211 and 45 channels."""


class Cochleagram(nn.Module):
    """Sounds (batch, sample) to cochleagrams (batch, channel, frame), of which channel 0 is the lowest.

    settings: those of a published system, or a name of `COCHLEAGRAMS`. changes: of single settings, by name.
    dtype: of the filters and the result.

    centres: of the channels in Hz. Silence gives 0 in kell_2018, and (2e-8)^.3 in feather_2023. Sounds are taken as
    they are; a gain g changes the result by g^.3. Raises CornetError for unknown settings, a rate that is not a
    multiple of the envelope's, and in `forward` for clips of another length.
    """

    responses: Tensor
    kernel: Tensor

    def __init__(
        self,
        settings: CochleagramSettings | str = "kell_2018",
        dtype: torch.dtype = torch.float32,
        **changes: Any,
    ) -> None:
        super().__init__()
        if isinstance(settings, str):
            if settings not in COCHLEAGRAMS:
                raise CornetError(
                    f"cochleagram {settings!r} is unknown; choose one of {', '.join(COCHLEAGRAMS)}."
                )
            settings = COCHLEAGRAMS[settings]
        try:
            settings = CochleagramSettings(**{**vars(settings), **changes})
        except TypeError as error:
            known = ", ".join(vars(settings))
            raise CornetError(f"a setting of {changes} is unknown; choose from {known}.") from error
        if settings.rate % settings.envelope_rate:
            raise CornetError(
                f"the rate {settings.rate} Hz must be a multiple of the envelope's, {settings.envelope_rate} Hz; "
                "change envelope_rate."
            )
        self.settings = settings
        self.padded = settings.samples + settings.pad
        bank = settings.rate, settings.filters, settings.low, settings.high, settings.factor
        responses, self.centres = erb_filters(self.padded, *bank)
        self.down = settings.rate // settings.envelope_rate
        self.length, self.firsts = self.padded, [0] * len(responses)
        if settings.short:
            self.firsts = [int(np.flatnonzero(row)[0]) for row in responses]
            widest = max(
                int(np.flatnonzero(row)[-1]) + 1 - first
                for row, first in zip(responses, self.firsts, strict=True)
            )
            # Twice the bins: the square of an envelope has twice the bandwidth of its filter.
            self.length = shortest(self.padded, 2 * widest, self.down)
            responses = np.stack(
                [
                    np.pad(row, (0, self.length))[first : first + self.length]
                    for row, first in zip(responses, self.firsts, strict=True)
                ]
            )
        kernel = resampling_kernel(settings, self.down, self.padded // self.length)
        self.register_buffer("responses", torch.tensor(responses, dtype=dtype), persistent=False)
        self.register_buffer("kernel", torch.tensor(kernel, dtype=dtype), persistent=False)

    def forward(self, sounds: Tensor) -> Tensor:
        return self.compress(self.downsample(self.envelopes(sounds)))

    def envelopes(self, sounds: Tensor) -> Tensor:
        """Envelopes before downsampling, (batch, channel, sample).

        With `short` at every n-th sample only, where n = padded length / length of the inverse FFT.
        """
        own = self.settings
        if sounds.ndim != 2 or sounds.shape[1] != own.samples:
            raise CornetError(
                f"sounds have the shape {tuple(sounds.shape)}, but must be (batch, {own.samples}): "
                f"{own.samples / own.rate:g} s at {own.rate} Hz; cut or resample them."
            )
        sounds = F.pad(sounds.to(self.responses.dtype), (0, own.pad))
        spectrum = torch.fft.rfft(sounds)
        if (
            own.system == "kell_2018"
        ):  # the analytic signal; the other system does not double positive frequencies
            spectrum = spectrum * self.doubling(spectrum)
        if own.short:
            spectrum = F.pad(spectrum, (0, self.length))
            parts = [spectrum[:, first : first + self.length] for first in self.firsts]
            filtered = torch.stack(parts, 1) * self.responses
        else:
            filtered = F.pad(spectrum[:, None] * self.responses, (0, self.padded - spectrum.shape[-1]))
        analytic = torch.fft.ifft(filtered) * (self.length / self.padded)
        kept = analytic[..., : -(-own.samples * self.length // self.padded)]
        if own.system == "feather_2023":
            power = kept.real.square() + kept.imag.square()
            return power.clamp(min=FLOOR**2).sqrt()
        return kept.abs()

    def doubling(self, spectrum: Tensor) -> Tensor:
        """Factors that make the spectrum of a real signal that of its analytic signal."""
        factors = torch.full((spectrum.shape[-1],), 2.0, dtype=self.responses.dtype, device=spectrum.device)
        factors[0] = 1
        if self.padded % 2 == 0:
            factors[-1] = 1
        return factors

    def downsample(self, envelopes: Tensor) -> Tensor:
        """Filter envelopes and take one frame in `rate` / `envelope_rate` samples."""
        ratio = self.padded // self.length
        step = self.down // ratio
        if (
            ratio > 1
        ):  # the sum over every ratio-th sample counts the first one (ratio - 1) / 2 times too often
            share = (ratio + 1) / (2 * ratio)
            envelopes = torch.cat([envelopes[..., :1] * share, envelopes[..., 1:]], -1)
        batch, channels, samples = envelopes.shape
        padding = 0 if self.settings.system == "feather_2023" else len(self.kernel) // 2
        found = F.conv1d(
            envelopes.reshape(-1, 1, samples), self.kernel[None, None], stride=step, padding=padding
        )
        return found.view(batch, channels, -1)

    def compress(self, frames: Tensor) -> Tensor:
        """Raise frames to the power; negative ones become 0."""
        if self.settings.system == "feather_2023":
            compressed: Tensor = Compression.apply(frames, self.settings.power, self.settings.slope_limit)
            return compressed
        return frames.clamp(min=0) ** self.settings.power


class Compression(torch.autograd.Function):
    """(max(x, 0) + 1e-8)^power; its gradient ignores the rectification and is limited."""

    @staticmethod
    def forward(context: Any, frames: Tensor, power: float, limit: float | None) -> Tensor:
        raised = frames.clamp(min=0) + FLOOR
        context.save_for_backward(raised)
        context.power, context.limit = power, limit
        return raised**power

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (raised,) = context.saved_tensors
        slope = context.power * raised ** (context.power - 1)
        if context.limit is not None:
            slope = slope.clamp(max=context.limit)
        return gradients[0] * slope, None, None


def resampling_kernel(settings: CochleagramSettings, down: int, ratio: int) -> np.ndarray:
    """The low-pass filter before frames are taken, for envelopes of which every `ratio`-th sample is known."""
    if settings.system == "feather_2023":
        times = (
            np.arange(SINC_TAPS) - SINC_TAPS / 2
        )  # half a sample beside the centre of the window, as published
        return np.kaiser(SINC_TAPS, KAISER) * np.sinc(times / down) / down
    kernel = firwin(2 * 10 * down + 1, 1 / down, window=("kaiser", KAISER))
    return kernel[::ratio] * ratio  # 10 down is a multiple of the ratio, so the centre stays


def shortest(padded: int, bins: int, down: int) -> int:
    """Length of the shortest inverse FFT of `bins` bins or more whose instants are samples and include the frames."""
    ratios = [ratio for ratio in range(1, down + 1) if padded % ratio == 0 and down % ratio == 0]
    return max((padded // ratio for ratio in ratios if padded // ratio >= bins), key=lambda n: -n)
