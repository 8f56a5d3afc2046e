"""Types of training data: keys, samples, batches, data sets and image sources.

Images are uint8 until they reach the device. Other inputs are floats of any shape, and their source has an empty mean
and std: the network gets them as they are. Data sets are indexed by `Key(index, epoch)`, which determines the
augmentation.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

__all__ = [
    "IGNORED",
    "Batch",
    "ImageDataset",
    "ImageSource",
    "InMemory",
    "Key",
    "Sample",
    "collate",
    "input_shape",
]

IGNORED = -100
"""Label of an unreadable validation image, which losses and accuracies skip."""


class Key(NamedTuple):
    """Index of an image, and the epoch in which it is shown."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not used
    epoch: int


class Sample(NamedTuple):
    """One image, or another input.

    image: uint8, (3, y, x) in training; (view, 3, y, x) in validation, one view per validation protocol. Other inputs:
    floats (...) in training, and (view, ...) in validation.
    label: class index, or IGNORED.
    index: position in the dataset.
    bad: paths of files that could not be read for this sample (usually none), escaped by `cornet.names.escaped`.
    targets: further targets by name: numbers, or arrays of the same shape in all samples.
    """

    image: Tensor
    label: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which is not used
    bad: tuple[str, ...] = ()
    targets: Mapping[str, Any] = {}


class Batch(NamedTuple):
    """Samples of a step.

    inputs: images (batch, [view,] 3, y, x) uint8, or floats (batch, [view,] ...).
    targets: by name, (batch, ...): "label" int64, others float32. indices: (batch,) int64. bad: paths of files that
    could not be read.
    """

    inputs: Tensor
    targets: dict[str, Tensor]
    indices: Tensor
    bad: tuple[str, ...] = ()

    @property
    def images(self) -> Tensor:
        """The inputs."""
        return self.inputs

    @property
    def labels(self) -> Tensor:
        """The target "label", (batch,)."""
        return self.targets["label"]


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples into a batch (in a worker process, in shared memory)."""
    targets = {"label": torch.tensor([s.label for s in samples], dtype=torch.int64)}
    for name in samples[0].targets:
        values = np.array([s.targets[name] for s in samples], dtype=np.float32)
        targets[name] = torch.from_numpy(values)
    return Batch(
        inputs=default_collate([s.image for s in samples]),
        targets=targets,
        indices=torch.tensor([s.index for s in samples], dtype=torch.int64),
        bad=tuple(path for s in samples for path in s.bad),
    )


@runtime_checkable
class ImageDataset(Protocol):
    """A split: a map-style data set indexed by key, which can also return several samples at once."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> Sample: ...

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]: ...


class InMemory(ABC):
    """A split with all its images in memory (`images`, one per row), which makes several samples at once."""

    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Key) -> Sample:
        return self.__getitems__([key])[0]

    @abstractmethod
    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        """Return the samples of several keys, in order."""


@runtime_checkable
class ImageSource(Protocol):
    """Images with classes: the `data` group of a configuration.

    classes: names, in label order. size: pixels per side of a training image. mean, std: per channel, for
    images scaled to 0..1. views: names of the validation protocols; the first one is monitored.
    in_memory: whether loading needs no worker processes.

    A source of other inputs has the mean and std (), and in place of the size its `shape`, that of a training input,
    such as (50,).
    """

    name: str
    classes: list[str]
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    views: tuple[str, ...]
    in_memory: bool

    def train(self) -> ImageDataset: ...

    def val(self) -> ImageDataset: ...


def input_shape(source: Any) -> tuple[int, ...]:
    """The shape of a training input: the source's `shape`, or that of an image of its `size`, (3, y, x)."""
    shape = getattr(source, "shape", None)
    return (3, source.size, source.size) if shape is None else tuple(shape)
