"""Rendered heads as a training set: for regression of their latents, or for classification by identity.

source = RenderedHeads(identities=50)                                  # classes id00, id01, ...
source = RenderedHeads(identities=None, targets=["yaw", "jaw_width"])  # a new head in every image
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cornet.errors import CornetError, check_choice
from cornet.files import cache_folder
from cornet.hashing import code_version
from cornet.stimuli.objects.heads.latents import LATENTS, check_identities, draw_heads
from cornet.stimuli.objects.heads.rendering import render_heads
from cornet.stimuli.objects.image_cache import Cache
from cornet.stimuli.objects.latents import check_int
from cornet.stimuli.objects.rendering import RENDERER_VERSION
from cornet.stimuli.objects.source import TrainObjects, ValObjects, check_contrast
from cornet.stimuli.samples import Key, Sample
from cornet.stimuli.shift import check_shift

__all__ = ["RenderedHeads"]

MIRRORED = ("x", "yaw", "light_azimuth")
"""Targets whose sign changes when an image is mirrored; heads are symmetric."""

ALL = "all"


class RenderedHeads:
    """Greyscale renderings of heads with continuous shape parameters, in three equal channels; an ImageSource.

    identities: number of classes; image i shows identity i modulo this number. Training and validation show the same
        identities with other poses, lights and backgrounds. None: a new head in every image, and one class.
    targets: latents that a task learns, names of `cornet.stimuli.objects.heads.LATENTS`, or "all". They move with a
        training image that is shifted or mirrored.
    train_images, val_images: number of images, with identities at least one for each.
    variation: of pose, light, position and size, from 0 (none) to 1 (all).
    size, seed, shift, flip, antialias, aperture, background, background_contrast, cache: as in `RenderedObjects`.

    The first call of train() or val() renders the images, 4 ms each. Raises CornetError for invalid arguments.
    """

    name = "heads"
    views: tuple[str, ...] = ("center",)
    in_memory = True
    # Measured on 4096 training images, 64 pixels.
    mean = (0.47, 0.47, 0.47)
    std = (0.20, 0.20, 0.20)

    def __init__(
        self,
        *,
        identities: int | None = 50,
        targets: Sequence[str] | str = (),
        train_images: int = 8192,
        val_images: int = 1024,
        size: int = 64,
        variation: float = 1.0,
        seed: int = 0,
        shift: float = 0.0625,
        flip: bool = False,
        antialias: int = 2,
        aperture: bool = False,
        background: str = "mixed",
        background_contrast: Sequence[float] = (0.04, 0.12),
        cache: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        check_int("train_images", train_images, 1)
        check_int("val_images", val_images, 1)
        check_shift(shift)
        check_contrast(background_contrast)
        self.targets = (
            list(LATENTS) if targets == ALL else [targets] if isinstance(targets, str) else list(targets)
        )
        for target in self.targets:
            check_choice("target", target, LATENTS)
        self.identities = None if identities is None else check_identities(identities)
        if self.identities is not None and min(train_images, val_images) < self.identities:
            raise CornetError(
                f"train_images={train_images} and val_images={val_images} must show each of {self.identities} "
                "identities at least once; give more images, or fewer identities."
            )
        digits = len(str((self.identities or 1) - 1))
        names = [f"id{k:0{digits}d}" for k in range(self.identities or 0)]
        self.classes = names or ["head"]
        self.size = size
        self.counts = {"train": train_images, "val": val_images}
        self.drawing: dict[str, Any] = {
            "identities": self.identities,
            "seed": seed,
            "variation": variation,
            "background": background,
            "background_contrast": (background_contrast[0], background_contrast[1]),
        }
        self.rendering: dict[str, Any] = {"size": size, "antialias": antialias, "aperture": aperture}
        self.seed, self.shift, self.flip = seed, shift, flip
        folder = cache_folder() if cache is None or cache is True else cache
        self.cache = Cache(None if folder is False else Path(folder).expanduser())
        self._images: dict[str, np.ndarray] = {}
        render_heads(self.latents("train").iloc[:0], **self.rendering)

    def latents(self, split: str) -> pd.DataFrame:
        """Latents of the images of "train" (before augmentation) or "val"; see `draw_heads`."""
        check_choice("split", split, self.counts)
        return draw_heads(self.counts[split], stream=split, **self.drawing)

    def target_values(self, split: str) -> dict[str, np.ndarray]:
        """The targets of all images of a split, (image,) each, before augmentation."""
        latents = self.latents(split)
        return {name: latents[name].to_numpy(float) for name in self.targets}

    def target_scales(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each target over the training images, before augmentation."""
        values = self.target_values("train")
        return {name: (float(each.mean()), float(each.std()) or 1.0) for name, each in values.items()}

    def images(self, split: str) -> np.ndarray:
        """The images of "train" (before augmentation) or "val", (n, size, size) uint8."""
        if split not in self._images:
            latents = self.latents(split)
            self._images[split] = self.cache.images(
                self.parameters(split),
                (len(latents), self.size, self.size),
                lambda: render_heads(latents, progress=True, **self.rendering),
            )
        return self._images[split]

    def path(self, split: str) -> Path | None:
        """Cache file of a split; None without a cache."""
        return self.cache.path(self.parameters(split))

    def parameters(self, split: str) -> dict[str, Any]:
        """Everything that the pixels of a split depend on: the cache key."""
        return {
            "renderer": RENDERER_VERSION,
            "code": code_version("cornet.stimuli.objects.heads.rendering"),
            "heads": self.counts[split],
            "stream": split,
            **self.drawing,
            **self.rendering,
        }

    def train(self) -> "TrainHeads":
        """Training images, (3, size, size), each shifted (and mirrored) at random."""
        pixels = round(self.shift * self.size)
        moves: Any = {"shift": pixels, "flip": self.flip, "seed": self.seed}
        return TrainHeads(
            len(self.classes), self.images("train"), targets=self.target_values("train"), **moves
        )

    def val(self) -> "ValHeads":
        """Unchanged validation images, (1, 3, size, size)."""
        return ValHeads(len(self.classes), self.images("val"), self.target_values("val"))


class ValHeads(ValObjects):
    """Unchanged images; image i has class i modulo the number of classes."""

    def __init__(self, classes: int, *parts: Any) -> None:
        super().__init__(*parts)
        self.classes = classes

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return relabelled(super().__getitems__(keys), self.classes)


class TrainHeads(TrainObjects):
    """Images with random shifts and flips that depend only on (seed, epoch, index); classes as in `ValHeads`."""

    mirrored = MIRRORED

    def __init__(self, classes: int, images: np.ndarray, **parts: Any) -> None:
        super().__init__(images, **parts)
        self.classes = classes

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return relabelled(super().__getitems__(keys), self.classes)


def relabelled(samples: Sequence[Sample], classes: int) -> list[Sample]:
    return [sample._replace(label=sample.index % classes) for sample in samples]
