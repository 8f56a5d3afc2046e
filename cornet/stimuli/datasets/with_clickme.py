"""ImageNet with ClickMe's images and maps among its training images, as harmonised networks are trained.

source = WithClickMe(imagenet_folder, clickme=clickme_folder)     # a fifth of the training images are ClickMe's
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.stimuli.datasets.clickme import CLASSES, ClickMe
from cornet.stimuli.datasets.map_files import blank
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.draws import bits
from cornet.stimuli.samples import ImageDataset, Key, Sample

__all__ = ["HUMAN_CEILING", "MixedImages", "WithClickMe"]

HUMAN_CEILING = 0.65753
"""Mean Spearman correlation between ClickMe maps of two halves of the participants (serre-lab/Harmonization)."""


class WithClickMe(ImageFolder):
    """ImageNet in class folders, and ClickMe's TFRecords; an ImageSource with maps.

    clickme: the folder with train-0, train-1, ..., val-0, ...; see `cornet.stimuli.datasets.clickme`. share: of the
    training images that are ClickMe's (published: a fifth). Others: as in `ImageFolder`.

    An epoch shows each image of the folder once, and as many of ClickMe's as the share asks for, in turn over epochs.
    Validation images are those of the folder; `map_images` are ClickMe's validation images with their maps.
    Raises CornetError for a folder without ImageNet's 1,000 classes, and a share outside 0..1.
    """

    maps = True
    map_ceiling = HUMAN_CEILING

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        clickme: str | os.PathLike[str],
        share: float = 0.2,
        **options: Any,
    ) -> None:
        if not 0 < share < 1:
            raise CornetError(
                f"share={share!r} of ClickMe's images must be between 0 and 1; the published one is 0.2."
            )
        super().__init__(folder, **options)
        if len(self.classes) != CLASSES:
            raise CornetError(
                f"{folder} has {len(self.classes)} classes, but ClickMe labels those of ImageNet; give a folder with "
                f"all {CLASSES:,}."
            )
        self.clickme, self.share = clickme, share

    def train(self) -> "MixedImages":  # type: ignore[override]
        mapped = ClickMe(self.clickme, split="train", size=self.size, seed=self.seed)
        return MixedImages(super().train(), mapped, self.share, self.size, self.seed)

    def map_images(self) -> ClickMe:
        """ClickMe's validation images, with their evaluation maps."""
        return ClickMe(self.clickme, split="val", size=self.size, seed=self.seed)

    def map_content(self) -> list[bytes]:
        files = ClickMe(self.clickme, split="train", size=self.size).files
        return [f"{path.name} {path.stat().st_size}".encode() for path in files]


class MixedImages:
    """Images without maps, and after them a number of places that show images with maps, in turn.

    images: without maps, n of them. mapped: with maps. share: of the places that show the latter. An epoch of n places
    for images has round(n share / (1 - share)) places for mapped ones, which go through all of these in a random order
    before any is shown again.
    """

    def __init__(
        self, images: ImageDataset, mapped: ImageDataset, share: float, size: int, seed: int
    ) -> None:
        self.images, self.mapped, self.size, self.seed = images, mapped, size, seed
        self.places = max(1, round(len(images) * share / (1 - share)))

    def __len__(self) -> int:
        return len(self.images) + self.places

    def shown(self, place: int, epoch: int) -> int:
        """The mapped image at a place (from 0) in an epoch."""
        turn, position = divmod(epoch * self.places + place, len(self.mapped))
        return int(order_of(len(self.mapped), self.seed, turn)[position])

    def __getitem__(self, key: Key) -> Sample:
        index, epoch = key
        place = index - len(self.images)
        if place < 0:
            return self.images[key]._replace(targets=blank(self.size))
        return self.mapped[Key(self.shown(place, epoch), epoch)]._replace(index=index)

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return [self[key] for key in keys]


@lru_cache(maxsize=4)
def order_of(count: int, seed: int, turn: int) -> NDArray[np.int64]:
    """A random order of `count` images."""
    return np.argsort(bits(seed, "mapped images", turn, np.arange(count)), kind="stable")
