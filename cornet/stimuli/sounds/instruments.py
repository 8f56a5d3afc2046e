"""Single notes and drum hits from formulas, (sample,) each, for made-up music."""

from collections.abc import Sequence

import numpy as np

__all__ = ["INSTRUMENTS", "drum", "note"]

Partials = Sequence[tuple[float, float, float]]

INSTRUMENTS: dict[str, tuple[Partials, float, float]] = {
    "organ": ([(h, h**-0.6, 0.0) for h in (1, 2, 3, 4, 6, 8)], 0.01, 0.0),
    "brass": ([(h, h**-0.9, 0.0) for h in range(1, 13)], 0.05, 1.5),
    "pluck": ([(h, h**-0.9, 1.5 * h) for h in range(1, 11)], 0.002, 3.0),
    "square": ([(h, h**-0.8, 0.0) for h in range(1, 16, 2)], 0.003, 2.0),
    "pad": ([(h * (1 + 0.004 * s), h**-0.9, 0.0) for h in range(1, 9) for s in (-1, 1)], 0.25, 0.0),
    "bell": ([(1.0, 1.0, 3.0), (2.76, 0.7, 5.0), (5.4, 0.5, 8.0)], 0.001, 0.0),
    "flute": ([(1, 1.0, 0.0), (2, 0.4, 0.0), (3, 0.2, 0.0), (4, 0.1, 0.0)], 0.06, 0.0),
}
"""Partials (multiple of the pitch, amplitude, decay per second), attack in s, and decay of the whole per second."""

VIBRATO = {"flute": 0.006, "organ": 0.002}
"""Depth as a share of the pitch, at 5.5 Hz."""


def note(instrument: str, hertz: float, seconds: float, rate: int) -> np.ndarray:
    """One note. Partials above 45 % of the rate are left out."""
    partials, attack, decay = INSTRUMENTS[instrument]
    times = np.arange(max(1, round(seconds * rate))) / rate
    swing = VIBRATO.get(instrument, 0.0) * np.sin(2 * np.pi * 5.5 * times)
    phase = 2 * np.pi * hertz * np.cumsum(1 + swing) / rate
    sound = np.zeros(len(times))
    for multiple, amplitude, own_decay in partials:
        if multiple * hertz < 0.45 * rate:
            wave = np.sin(multiple * phase)
            sound += amplitude * (wave * np.exp(-own_decay * times) if own_decay else wave)
    release = np.minimum(1, (times[-1] - times + 1 / rate) / 0.02)
    return np.asarray(sound * np.minimum(1, times / attack) * np.exp(-decay * times) * release)


def drum(kind: str, rng: np.random.Generator, rate: int, tuning: float = 1.0) -> np.ndarray:
    """One hit of a kick, a snare, a hat or a tom, .25 s. tuning: factor of pitches and decays."""
    times = np.arange(rate // 4) / rate
    noise = rng.standard_normal(len(times))
    if kind == "kick":
        sweep = 2 * np.pi * np.cumsum(50 * tuning * (1 + 2.5 * np.exp(-times / 0.02))) / rate
        return np.asarray(np.sin(sweep) * np.exp(-times / 0.09))
    if kind == "tom":
        return np.asarray(np.sin(2 * np.pi * 140 * tuning * times) * np.exp(-times / 0.12))
    bright = np.diff(noise, prepend=0)
    if kind == "snare":
        body = 0.5 * np.sin(2 * np.pi * 190 * tuning * times) * np.exp(-times / 0.06)
        return np.asarray(body + 0.5 * bright * np.exp(-times / (0.08 * tuning)))
    return np.asarray(0.4 * bright * np.exp(-times / (0.025 * tuning)))
