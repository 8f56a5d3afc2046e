"""Embedded sounds: ten made-up words and eight made-up genres in noise, of one second at 8 kHz; no download.

They are a check of the pipeline and a way to learn the tool, not speech or music.
"""

import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from cornet.errors import CornetError
from cornet.stimuli.objects.latents import check_int
from cornet.stimuli.samples import IGNORED
from cornet.stimuli.sounds.genres import GENRES, play
from cornet.stimuli.sounds.mixing import NOISES, background_noise, mix
from cornet.stimuli.sounds.source import SoundSource
from cornet.stimuli.sounds.words import WORDS, speak

__all__ = ["Sounds"]

RATE, SAMPLES = 8000, 8000


class Sounds(SoundSource):
    """Words over music or noise, and music over noise.

    train_clips, val_clips: clips of each task; classes are balanced, and the splits have other speakers and pieces.
    seed: of the sounds and the shifts. snr_db, shift, cache: as in `SoundSource`.

    The first call of train() or val() synthesises the clips, about 10 ms each. Raises CornetError for values out of
    range.
    """

    def __init__(
        self,
        *,
        train_clips: int = 640,
        val_clips: int = 240,
        seed: int = 0,
        snr_db: Sequence[float] = (-3.0, 9.0),
        shift: int = 4,
        cache: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        check_int("train_clips", train_clips, 1)
        check_int("val_clips", val_clips, 1)
        if seed < 0:
            raise CornetError(f"data.seed={seed} must be 0 or more.")
        super().__init__(front="small", scale="standard", shift=shift, seed=seed, snr_db=snr_db, cache=cache)
        self.counts = {"train": train_clips, "val": val_clips}
        self.target_classes = {"word": list(WORDS), "genre": list(GENRES)}

    def labels(self, split: str) -> np.ndarray:
        """Words, then genres; clip i of a task has class i modulo their number."""
        count = self.counts[split]
        labels = np.full((2 * count, 2), IGNORED, np.int64)
        labels[:count, 0] = np.arange(count) % len(WORDS)
        labels[count:, 1] = np.arange(count) % len(GENRES)
        return labels

    def parameters(self, split: str) -> dict[str, Any]:
        return {"clips": self.counts[split], "seed": self.seed}

    def sounds(self, split: str, first: int, last: int) -> np.ndarray:
        return np.stack([self.sound(split, index) for index in range(first, last)])

    def sound(self, split: str, index: int) -> np.ndarray:
        """One clip with its background, (sample,). It depends on the seed, the split and the index only."""
        word, genre = self.labels(split)[index]
        number = index % self.counts[split]
        task = "genre" if word == IGNORED else "word"
        rng = np.random.default_rng([self.seed, zlib.crc32(f"{split} {task}".encode()), number])
        noise = background_noise(str(rng.choice(NOISES)), rng, SAMPLES, RATE)
        if word == IGNORED:
            clip, background = play(list(GENRES)[genre], rng, RATE), noise
        else:
            clip = speak(list(WORDS)[word], rng, RATE)
            background = play(str(rng.choice(list(GENRES))), rng, RATE) if rng.uniform() < 0.5 else noise
        return mix(clip, background, rng.uniform(*self.snr_db))
