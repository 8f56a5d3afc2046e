"""Ten made-up spoken words, synthesised from formants: pairs of the same two syllables in both orders.

A word differs from its pair only in time, so that a mean spectrum tells the pair but hardly the word. Harmonics get
the gains of three resonators (Klatt 1980, JASA 67:971), consonants are bands of noise, and vowels have formants near
those of Peterson and Barney 1952 (JASA 24:175).
"""

from typing import NamedTuple

import numpy as np

__all__ = ["WORDS", "speak"]

WORDS = {
    "badi": ("ba", "di"),
    "diba": ("di", "ba"),
    "suma": ("su", "ma"),
    "masu": ("ma", "su"),
    "gobe": ("go", "be"),
    "bego": ("be", "go"),
    "shido": ("Si", "do"),
    "doshi": ("do", "Si"),
    "musa": ("mu", "sA"),
    "samu": ("sA", "mu"),
}
"""The syllables of each word: a consonant and a vowel; S as in she, A as in cat."""

VOWELS = {
    "a": (730, 1090, 2440),
    "i": (270, 2290, 3010),
    "u": (300, 870, 2240),
    "e": (530, 1840, 2480),
    "o": (570, 840, 2410),
    "A": (660, 1720, 2410),
}
"""Three formants, Hz."""

BANDWIDTHS = (80.0, 110.0, 160.0)  # Hz
GRID = 0.005  # seconds between the points of a track
SMOOTHING = 8  # points
NOISE_WIDTH = 350.0  # standard deviation, Hz


class Consonant(NamedTuple):
    """duration: shortest and longest, s. formants: Hz. voice, noise: amplitudes. band: centre of the noise, Hz."""

    duration: tuple[float, float]
    formants: tuple[float, float, float]
    voice: float
    noise: float
    band: float


CONSONANTS = {
    "b": Consonant((0.02, 0.04), (300, 700, 2300), 0.15, 0.5, 700),
    "d": Consonant((0.02, 0.04), (300, 1800, 2600), 0.15, 0.5, 1800),
    "g": Consonant((0.02, 0.04), (300, 1300, 2300), 0.15, 0.5, 1300),
    "s": Consonant((0.11, 0.11), (400, 1600, 2600), 0.0, 0.6, 3400),
    "S": Consonant((0.11, 0.11), (400, 1800, 2400), 0.0, 0.6, 2400),
    "m": Consonant((0.08, 0.08), (250, 1000, 2200), 0.5, 0.0, 1000),
}


def speak(word: str, rng: np.random.Generator, rate: int = 8000, seconds: float = 1.0) -> np.ndarray:
    """Return a word by a new speaker at a random time, (sample,) float64 with rms 1.

    rng: draws the size of the vocal tract, the pitch and its glide, the speed, the lengths and the onset.
    """
    samples, points = round(rate * seconds), round(seconds / GRID)
    tract, speed = rng.uniform(0.85, 1.2), rng.uniform(0.85, 1.15)
    formants = np.empty((points, 3))
    voice, noises = np.zeros(points), []
    parts: list[tuple[float, tuple[float, ...], float, float, float]] = []
    for syllable in WORDS[word]:
        own, vowel = CONSONANTS[syllable[0]], syllable[1]
        parts.append((rng.uniform(*own.duration) / speed, own.formants, own.voice, own.noise, own.band))
        parts.append((rng.uniform(0.14, 0.24) / speed, VOWELS[vowel], 1.0, 0.0, 0.0))
    lengths = [max(1, round(part[0] / GRID)) for part in parts]
    point = int(rng.integers(0, max(1, points - sum(lengths))))
    onset = point
    formants[:] = parts[0][1]
    for length, (_, own_formants, own_voice, noise, band) in zip(lengths, parts, strict=True):
        here = slice(point, point + length)
        formants[point:] = own_formants
        voice[here] = own_voice
        if noise:
            loudness = np.zeros(points)
            loudness[here] = noise
            noises.append((loudness, band))
        point += length
    within = np.clip((np.arange(points) - onset) / sum(lengths), 0, 1)
    octaves = rng.uniform(-0.3, 0.3) * within + 0.0144 * np.sin(2 * np.pi * 5 * GRID * np.arange(points))
    pitch = 90 * (240 / 90) ** rng.uniform() * 2**octaves
    sound = voiced(pitch, smooth(formants * tract), smooth(voice), rate, samples)
    sound /= max(np.sqrt((sound**2).mean()), 1e-12)
    for loudness, band in noises:
        sound += to_samples(smooth(loudness), samples) * noise_band(rng, samples, band * tract**0.5, rate)
    return sound / np.sqrt((sound**2).mean())


def voiced(
    pitch: np.ndarray, formants: np.ndarray, loudness: np.ndarray, rate: int, samples: int
) -> np.ndarray:
    """Harmonics of a pitch (point,), Hz, with the gains of resonators at formants (point, 3), (sample,)."""
    phase = 2 * np.pi * np.cumsum(to_samples(pitch, samples)) / rate
    turn = np.exp(1j * phase)
    wave, sound = turn.copy(), np.zeros(samples)
    for harmonic in range(1, int(rate / 2 / pitch.min()) + 1):
        gain = loudness * harmonic**-0.8 * (harmonic * pitch < 0.48 * rate)
        for number, bandwidth in enumerate(BANDWIDTHS):
            gain = gain * resonance(harmonic * pitch, formants[:, number], bandwidth, rate)
        sound += to_samples(gain, samples) * wave.real
        wave *= turn
    return sound


def resonance(hertz: np.ndarray, centre: np.ndarray, bandwidth: float, rate: int) -> np.ndarray:
    """Gain of a digital resonator, 1 at 0 Hz."""
    radius = np.exp(-np.pi * bandwidth / rate)
    angle, tuned = 2 * np.pi * hertz / rate, 2 * np.pi * centre / rate
    near = np.abs(1 - radius * np.exp(1j * (tuned - angle)))
    far = np.abs(1 - radius * np.exp(-1j * (tuned + angle)))
    return np.asarray(np.abs(1 - radius * np.exp(1j * tuned)) ** 2 / (near * far))


def smooth(track: np.ndarray) -> np.ndarray:
    """Smooth a track (point, ...) by a Hann window of 40 ms; its ends are extended."""
    window = np.hanning(SMOOTHING + 2)[1:-1]
    window /= window.sum()
    before = SMOOTHING // 2
    padded = np.pad(track, [(before, SMOOTHING - 1 - before)] + [(0, 0)] * (track.ndim - 1), mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING, axis=0) @ window)


def to_samples(track: np.ndarray, samples: int) -> np.ndarray:
    """Interpolate a track (point,) to (sample,)."""
    return np.interp(np.arange(samples) * (len(track) / samples), np.arange(len(track)), track)


def noise_band(rng: np.random.Generator, samples: int, centre: float, rate: int) -> np.ndarray:
    """White noise in a Gaussian band, (sample,), rms 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / rate)
    noise = np.fft.irfft(spectrum * np.exp(-0.5 * ((hertz - centre) / NOISE_WIDTH) ** 2), samples)
    return np.asarray(noise / np.sqrt((noise**2).mean()))
