"""Words and genres as a training set: what the embedded sounds and folders of clips have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cornet.errors import CornetError, check_choice
from cornet.files import cache_folder
from cornet.hashing import code_version
from cornet.stimuli.draws import uniform
from cornet.stimuli.objects.image_cache import Cache
from cornet.stimuli.objects.latents import check_int
from cornet.stimuli.samples import IGNORED, InMemory, Key, Sample
from cornet.stimuli.sounds.cochleagram import COCHLEAGRAMS, Cochleagram
from cornet.stimuli.sounds.network_input import min_max, resized

__all__ = ["SoundSource", "SoundSplit"]

TASKS = ("word", "genre")
CENTRE, SPREAD = 0.35, 0.2
"""About the mean and standard deviation of scaled cochleagrams of the embedded sounds."""
BATCH = 32
PAIRS = 2  # frames that are averaged for the front end `small`
PUBLISHED_SIZE = (256, 256)
_SHIFT = "cornet sounds shift"


class SoundSource(ABC):
    """Cochleagrams of words and genres in noise; an ImageSource whose inputs are floats (1, channel, frame).

    front: a name of `COCHLEAGRAMS`. `small`: pairs of frames are averaged, (1, 45, 50). `kell_2018`: resized to
    (1, 256, 256) as published. `feather_2023`: (1, 211, 390). Each cochleagram is scaled to 0..1 and rounded to 8 bits.
    scale: "standard": values minus .35, divided by .2; "bytes": 0..255, as the published network takes them.
    shift: longest shift of training inputs in frames, circular and random. seed: of the shifts.
    snr_db: lowest and highest ratio of a clip's power to its background's, in dB.
    cache: folder for cochleagrams; None: CORNET_CACHE or the user's cache folder; False: no cache.

    target_classes: {"word": names, "genre": names}. A clip of one task has the label IGNORED in the other. classes: of
    both, words first. Raises CornetError for values out of range.
    """

    name = "sounds"
    views: tuple[str, ...] = ("whole",)
    in_memory = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    target_classes: Mapping[str, Sequence[str]]

    def __init__(
        self,
        *,
        front: str,
        scale: str,
        shift: int,
        seed: int,
        snr_db: Sequence[float],
        cache: str | os.PathLike[str] | bool | None,
    ) -> None:
        check_choice("front", front, COCHLEAGRAMS)
        check_choice("scale", scale, ("standard", "bytes"))
        check_int("shift", shift, 0)
        if len(snr_db) != 2 or not -60 <= snr_db[0] <= snr_db[1] <= 60:
            raise CornetError(
                f"snr_db={list(snr_db)} must be the lowest and the highest ratio, from -60 to 60 dB; give for example "
                "[-3, 9]."
            )
        self.front, self.scale, self.shift, self.seed = front, scale, shift, seed
        self.snr_db = float(snr_db[0]), float(snr_db[1])
        self.settings = COCHLEAGRAMS[front]
        if isinstance(cache, bool) or cache is None:
            self.cache = Cache(None if cache is False else cache_folder(), "sounds")
        else:
            self.cache = Cache(Path(cache).expanduser(), "sounds")
        self._cochleagrams: dict[str, np.ndarray] = {}

    @abstractmethod
    def labels(self, split: str) -> np.ndarray:
        """Word and genre of each clip of "train" or "val", (clip, 2) int64, one of them IGNORED."""

    @abstractmethod
    def sounds(self, split: str, first: int, last: int) -> np.ndarray:
        """Clips `first` to `last` of a split with their background, (clip, sample)."""

    @abstractmethod
    def parameters(self, split: str) -> dict[str, Any]:
        """Everything that the sounds of a split depend on, besides code."""

    @property
    def classes(self) -> list[str]:
        """Names of all classes: words, then genres."""
        return [f"{task} {name}" for task in TASKS for name in self.target_classes[task]]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an input."""
        own = self.settings
        channels = own.factor * (own.filters + 1) - 1 + 2 * own.factor
        frames = {"small": 50, "feather_2023": 390}
        return (1, channels, frames[self.front]) if self.front in frames else (1, *PUBLISHED_SIZE)

    def cochleagrams(self, split: str) -> np.ndarray:
        """The cochleagrams of a split before shifts, (clip, channel, frame) uint8."""
        if split not in self._cochleagrams:
            count = len(self.labels(split))
            key = {
                **self.parameters(split),
                **{"split": split, "front": self.front, "snr_db": self.snr_db},
                "code": code_version(type(self).__module__, __name__),
            }
            shape = (count, *self.shape[1:])
            self._cochleagrams[split] = self.cache.images(key, shape, lambda: self.compute(split, count))
        return self._cochleagrams[split]

    def compute(self, split: str, count: int) -> np.ndarray:
        """Compute the cochleagrams of a split."""
        front = Cochleagram(self.front)
        parts = []
        for first in range(0, count, BATCH):
            sounds = self.sounds(split, first, min(first + BATCH, count))
            with torch.no_grad():
                found = front(torch.as_tensor(sounds, dtype=torch.float32))
                if self.front == "small":
                    found = found.unflatten(-1, (-1, PAIRS)).mean(-1)
                found = min_max(found, 255.0)
                if self.front == "kell_2018":
                    found = resized(found, *PUBLISHED_SIZE)
            parts.append(found.round().clamp(0, 255).to(torch.uint8).numpy())
        return np.concatenate(parts)

    def train(self) -> "SoundSplit":
        """Training inputs (1, channel, frame), shifted at random by whole frames."""
        return SoundSplit(*self.content("train"), self.scale, self.shift, self.seed)

    def val(self) -> "SoundSplit":
        """Validation inputs (1, 1, channel, frame)."""
        return SoundSplit(*self.content("val"), self.scale, view=True)

    def content(self, split: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Cochleagrams and labels of a split, and the number of words."""
        return self.cochleagrams(split), self.labels(split), len(self.target_classes["word"])


class SoundSplit(InMemory):
    """Cochleagrams of a split with the targets `word` and `genre`; shifts depend on (seed, epoch, index) only."""

    def __init__(
        self,
        cochleagrams: np.ndarray,
        targets: np.ndarray,
        words: int,
        scale: str,
        shift: int = 0,
        seed: int = 0,
        view: bool = False,
    ) -> None:
        """cochleagrams: (clip, channel, frame) uint8. targets: (clip, 2), word and genre. words: number of classes."""
        self.images, self.targets = cochleagrams, targets
        self.scale, self.shift, self.seed, self.view = scale, shift, seed, view
        self.labels = np.where(targets[:, 0] != IGNORED, targets[:, 0], words + targets[:, 1])

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = np.array([key[0] for key in keys], dtype=np.int64)
        shown = self.images[index]
        if self.shift:
            draws = uniform(_SHIFT, self.seed, np.array([key[1] for key in keys]), index)
            moves = np.floor(draws * (2 * self.shift + 1)).astype(int) - self.shift
            places = (np.arange(shown.shape[-1]) - moves[:, None]) % shown.shape[-1]
            shown = np.take_along_axis(shown, places[:, None], -1)
        values = shown.astype(np.float32)
        if self.scale == "standard":
            values = (values * np.float32(1 / 255) - np.float32(CENTRE)) * np.float32(1 / SPREAD)
        inputs = torch.from_numpy(values)[:, None]
        inputs = inputs[:, None] if self.view else inputs
        return [
            Sample(
                inputs[i], int(self.labels[k]), int(k), targets=dict(zip(TASKS, self.targets[k], strict=True))
            )
            for i, k in enumerate(index)
        ]
