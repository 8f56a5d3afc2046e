"""Photographs from LitData shards, in a folder or in object storage.

Samples are the same as from class folders. Only their order differs: an epoch proceeds from shard to shard, so that
each node fetches only its share.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cornet.errors import CornetError
from cornet.stimuli.datasets.class_folders import ByClass
from cornet.stimuli.datasets.photographs import ImageFiles, ImageFolder, TrainPhotographs
from cornet.stimuli.datasets.shard_format import DESCRIPTION, Item, ShardSet, item_at, shard_name
from cornet.stimuli.datasets.shard_store import ShardStore
from cornet.stimuli.draws import bits, uniform
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["ImageShards", "ShardFiles", "TrainShards"]


class ShardFiles(ByClass):
    """The encoded images of a split (`ImageFiles`), in shards. window: number of shards to mix at a time."""

    def __init__(self, store: ShardStore, about: ShardSet, split: str, window: int) -> None:
        self.store, self.split, self.window = store, split, window
        self.classes, self.per_shard, self.digest = about.classes, about.per_shard, about.digest
        self._sizes, self._hashes = about.sizes[split], about.hashes.get(split, [])
        self._starts = np.cumsum([0, *about.counts[split]])
        self._order = about.order(split)
        self._place = np.empty_like(self._order)
        self._place[self._order] = np.arange(len(self._order))

    def __len__(self) -> int:
        return len(self._order)

    def path(self, index: int) -> str:
        """The folder of the shards and the image's path in the original folder."""
        return f"{self.store.folder}/{self.item(index).name}"

    def read(self, index: int) -> bytes:
        return self.item(index).image

    def item(self, index: int) -> Item:
        """Read the item of an image. Raises CornetError for shards that do not match their description."""
        shard, place = divmod(int(self._place[index]), self.per_shard)
        name = f"{self.split}/{shard_name(shard)}"
        try:
            item = item_at(self.store.item(name, place, self._sizes[shard], self._hashes[shard]))
        except (ValueError, IndexError):
            item = None
        if item is None or (item.index, item.label) != (index, self.label(index)):
            raise CornetError(
                f"{name} in {self.store.folder} is damaged or of another data set; write or copy it again."
            )
        return item

    def epoch_order(self, seed: int, epoch: int, rank: int, world: int) -> list[int]:
        """Indices of the `len(self) // world` images of a rank in an epoch.

        Shards are shuffled, and each rank takes a contiguous stretch of their images. Images are sorted by their
        shard's position plus a random share of `window`, so about `window` shards are in use at a time, and a new one
        is needed every `per_shard` images.
        """
        share = len(self) // world
        shards = np.argsort(bits(seed, "shard order", epoch, np.arange(len(self._sizes))), kind="stable")
        counts = np.full(len(self._sizes), self.per_shard)
        counts[-1] = len(self) - self.per_shard * (len(counts) - 1)
        ends = np.cumsum(counts[shards])
        stretch = np.arange(rank * share, (rank + 1) * share)
        turn = np.searchsorted(ends, stretch, side="right")
        first = ends[turn] - counts[shards[turn]]
        images = self._order[shards[turn] * self.per_shard + stretch - first]
        late = self.window * uniform(seed, "image order", epoch, images)
        return images[np.argsort(turn + late, kind="stable")].tolist()


class TrainShards(TrainPhotographs):
    """Training images in shards, with their own epoch order."""

    files: ShardFiles

    def epoch_order(self, seed: int, epoch: int, rank: int, world: int) -> list[int]:
        return self.files.epoch_order(seed, epoch, rank, world)


class ImageShards(ImageFolder):
    """Shards written by `cornet prepare NAME SOURCE TARGET --shards`; an ImageSource.

    folder: a path, or a URL of object storage such as s3://bucket/imagenet. name: of the data set in the shards.
    window: number of shards to mix at a time; more mix better, but need cache space for that number of shards per
    device. cache, cache_gb, storage_options: see `cornet.stimuli.datasets.shard_store.ShardStore`. Others: as in
    `ImageFolder`.

    Raises CornetError for incomplete shards, and for those of another data set.
    """

    training = TrainShards

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        size: int = 224,
        name: str = "imagenet",
        views: Sequence[str] = ("center",),
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop_scale: Sequence[float] = (0.08, 1.0),
        crop_ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip: bool = True,
        val_resize: float | None = 256 / 224,
        seed: int = 0,
        window: int = 16,
        cache: str | os.PathLike[str] | None = None,
        cache_gb: float | None = None,
        storage_options: Mapping[str, Any] | None = None,
        maps: None = None,
    ) -> None:
        if maps is not None:
            raise CornetError(
                f"data.maps={maps} needs images in class folders, and shards have none; use data=imagenet."
            )
        if window < 1:
            raise CornetError(f"window={window} must be a number of shards, at least 1; give for example 16.")
        self.name, self.window = name, window
        self._store = ShardStore(folder, cache, cache_gb, storage_options)
        super().__init__(
            folder,
            size=size,
            name=name,
            views=views,
            mean=mean,
            std=std,
            crop_scale=crop_scale,
            crop_ratio=crop_ratio,
            flip=flip,
            val_resize=val_resize,
            seed=seed,
        )

    def _open(self, folder: str | os.PathLike[str]) -> tuple[ImageFiles, ImageFiles]:
        where = f"{self._store.folder}/{DESCRIPTION}"
        about = ShardSet.parse(self._store.read(DESCRIPTION), where)
        if not about.complete:
            raise CornetError(
                f"the shards in {self._store.folder} are incomplete; complete them with `cornet prepare {about.name} "
                f"{about.source} TARGET --shards --images-per-shard {about.per_shard}`."
            )
        if about.digest != about.fingerprint():
            raise CornetError(f"{where} was changed after it was written; write or copy the shards again.")
        if about.name != self.name:
            raise CornetError(
                f"the shards in {self._store.folder} are of {about.name}, not of {self.name}; give another "
                f"data.folder, or data.name={about.name}."
            )
        train, val = (ShardFiles(self._store, about, split, self.window) for split in ("train", "val"))
        return train, val
