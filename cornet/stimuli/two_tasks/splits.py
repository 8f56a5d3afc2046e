"""Choose images of a split evenly over classes, and join the splits of several sources into one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.stimuli.draws import uniform
from cornet.stimuli.samples import IGNORED, ImageDataset, Key, Sample

__all__ = ["JoinedSplit", "Part", "choose_evenly", "halved", "labels_of"]

Rows = NDArray[np.int64]
READ = 1024
_STREAM = "cornet two tasks grey"


def labels_of(split: Any) -> Rows:
    """The label of each image of a split, (image,): from its files or labels if it has them, else from the samples."""
    files = getattr(split, "files", None)
    if files is not None:
        return np.array([files.label(k) for k in range(len(split))], np.int64)
    known = getattr(split, "labels", None)
    if known is not None:
        return np.asarray(known, np.int64)
    starts = range(0, len(split), READ)
    keys = [[Key(k, 0) for k in range(start, min(start + READ, len(split)))] for start in starts]
    return np.array([one.label for some in keys for one in split.__getitems__(some)], np.int64)


def choose_evenly(labels: Rows, count: int) -> Rows:
    """Positions of `count` images, ascending, as even over the classes as their numbers allow; the first of each class.

    labels: (image,). Where a class has fewer images than its share, the others give more. The remainder goes to the
    classes in order of their label.
    """
    classes, numbers = np.unique(labels, return_counts=True)
    quota = np.zeros(len(classes), np.int64)
    while (left := count - int(quota.sum())) > 0:
        room = np.flatnonzero(quota < numbers)
        if not len(room):
            break
        share = max(1, left // len(room))
        for k in room[: left // share]:
            quota[k] = min(numbers[k], quota[k] + share)
    rank = np.empty(len(labels), np.int64)
    for label in classes:
        here = np.flatnonzero(labels == label)
        rank[here] = np.arange(len(here))
    allowed = dict(zip(classes.tolist(), quota.tolist(), strict=True))
    return np.flatnonzero(rank < np.array([allowed[one] for one in labels.tolist()], np.int64))


def halved(labels: Rows) -> tuple[Rows, Rows]:
    """Positions of two disjoint halves: every other image of each class, the first one in the first half."""
    second = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        second[np.flatnonzero(labels == label)[1::2]] = True
    return np.flatnonzero(~second), np.flatnonzero(second)


class Part:
    """Some images of a split, with labels that begin at `offset`."""

    def __init__(self, split: ImageDataset, rows: Rows, offset: int, labels: Rows) -> None:
        """rows: positions in the split. labels: (image,), of the whole split."""
        self.split, self.rows, self.offset = split, rows, offset
        self.labels = np.where(labels[rows] == IGNORED, IGNORED, labels[rows] + offset)

    def __len__(self) -> int:
        return len(self.rows)


class JoinedSplit:
    """The images of several parts, one after another. grey: share of the images that are shown without colour.

    labels: (image,), of all classes. Which images are grey depends only on (seed, epoch, index).
    """

    def __init__(self, parts: Sequence[Part], grey: float = 0.0, seed: int = 0) -> None:
        self.parts, self.grey, self.seed = list(parts), grey, seed
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.labels = np.concatenate([part.labels for part in self.parts])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, key: Key) -> Sample:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = np.array([key[0] for key in keys], np.int64)
        which = np.searchsorted(self.starts, index, side="right") - 1
        found: dict[int, Sample] = {}
        for number, part in enumerate(self.parts):
            places = np.flatnonzero(which == number)
            if not len(places):
                continue
            inner = [Key(int(part.rows[index[k] - self.starts[number]]), keys[k][1]) for k in places.tolist()]
            for k, sample in zip(places.tolist(), part.split.__getitems__(inner), strict=True):
                label = IGNORED if sample.label == IGNORED else sample.label + part.offset
                found[k] = sample._replace(label=label, index=int(index[k]))
        samples = [found[k] for k in range(len(keys))]
        if not self.grey:
            return samples
        drawn = uniform(_STREAM, self.seed, np.array([key[1] for key in keys], np.int64), index)
        return [
            one._replace(image=without_colour(one.image)) if chance < self.grey else one
            for one, chance in zip(samples, drawn, strict=True)
        ]


def without_colour(image: Any) -> Any:
    """An image (..., 3, y, x) uint8 in grey, three equal channels: 0.299 red + 0.587 green + 0.114 blue."""
    red, green, blue = image.float().unbind(-3)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue).round().clamp(0, 255).to(image.dtype)
    return grey.unsqueeze(-3).expand_as(image)
