"""Grey images in memory with their labels: shown unchanged, or shifted and mirrored at random."""

from collections.abc import Sequence

import numpy as np
import torch

from cornet.stimuli.samples import InMemory, Key, Sample
from cornet.stimuli.shift import shift_and_flip

__all__ = ["ShiftedImages", "ShownImages"]

_STREAM = "cornet exemplars augmentation"


class ShownImages(InMemory):
    """images: (image, y, x) uint8. labels: (image,). A sample is (1, 3, y, x), three equal channels."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = np.array([key[0] for key in keys], dtype=np.int64)
        pixels = torch.from_numpy(self.images[index])[:, None, None].expand(-1, 1, 3, -1, -1)
        return [Sample(one, int(self.labels[k]), int(k)) for one, k in zip(pixels, index, strict=True)]


class ShiftedImages(InMemory):
    """images, labels: as in `ShownImages`. shift: at most, in pixels. flip: mirror half. A sample is (3, y, x).

    The shift depends only on (seed, epoch, index).
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, *, shift: int, flip: bool, seed: int) -> None:
        self.images, self.labels = images, labels
        self.shift, self.flip, self.seed = shift, flip, seed

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        shown = shift_and_flip(
            self.images[:, None], keys, stream=_STREAM, seed=self.seed, shift=self.shift, flip=self.flip
        )
        pixels = torch.from_numpy(shown).expand(-1, 3, -1, -1)
        return [
            Sample(one, int(self.labels[key[0]]), int(key[0])) for one, key in zip(pixels, keys, strict=True)
        ]
