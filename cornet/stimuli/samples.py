"""What flows from a set of images to a network: keys in, samples out, batches of them to the device.

Images are uint8 until the device. Datasets are read by `Key(index, epoch)`, on which alone an augmentation depends.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

__all__ = ["IGNORED", "Batch", "ImageDataset", "ImageSource", "InMemory", "Key", "Sample", "collate"]

IGNORED = -100
"""Label of a validation image that could not be read: losses and accuracies leave it out."""


class Key(NamedTuple):
    """Which image, and in which epoch it is shown."""

    index: int  # type: ignore[assignment]  # tuples have a method of that name, which nobody calls here
    epoch: int


class Sample(NamedTuple):
    """One image.

    image: uint8, (3, y, x) in training; (view, 3, y, x) in validation, one view per validation protocol.
    label: class index, or IGNORED.
    index: position in the dataset.
    bad: paths of files that could not be read while making this sample (usually none), as `cornet.names.escaped`.
    """

    image: Tensor
    label: int
    index: int  # type: ignore[assignment]  # tuples have a method of that name, which nobody calls here
    bad: tuple[str, ...] = ()


class Batch(NamedTuple):
    """Samples of one step: images (batch, [view,] 3, y, x) uint8; labels and indices (batch,) int64."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    bad: tuple[str, ...] = ()


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples into a batch; in a worker process straight into memory shared with the training process."""
    return Batch(
        images=default_collate([s.image for s in samples]),
        labels=torch.tensor([s.label for s in samples], dtype=torch.int64),
        indices=torch.tensor([s.index for s in samples], dtype=torch.int64),
        bad=tuple(path for s in samples for path in s.bad),
    )


@runtime_checkable
class ImageDataset(Protocol):
    """A split: map-style, read by key, several at once where that is cheaper."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> Sample: ...

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]: ...


class InMemory(ABC):
    """A split whose images are in memory, `images` with one a row: its samples are made several at once."""

    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Key) -> Sample:
        return self.__getitems__([key])[0]

    @abstractmethod
    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        """The samples of several keys, in their order."""


@runtime_checkable
class ImageSource(Protocol):
    """Images with classes: what a configuration's `data` group names.

    classes: names, in label order. size: pixels a side of a training image. mean, std: per channel, of
    images scaled to 0..1. views: names of the validation protocols, the first being the one that is
    monitored. in_memory: True where loading needs no worker processes.
    """

    name: str
    classes: list[str]
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    views: tuple[str, ...]
    in_memory: bool

    def train(self) -> ImageDataset: ...

    def val(self) -> ImageDataset: ...
