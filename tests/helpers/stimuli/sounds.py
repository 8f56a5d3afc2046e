"""Sounds made by formulas, of which golden cochleagrams exist; see tests/golden/README.md."""

import zlib

import numpy as np


def mixture() -> np.ndarray:
    """Two seconds at 16 kHz: a rising harmonic sound with modulation, a sweep, noise and a click, (32000,)."""
    rate = 16_000
    times = np.arange(2 * rate) / rate
    phase = 2 * np.pi * np.cumsum(120 * 2 ** (times / 4)) / rate
    sound = sum(np.sin(k * phase) / k for k in range(1, 31))
    sound = sound * (1 + 0.8 * np.sin(2 * np.pi * 4 * times))
    sound = sound + 0.3 * np.sin(2 * np.pi * (500 * times + 750 * times**2))
    noise = np.random.default_rng(zlib.crc32(b"audio:noise"))
    sound += 0.05 * noise.standard_normal(2 * rate)
    sound[rate // 2] += 5
    return sound * 0.05


def formula_sounds(rate: int) -> dict[str, np.ndarray]:
    """Five sounds of two seconds: a tone, a click, a sweep, a modulated tone and noise, (2 rate,) each."""
    times = np.arange(2 * rate) / rate
    octaves = np.log(60) / 2
    click = np.zeros(2 * rate)
    click[rate] = 1
    values, value = np.empty(2 * rate), 12345
    for position in range(len(values)):
        value = (1664525 * value + 1013904223) % 2**32
        values[position] = value / 2**32 - 0.5
    level = 0.1 * np.sqrt(2)
    return {
        "tone1k": level * np.sin(2 * np.pi * 1000 * times),
        "click": click,
        "sweep": level * np.sin(2 * np.pi * 100 * (np.exp(octaves * times) - 1) / octaves),
        "am": 0.1 * (1 + np.cos(16 * np.pi * times)) * np.sin(1000 * np.pi * times),
        "lcg": values * 0.1 / np.sqrt((values**2).mean()),
    }
