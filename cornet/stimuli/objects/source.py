"""Rendered objects as a training set.

source = RenderedObjects(train_images=4096, variation=0.5)     # renders, or reads the cache
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cornet.errors import CornetError, check_choice
from cornet.files import cache_folder
from cornet.hashing import code_version
from cornet.stimuli.objects.categories import CATEGORIES
from cornet.stimuli.objects.image_cache import Cache
from cornet.stimuli.objects.latents import check_int, draw_latents
from cornet.stimuli.objects.object_maps import map_targets, object_maps
from cornet.stimuli.objects.rendering import RENDERER_VERSION, render
from cornet.stimuli.samples import InMemory, Key, Sample
from cornet.stimuli.shift import check_shift, draw_moves, shift_and_flip

__all__ = ["RenderedObjects", "TrainObjects", "ValObjects"]

TARGETS = (
    *("x", "y", "size", "yaw_sin", "yaw_cos", "pitch", "roll", "light_azimuth", "light_elevation", "albedo"),
    *("background_mean", "background_contrast"),
)
"""Latents that a task can learn, see `cornet.stimuli.objects.latents.COLUMNS`; yaw as its sine and cosine."""

MIRRORED = ("x", "yaw_sin", "roll", "light_azimuth")
"""Targets whose sign changes when an image is mirrored."""

_AUGMENT = "cornet objects augmentation"


def check_contrast(background_contrast: Sequence[float]) -> None:
    """Raise CornetError unless the contrast of backgrounds is two numbers."""
    if len(background_contrast) != 2:
        raise CornetError(
            f"background_contrast={background_contrast!r} must be two numbers, the lowest and the highest; "
            "give for example (0.04, 0.12)."
        )


class RenderedObjects:
    """Greyscale renderings of 64 objects in eight categories, in three equal channels; an ImageSource.

    train_images, val_images: number of images; both splits are balanced and disjoint.
    size: pixels per side, at least 16. variation: of position, size and pose, from 0 (none) to 1 (high).
    seed: seed of the images and the augmentation.
    shift: maximum shift of training images as a share of their size, with reflected edges (0: none).
    flip: mirror half of the training images.
    antialias: rays per pixel in each direction, 1 to 4. aperture: grey outside the inscribed circle.
    background, background_contrast: as in `draw_latents`.
    targets: latents that a task learns, such as [x, y, size, yaw_sin, yaw_cos], names of `TARGETS`. They move with a
        training image that is shifted or mirrored.
    maps: add the targets `map`, (size, size) in 0..1, where the object is, blurred, and `map_token`: 1, or 0 without an
        object in the frame.
    cache: folder for rendered images; None: CORNET_CACHE or the user's cache folder; False: no cache.

    The first call of train() or val() renders the images, which takes seconds for thousands of 64-pixel images.
    Raises CornetError for invalid arguments.
    """

    name = "objects"
    views: tuple[str, ...] = ("center",)
    in_memory = True
    # Measured on 4096 training images at variation 0.5, 64 pixels.
    mean = (0.50, 0.50, 0.50)
    std = (0.19, 0.19, 0.19)

    def __init__(
        self,
        *,
        train_images: int = 4096,
        val_images: int = 1024,
        size: int = 64,
        variation: float = 0.5,
        seed: int = 0,
        shift: float = 0.0625,
        flip: bool = True,
        antialias: int = 2,
        aperture: bool = False,
        background: str = "mixed",
        background_contrast: Sequence[float] = (0.04, 0.12),
        targets: Sequence[str] = (),
        maps: bool = False,
        cache: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        check_int("train_images", train_images, 1)
        check_int("val_images", val_images, 1)
        check_shift(shift)
        check_contrast(background_contrast)
        for target in targets:
            check_choice("target", target, TARGETS)
        self.targets, self.maps = list(targets), bool(maps)
        self.classes = list(CATEGORIES)
        self.size = size
        self.counts = {"train": train_images, "val": val_images}
        self.drawing = {
            "seed": seed,
            "variation": variation,
            "background": background,
            "background_contrast": (background_contrast[0], background_contrast[1]),
        }
        self.rendering = {"size": size, "antialias": antialias, "aperture": aperture}
        self.seed, self.shift, self.flip = seed, shift, flip
        if isinstance(cache, bool) or cache is None:
            self.cache = Cache(None if cache is False else cache_folder())
        else:
            self.cache = Cache(Path(cache).expanduser())
        self._images: dict[str, np.ndarray] = {}
        render(self.latents("train").iloc[:0], **self.rendering)  # type: ignore[arg-type]

    def latents(self, split: str) -> pd.DataFrame:
        """Latents of the images of "train" (before augmentation) or "val"; see `draw_latents`."""
        check_choice("split", split, self.counts)
        return draw_latents(self.counts[split], stream=split, **self.drawing)  # type: ignore[arg-type]

    def target_values(self, split: str) -> dict[str, np.ndarray]:
        """The targets of all images of a split, (image,) each, before augmentation."""
        latents = self.latents(split)
        return {name: target_of(latents, name) for name in self.targets}

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
                lambda: render(latents, progress=True, **self.rendering),  # type: ignore[arg-type]
            )
        return self._images[split]

    def object_maps(self, split: str) -> np.ndarray | None:
        """Where the object is in each image, before augmentation, (n, size, size) uint8; None without `maps`."""
        if not self.maps:
            return None
        latents = self.latents(split)
        return self.cache.images(
            {**self.parameters(split), "maps": code_version("cornet.stimuli.objects.object_maps")},
            (len(latents), self.size, self.size),
            lambda: object_maps(latents, self.size, self.rendering["antialias"]),
        )

    def path(self, split: str) -> Path | None:
        """Cache file of a split; None without a cache."""
        return self.cache.path(self.parameters(split))

    def parameters(self, split: str) -> dict[str, Any]:
        """Everything that the pixels of a split depend on: the cache key."""
        return {
            "renderer": RENDERER_VERSION,
            "code": code_version("cornet.stimuli.objects.rendering", "cornet.stimuli.objects.latents"),
            "n": self.counts[split],
            "stream": split,
            **self.drawing,
            **self.rendering,
        }

    def train(self) -> "TrainObjects":
        """Training images, (3, size, size), each shifted and mirrored at random."""
        pixels = round(self.shift * self.size)
        moves: Any = {"shift": pixels, "flip": self.flip, "seed": self.seed}
        parts: Any = {"targets": self.target_values("train"), "maps": self.object_maps("train")}
        return TrainObjects(self.images("train"), **parts, **moves)

    def val(self) -> "ValObjects":
        """Unchanged validation images, (1, 3, size, size)."""
        return ValObjects(self.images("val"), self.target_values("val"), self.object_maps("val"))


def target_of(latents: pd.DataFrame, name: str) -> np.ndarray:
    """Values of a target, (image,)."""
    if name in ("yaw_sin", "yaw_cos"):
        radians = np.deg2rad(latents["yaw"].to_numpy(float))
        return np.sin(radians) if name == "yaw_sin" else np.cos(radians)
    return latents[name].to_numpy(float)


class ValObjects(InMemory):
    """Unchanged images; image i has category i modulo the number of categories."""

    def __init__(
        self,
        images: np.ndarray,
        targets: Mapping[str, np.ndarray] | None = None,
        maps: np.ndarray | None = None,
    ) -> None:
        """images: (n, y, x) uint8. targets: by name, (n,). maps: (n, y, x) uint8, of the object."""
        self.images, self.targets, self.maps = images, dict(targets or {}), maps

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = np.array([key[0] for key in keys], dtype=np.int64)
        # An expanded view of one channel, copied when batches are stacked.
        pixels = torch.from_numpy(self.images[index])[:, None, None].expand(-1, 1, 3, -1, -1)
        maps = [{} for _ in index] if self.maps is None else map_targets(self.maps[index])
        return [
            Sample(
                pixels[i],
                int(k) % len(CATEGORIES),
                int(k),
                targets={**{name: values[k] for name, values in self.targets.items()}, **maps[i]},
            )
            for i, k in enumerate(index)
        ]


class TrainObjects(InMemory):
    """Images with random shifts and flips that depend only on (seed, epoch, index)."""

    mirrored: tuple[str, ...] = MIRRORED

    def __init__(
        self,
        images: np.ndarray,
        *,
        shift: int,
        flip: bool,
        seed: int,
        targets: Mapping[str, np.ndarray] | None = None,
        maps: np.ndarray | None = None,
    ) -> None:
        """images: (n, y, x) uint8. shift: maximum, in pixels. targets: by name, (n,). maps: as in `ValObjects`."""
        self.images, self.targets, self.maps = images, dict(targets or {}), maps
        self.moves = {"stream": _AUGMENT, "seed": seed, "shift": shift, "flip": flip}

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        shown = shift_and_flip(self.images[:, None], keys, **self.moves)  # type: ignore[arg-type]
        pixels = torch.from_numpy(shown).expand(-1, 3, -1, -1)
        targets = self.moved_targets(keys) if self.targets else {}
        maps: list[dict[str, Any]] = [{} for _ in keys]
        if self.maps is not None:
            maps = map_targets(shift_and_flip(self.maps[:, None], keys, **self.moves)[:, 0])  # type: ignore[arg-type]
        return [
            Sample(
                image,
                key[0] % len(CATEGORIES),
                key[0],
                targets={**{name: values[number] for name, values in targets.items()}, **maps[number]},
            )
            for number, (image, key) in enumerate(zip(pixels, keys, strict=True))
        ]

    def moved_targets(self, keys: Sequence[Key]) -> dict[str, np.ndarray]:
        """The targets of shifted and mirrored images, (key,) each."""
        index, side = [key[0] for key in keys], self.images.shape[-1]
        moves = draw_moves(keys, **self.moves)  # type: ignore[arg-type]
        added = {"x": moves.right / side, "y": -moves.down / side}
        signs = np.where(moves.mirrored, -1.0, 1.0)
        return {
            name: (values[index] + added.get(name, 0.0)) * (signs if name in self.mirrored else 1.0)
            for name, values in self.targets.items()
        }
