"""Photographs in class folders, such as ImageNet.

source = ImageFolder(folder, name="imagenet", views=("center", "squash"))
source.train()[Key(index=17, epoch=3)]     # Sample: the random crop of image 17 in epoch 3
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from cornet.errors import CornetError
from cornet.names import escaped
from cornet.sizes import check_pixels
from cornet.stimuli.datasets.class_folders import scan_splits
from cornet.stimuli.datasets.map_files import MapFiles, blank, map_target
from cornet.stimuli.datasets.prepared import check_complete, check_count
from cornet.stimuli.decode import BadImage, decode_image
from cornet.stimuli.geometry import VIEWS, random_box, random_generator, resize_crop
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD
from cornet.stimuli.samples import IGNORED, Key, Sample

__all__ = ["ImageFiles", "ImageFolder", "TrainPhotographs", "ValPhotographs"]

GREY = 128
"""Grey level that replaces an unreadable validation image; its label is IGNORED."""


class ImageFiles(Protocol):
    """The encoded images of a split, sorted by class and name, from any storage."""

    classes: list[str]

    def __len__(self) -> int: ...

    def label(self, index: int) -> int: ...

    def siblings(self, index: int) -> range: ...

    def path(self, index: int) -> str: ...

    def read(self, index: int) -> bytes: ...


class ImageFolder:
    """Images sorted into class folders below train/ and val/; an ImageSource.

    folder: contains train/ and val/ (or val_in_folders/, or validation/), see `cornet.stimuli.datasets.class_folders`.
    size: pixels per side of the network's input.
    views: validation protocols, "center" and/or "squash"; each file is decoded once for all of them.
    mean, std: per channel, for images scaled to 0..1 (default: ImageNet).
    crop_scale: range of the share of an image's area that a training crop covers.
    crop_ratio: range of width / height of the crop. With both ranges (1, 1), square images are shown whole.
    flip: mirror half of the training images.
    val_resize: for "center", the short side after resizing, in units of `size` (256 pixels at size 224);
        None: `size` itself. Use None for images of `size` x `size` pixels, such as Tiny ImageNet at 64: they then
        pass unchanged, whereas enlarging and cropping would blur them and remove the margin.
    maps: a folder with a map of what is important for some or all images, see `cornet.stimuli.datasets.map_files`; the
        samples then have the targets `map` and `map_token`.
    seed: seed of crops and flips.

    Raises CornetError for folders that `scan_splits` rejects, for incomplete copies by `cornet prepare`, and for
    arguments out of range.
    """

    in_memory = False
    training: "type[TrainPhotographs] | None" = None  # set by subclasses

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        size: int = 224,
        name: str = "imagefolder",
        views: Sequence[str] = ("center",),
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop_scale: Sequence[float] = (0.08, 1.0),
        crop_ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip: bool = True,
        val_resize: float | None = 256 / 224,
        maps: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ) -> None:
        _check_arguments(size, views, crop_scale, crop_ratio, val_resize, seed)
        self.name = name
        self.size = size
        self.views = tuple(views)
        self.mean = (mean[0], mean[1], mean[2])
        self.std = (std[0], std[1], std[2])
        self.crop_scale = (crop_scale[0], crop_scale[1])
        self.crop_ratio = (crop_ratio[0], crop_ratio[1])
        self.flip = flip
        self.short_side = size if val_resize is None else round(size * val_resize)
        self.seed = seed
        self._maps = None if maps is None else MapFiles(maps, folder)
        self._train_files, self._val_files = self._open(folder)
        self.classes = self._train_files.classes

    @property
    def maps(self) -> bool:
        """Whether samples have maps of what is important."""
        return self._maps is not None

    def map_content(self) -> list[bytes]:
        """What identifies the maps: the content of some of them."""
        assert self._maps is not None
        files, count = self._train_files, min(len(self._train_files), 256)
        places = np.linspace(0, len(files) - 1, count).astype(int)
        read = (self._maps.read(files.path(int(k))) for k in places)
        return [b"none" if one is None else one.tobytes() for one in read]

    def _open(self, folder: str | os.PathLike[str]) -> tuple[ImageFiles, ImageFiles]:
        """Open the training and validation images."""
        check_complete(folder)
        train, val = scan_splits(folder)
        check_count(folder, {"train": len(train), "val": len(val)})
        return train, val

    def train(self) -> "TrainPhotographs":
        """Training images, (3, size, size)."""
        return (self.training or TrainPhotographs)(
            self._train_files,
            size=self.size,
            scale=self.crop_scale,
            ratio=self.crop_ratio,
            flip=self.flip,
            seed=self.seed,
            maps=self._maps,
        )

    def val(self) -> "ValPhotographs":
        """Validation images, (view, 3, size, size)."""
        shown: Any = {"size": self.size, "views": self.views, "short_side": self.short_side}
        return ValPhotographs(self._val_files, maps=self._maps, **shown)


@dataclass(eq=False)
class TrainPhotographs:
    """Random crops and flips that depend on (seed, epoch, index). For an unreadable image: the next of its class."""

    files: ImageFiles
    size: int
    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: bool
    seed: int
    maps: MapFiles | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, key: Key) -> Sample:
        """Raises CornetError if no file of the class can be read."""
        index, epoch = key
        siblings = self.files.siblings(index)
        bad: list[str] = []
        for step in range(len(siblings)):
            other = siblings[(index - siblings.start + step) % len(siblings)]
            try:
                image = decode_image(self.files.read(other))
            except BadImage:
                bad.append(escaped(self.files.path(other)))
                continue
            rng = random_generator(self.seed, epoch, index)
            height, width = image.shape[:2]
            box = random_box(height, width, rng, scale=self.scale, ratio=self.ratio)
            mirrored = self.flip and bool(rng.random() < 0.5)
            pixels = resize_crop(image, box, self.size, flip=mirrored)
            path = self.files.path(other)
            targets = {} if self.maps is None else self.maps.targets(path, box, self.size, flip=mirrored)
            return Sample(pixels, self.files.label(index), index, tuple(bad), targets)
        folder = os.path.dirname(bad[0])
        raise CornetError(
            f"none of the {len(bad)} images in {folder} can be read; replace them, or check the disk."
        )

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return [self[key] for key in keys]


@dataclass(eq=False)
class ValPhotographs:
    """The validation views of each image. An unreadable image is grey, with the label IGNORED.

    A map is that of the first view.
    """

    files: ImageFiles
    size: int
    views: tuple[str, ...]
    short_side: int
    maps: MapFiles | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, key: Key) -> Sample:
        index = key[0]
        try:
            image = decode_image(self.files.read(index))
        except BadImage:
            grey = torch.full((len(self.views), 3, self.size, self.size), GREY, dtype=torch.uint8)
            targets = {} if self.maps is None else blank(self.size)
            return Sample(grey, IGNORED, index, (escaped(self.files.path(index)),), targets)
        views = [VIEWS[view](image, self.size, self.short_side) for view in self.views]
        targets = {} if self.maps is None else self._map(index)
        return Sample(torch.stack(views), self.files.label(index), index, targets=targets)

    def _map(self, index: int) -> dict[str, Any]:
        """The map of an image, resized and cropped as in the first view."""
        assert self.maps is not None
        heat = self.maps.read(self.files.path(index))
        if heat is None:
            return blank(self.size)
        colours = np.repeat(heat[..., None], 3, axis=2)
        shown = VIEWS[self.views[0]](colours, self.size, self.short_side)[0].numpy()
        return map_target(shown)

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return [self[key] for key in keys]


def _check_arguments(
    size: int,
    views: Sequence[str],
    crop_scale: Sequence[float],
    crop_ratio: Sequence[float],
    val_resize: float | None,
    seed: int,
) -> None:
    check_pixels("size", size)
    unknown = [view for view in views if view not in VIEWS]
    if unknown or not views or len(set(views)) < len(views):
        raise CornetError(
            f"views={list(views)} is invalid; give one or more of {', '.join(VIEWS)}, each once."
        )
    if not (len(crop_scale) == 2 and 0 < crop_scale[0] <= crop_scale[1] <= 1):
        raise CornetError(
            f"crop_scale={crop_scale} must be two ascending shares of the area; give for example (0.08, 1)."
        )
    if not (len(crop_ratio) == 2 and 0 < crop_ratio[0] <= crop_ratio[1]):
        raise CornetError(
            f"crop_ratio={crop_ratio} must be two ascending ratios; give for example (0.75, 1.33)."
        )
    if val_resize is not None and not 1 <= val_resize <= 4:
        raise CornetError(
            f"val_resize={val_resize} must be from 1 to 4 (the short side in units of size), or null for size itself."
        )
    if seed < 0:
        raise CornetError(f"seed={seed} must not be negative.")
