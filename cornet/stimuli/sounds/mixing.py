"""Noise, and mixtures at a ratio of levels."""

import numpy as np

from cornet.errors import CornetError

__all__ = ["NOISES", "background_noise", "mix", "rms"]

LEVEL = 0.1
NOISES = ("white", "pink", "modulated")


def rms(sound: np.ndarray) -> float:
    """Root of the mean square of a sound."""
    return float(np.sqrt(np.mean(np.square(sound))))


def mix(foreground: np.ndarray, background: np.ndarray, snr_db: float, level: float = LEVEL) -> np.ndarray:
    """Add a background to a foreground, (sample,) each, at a ratio of powers in dB, and return a sound of rms `level`.

    Both lose their mean. With silence on one side the other is returned; two silent ones give silence. Rule of the
    public code of Feather et al. 2023. Raises CornetError for sounds of different lengths.
    """
    if foreground.shape != background.shape or foreground.ndim != 1:
        raise CornetError(
            f"sounds of shape {foreground.shape} and {background.shape} cannot be mixed; give (sample,) of one length."
        )
    front, back = foreground - foreground.mean(), background - background.mean()
    loud, soft = rms(front), rms(back)
    if loud and soft:
        back = back * (loud / (soft * 10 ** (snr_db / 20)))
    mixed = front + back
    return mixed * (level / rms(mixed)) if rms(mixed) else mixed


def background_noise(kind: str, rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """Noise (sample,): white; pink, with a power of 1/f above 20 Hz; or white and modulated at 2 to 10 Hz."""
    noise = rng.standard_normal(samples)
    if kind == "pink":
        hertz = np.fft.rfftfreq(samples, 1 / rate)
        return np.fft.irfft(np.fft.rfft(noise) / np.sqrt(np.maximum(hertz, 20)), samples)
    if kind == "modulated":
        times = np.arange(samples) / rate
        return np.asarray(
            noise * (1 + 0.9 * np.sin(2 * np.pi * (rng.uniform(2, 10) * times + rng.uniform())))
        )
    return noise
