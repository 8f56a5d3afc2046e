"""Folders of clips: <words>/<class>/*.wav and <genres>/<class>/*.wav."""

import logging
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cornet.errors import CornetError, check_choice
from cornet.hashing import content_hash
from cornet.names import escaped
from cornet.opening import read_bytes
from cornet.stimuli.objects.latents import check_int
from cornet.stimuli.samples import IGNORED
from cornet.stimuli.sounds.clips import read_clip, resample, window
from cornet.stimuli.sounds.mixing import NOISES, background_noise, mix, rms
from cornet.stimuli.sounds.source import TASKS, SoundSource

__all__ = ["SoundFolders"]

log = logging.getLogger("cornet")

SHORT = ("error", "pad", "skip")
SILENT = 1e-6  # rms of a sound in -1..1


class Window(NamedTuple):
    """A window of a file. task: 0 for words, 1 for genres. label: class. number: which of the windows of the file."""

    path: Path
    task: int
    label: int
    number: int


class SoundFolders(SoundSource):
    """Your own words and genres, in folders of classes with WAV files.

    words, genres: folders; one may be missing (null), then its task has no clips.
    front: "kell_2018", 2 s at 16 kHz; "feather_2023", 2 s at 20 kHz; "small", 1 s at 8 kHz. Files of another rate are
        resampled, which is logged.
    held_out: share of the files of each class for validation, at least one; chosen by the name and the seed.
    windows: evenly spread windows of a genre's file; a word is the middle of its file.
    short: what to do with files that are shorter than the window: "error", "pad" with silence, or "skip".
    Others: as in `SoundSource`. Words are mixed with music (if there is any) or noise, music with noise.

    Raises CornetError for missing folders, classes with fewer than two files, files that cannot be read, are silent or
    too short.
    """

    name = "sound_folders"

    def __init__(
        self,
        *,
        words: str | os.PathLike[str] | None = None,
        genres: str | os.PathLike[str] | None = None,
        front: str = "kell_2018",
        scale: str = "bytes",
        held_out: float = 0.2,
        windows: int = 1,
        short: str = "error",
        seed: int = 0,
        snr_db: Sequence[float] = (-9.0, 3.0),
        shift: int = 0,
        cache: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        super().__init__(front=front, scale=scale, shift=shift, seed=seed, snr_db=snr_db, cache=cache)
        check_int("windows", windows, 1)
        check_choice("short", short, SHORT)
        if not 0 < held_out < 1:
            raise CornetError(
                f"held_out={held_out!r} must be a share of the files above 0 and below 1, such as 0.2."
            )
        if words is None and genres is None:
            raise CornetError(
                "words and genres are both missing; give the folder of one of them, or of both."
            )
        self.short, self.held_out = short, float(held_out)
        self.target_classes = {}
        files: list[Window] = []
        for task, folder in enumerate((words, genres)):
            classes = {} if folder is None else classes_in(Path(folder).expanduser())
            self.target_classes[TASKS[task]] = list(classes)
            files += [
                Window(path, task, label, number)
                for label, paths in enumerate(classes.values())
                for path in paths
                for number in range(windows if task else 1)
            ]
        self.windows = windows
        self.hashes: dict[Path, str] = {}
        files = self.readable(files)
        held = self.held_out_files(files)
        self.files = {
            "train": [one for one in files if one.path not in held],
            "val": [one for one in files if one.path in held],
        }

    def readable(self, files: list[Window]) -> list[Window]:
        """Check all files, log what is resampled, and leave out short ones if they are to be skipped."""
        seconds = self.settings.samples / self.settings.rate
        rates: dict[int, int] = {}
        short: list[Path] = []
        for path in dict.fromkeys(one.path for one in files):
            sound, rate = read_clip(path)
            self.hashes[path] = content_hash(read_bytes(path))
            if rms(sound - sound.mean()) < SILENT:
                raise CornetError(f"{escaped(str(path))} is silent; leave it out.")
            if rate != self.settings.rate:
                rates[rate] = rates.get(rate, 0) + 1
            if len(sound) / rate < seconds - 0.5 / self.settings.rate:
                short.append(path)
        if short and self.short == "error":
            sound, rate = read_clip(short[0])
            raise CornetError(
                f"{len(short)} of {len(self.hashes)} clips are shorter than the window of {seconds:g} s, such as "
                f"{escaped(str(short[0]))} with {len(sound) / rate:.2f} s; set data.short=pad to add silence, or "
                "data.short=skip."
            )
        for rate, count in sorted(rates.items()):
            log.info("%d clips of %d Hz are resampled to %d Hz", count, rate, self.settings.rate)
        if short:
            done = "filled with silence" if self.short == "pad" else "left out"
            log.info("%d clips shorter than %g s are %s", len(short), seconds, done)
        return files if self.short == "pad" else [one for one in files if one.path not in short]

    def held_out_files(self, files: list[Window]) -> set[Path]:
        """The files for validation: of each class the first share in an order by name and seed."""
        held: set[Path] = set()
        for task, name in enumerate(TASKS):
            for label, label_name in enumerate(self.target_classes[name]):
                own = list(dict.fromkeys(f.path for f in files if (f.task, f.label) == (task, label)))
                if len(own) < 2:
                    raise CornetError(
                        f"the {name} {label_name!r} has {len(own)} clips that can be used, but needs one for training "
                        "and one for validation; add clips, or remove its folder."
                    )
                own.sort(key=lambda path: (zlib.crc32(f"{self.seed} {path.name}".encode()), path.name))
                held |= set(own[: min(max(1, round(self.held_out * len(own))), len(own) - 1)])
        return held

    def labels(self, split: str) -> np.ndarray:
        labels = np.full((len(self.files[split]), 2), IGNORED, np.int64)
        for row, one in enumerate(self.files[split]):
            labels[row, one.task] = one.label
        return labels

    def parameters(self, split: str) -> dict[str, Any]:
        files = [(self.hashes[f.path], f.task, f.number) for f in self.files[split]]
        return {"files": files, "windows": self.windows, "short": self.short, "seed": self.seed}

    def sounds(self, split: str, first: int, last: int) -> np.ndarray:
        return np.stack([self.sound(split, index) for index in range(first, last)])

    def sound(self, split: str, index: int) -> np.ndarray:
        """One clip with its background, (sample,)."""
        one, own = self.files[split][index], self.settings
        rng = np.random.default_rng([self.seed, zlib.crc32(split.encode()), index])
        background = background_noise(str(rng.choice(NOISES)), rng, own.samples, own.rate)
        music = [f for f in self.files[split] if f.task == 1]
        if one.task == 0 and music and rng.uniform() < 0.5:
            background = self.clip(music[int(rng.integers(len(music)))])
        return mix(self.clip(one), background, rng.uniform(*self.snr_db))

    def clip(self, one: Window) -> np.ndarray:
        """The samples of a window at the rate of the front end."""
        sound, rate = read_clip(one.path)
        sound = resample(sound, rate, self.settings.rate)
        lacking = self.settings.samples - len(sound)
        if lacking > 0:
            sound = np.pad(sound, (lacking // 2, lacking - lacking // 2))
        return window(sound, self.settings.samples, one.number, self.windows if one.task else 1)


def classes_in(folder: Path) -> dict[str, list[Path]]:
    """{class: its WAV files} of a folder, sorted by name."""
    if not folder.is_dir():
        raise CornetError(
            f"{escaped(str(folder))} is not a folder; give one with a subfolder of WAV files a class."
        )
    found = {
        escaped(sub.name): sorted(p for p in sub.iterdir() if p.suffix.lower() == ".wav")
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
    }
    if len(found) < 2:
        raise CornetError(
            f"{escaped(str(folder))} has {len(found)} class folders, but 2 are needed; give a folder with a subfolder "
            "of WAV files a class."
        )
    return found
