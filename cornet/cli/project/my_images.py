"""Images of my own: a class with the fields below, which conf/experiment/mine.yaml names in `data._target_`.

Photographs in class folders need no class: cornet train data=imagefolder data.folder=/path/to/it
"""

from collections.abc import Sequence

import numpy as np
import torch

from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.samples import InMemory, Key, Sample


class MyImages:
    """Rendered objects of eight categories at a contrast from 0 to 1. Replace `load` to read images of your own."""

    name = "my_images"
    views = ("center",)  # names of the validation views: here one, the unchanged image
    in_memory = True  # False: loaded by worker processes
    mean, std = (0.5, 0.5, 0.5), (0.1, 0.1, 0.1)  # per channel, of images from 0 to 1

    def __init__(
        self, train_images: int, val_images: int, size: int, contrast: float, seed: int = 0, name: str = name
    ) -> None:
        self.objects = RenderedObjects(train_images=train_images, val_images=val_images, size=size)
        self.classes = self.objects.classes  # names, in the order of the labels
        self.size, self.contrast, self.seed, self.name = size, contrast, seed, name

    def load(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the images of "train" or "val", (image, y, x) uint8, and their labels."""
        pixels = self.objects.images(split).astype(np.float32)
        images = (127.5 + self.contrast * (pixels - 127.5)).round().astype(np.uint8)
        return images, np.arange(len(images)) % len(self.classes)

    def train(self) -> "MySplit":
        return MySplit(*self.load("train"), mirror_seed=self.seed)

    def val(self) -> "MySplit":
        return MySplit(*self.load("val"))


class MySplit(InMemory):
    """Images and labels. mirror_seed: mirror half of the images of an epoch, for training; None: for validation."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, mirror_seed: int | None = None) -> None:
        self.images, self.labels, self.mirror_seed = images, labels, mirror_seed

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return [self.sample(*key) for key in keys]

    def sample(self, index: int, epoch: int) -> Sample:
        """Return an image as (3, y, x) for training, or (view, 3, y, x). It depends on nothing but its key."""
        pixels = torch.from_numpy(self.images[index]).expand(3, -1, -1)
        if self.mirror_seed is None:
            return Sample(pixels[None], int(self.labels[index]), index)
        if np.random.default_rng((self.mirror_seed, epoch, index)).random() < 0.5:
            pixels = pixels.flip(-1)
        return Sample(pixels, int(self.labels[index]), index)
