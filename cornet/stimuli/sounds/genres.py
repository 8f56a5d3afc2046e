"""Eight made-up musical genres: rhythm, harmony and timbre by rules, everything else random.

A random equaliser changes the spectrum of each clip, so that the mean spectrum alone does not tell a genre reliably.
"""

from collections.abc import Callable

import numpy as np

from cornet.stimuli.sounds.instruments import drum, note

__all__ = ["GENRES", "play"]

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
BLUES, PENTATONIC = (0, 3, 5, 6, 7, 10), (0, 2, 4, 7, 9)
PELOG = (0, 1, 3, 7, 8)


class Clip:
    """A second of music that is being written: a sound, a tempo and a position in the bar."""

    def __init__(
        self, rng: np.random.Generator, rate: int, samples: int, tempo: tuple[float, float], beats: int
    ):
        self.rng, self.rate, self.sound = rng, rate, np.zeros(samples)
        self.beat = 60 / rng.uniform(*tempo)
        self.beats, self.start = beats, rng.uniform(0, beats)
        self.root = int(rng.integers(48, 61))
        self.tuning = 2 ** rng.uniform(-0.35, 0.35)
        self.degree = int(rng.integers(0, 5))

    def positions(self, grid: float, reach: float = 1.0) -> list[tuple[float, float]]:
        """Times in s and positions in the bar, in beats, of a grid in beats; from `reach` s before the clip."""
        first = np.ceil((self.start - reach / self.beat) / grid)
        last = (self.start + len(self.sound) / self.rate / self.beat) / grid
        steps = np.arange(first, last)
        return [((step * grid - self.start) * self.beat, float(step * grid % self.beats)) for step in steps]

    def add(self, sound: np.ndarray, time: float, loudness: float = 1.0) -> None:
        """Add a sound that begins at `time` s, which may be before the clip."""
        first = round(time * self.rate)
        skipped = max(0, -first)
        first = max(0, first)
        part = sound[skipped : skipped + max(0, len(self.sound) - first)]
        self.sound[first : first + len(part)] += loudness * part

    def play(self, instrument: str, step: float, time: float, seconds: float, loudness: float = 1.0) -> None:
        """Add a note, `step` semitones above the root."""
        hertz = 440 * 2 ** ((self.root + step - 69) / 12)
        self.add(note(instrument, hertz, seconds, self.rate), time, loudness)

    def hit(self, kind: str, time: float, loudness: float = 1.0) -> None:
        """Add a drum hit."""
        self.add(drum(kind, self.rng, self.rate, self.tuning), time, loudness)

    def walk(self, scale: tuple[int, ...]) -> float:
        """The next note of a random walk on a scale, in semitones above the root."""
        self.degree = int(np.clip(self.degree + self.rng.integers(-2, 3), 0, 2 * len(scale) - 1))
        return scale[self.degree % len(scale)] + 12.0 * (self.degree // len(scale))


def waltz(clip: Clip) -> None:
    for time, place in clip.positions(1):
        if place < 0.5:
            clip.play("organ", -12, time, clip.beat, 1.2)
        else:
            for step in (0, 4, 7):
                clip.play("organ", step, time, 0.5 * clip.beat, 0.6)
        clip.play("organ", 12 + clip.walk(MAJOR), time, clip.beat, 0.6)


def march(clip: Clip) -> None:
    for time, place in clip.positions(0.5):
        if place % 1 < 0.25:
            clip.play("brass", clip.walk(MAJOR), time, 0.8 * clip.beat)
            clip.hit("kick" if place % 2 < 0.5 else "snare", time, 1.2)
        elif clip.rng.uniform() < 0.5:
            clip.hit("snare", time, 0.5)


def blues(clip: Clip) -> None:
    for time, place in clip.positions(1):
        clip.play("pluck", -12 + (0, 7, 10, 7)[int(place + 0.01) % 4], time, clip.beat)
        for swung in (0.0, 0.66):
            clip.play("pluck", clip.walk(BLUES), time + swung * clip.beat, 0.6 * clip.beat)


def techno(clip: Clip) -> None:
    for time, place in clip.positions(0.25):
        if place % 1 < 0.1:
            clip.hit("kick", time, 1.3)
        if abs(place % 1 - 0.5) < 0.1:
            clip.hit("hat", time, 0.8)
        clip.play("square", -12 + clip.walk(MINOR), time, 0.2 * clip.beat, 0.6)


def ambient(clip: Clip) -> None:
    for time, _ in clip.positions(2, reach=3.0):
        for step in (0.0, clip.walk(PENTATONIC), 12.0 + clip.walk(PENTATONIC)):
            clip.play("pad", step, time, 2.5 * clip.beat, 0.6)


def gamelan(clip: Clip) -> None:
    for time, place in clip.positions(0.5):
        clip.play("bell", clip.walk(PELOG), time, 0.8, 0.7)
        if place % 4 < 0.25:
            clip.play("bell", -12, time, 1.0, 1.2)


def flute(clip: Clip) -> None:
    octave = 12.0 * clip.rng.integers(0, 2)
    drone = str(clip.rng.choice(["pad", "organ", "bell", "none"]))
    for time, place in clip.positions(1, reach=1.5):
        clip.play("flute", octave + clip.walk(PENTATONIC), time, 0.95 * clip.beat)
        breath = np.diff(clip.rng.standard_normal(round(clip.beat * clip.rate)), prepend=0)
        clip.add(0.03 * breath, time)
        if drone != "none" and place % 2 < 0.5:
            for step in (-12.0, -5.0, 0.0):
                clip.play(drone, step, time, 2 * clip.beat, 0.5)


def drums(clip: Clip) -> None:
    bass = str(clip.rng.choice(["pluck", "organ", "square", "none"]))
    busy = clip.rng.uniform(0.1, 0.6)
    for time, place in clip.positions(0.25):
        if place in (0.0, 1.5, 2.5) or clip.rng.uniform() < 0.08:
            clip.hit("kick", time, 1.2)
        if place in (1.0, 3.0):
            clip.hit("snare", time, 0.9)
        if clip.rng.uniform() < busy:
            clip.hit(str(clip.rng.choice(["tom", "snare", "hat"])), time, 0.7)
        if bass != "none" and place % 0.5 < 0.1:
            clip.play(bass, -12, time, 0.5 * clip.beat, 0.5)


GENRES: dict[str, tuple[Callable[[Clip], None], tuple[float, float], int]] = {
    "waltz": (waltz, (150, 190), 3),
    "march": (march, (105, 130), 4),
    "blues": (blues, (80, 110), 4),
    "techno": (techno, (125, 150), 4),
    "ambient": (ambient, (40, 60), 4),
    "gamelan": (gamelan, (160, 220), 4),
    "flute": (flute, (60, 90), 4),
    "drums": (drums, (90, 140), 4),
}
"""The rule, the range of the tempo in beats per minute, and the beats of a bar."""


def play(genre: str, rng: np.random.Generator, rate: int = 8000, seconds: float = 1.0) -> np.ndarray:
    """Return a clip of a genre, (sample,) float64 with rms 1.

    rng: draws tempo, root, melody, place in the bar, the tuning of drums, and the equaliser.
    """
    rule, tempo, beats = GENRES[genre]
    clip = Clip(rng, rate, round(rate * seconds), tempo, beats)
    rule(clip)
    sound = equalised(clip.sound, rng, rate)
    return np.asarray(sound / max(np.sqrt((sound**2).mean()), 1e-12))


def equalised(sound: np.ndarray, rng: np.random.Generator, rate: int, decibel: float = 6.0) -> np.ndarray:
    """Change the level of bands around 60, 120, 240, ... Hz by random amounts of this standard deviation."""
    hertz = np.fft.rfftfreq(len(sound), 1 / rate)
    octaves = np.log2(np.maximum(hertz, 30) / 60)
    levels = decibel * rng.standard_normal(int(np.log2(rate / 120)) + 2)
    gain = 10 ** (np.interp(octaves, np.arange(len(levels)), levels) / 20)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound))
