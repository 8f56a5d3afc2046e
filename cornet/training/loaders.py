"""From a source of images to batches, in an order that depends on (seed, epoch) alone."""

import os
from collections.abc import Iterator

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Sampler

from cornet.errors import CornetError
from cornet.stimuli.samples import ImageDataset, ImageSource, Key, collate

__all__ = ["EpochSampler", "ImageLoaders"]


class EpochSampler(Sampler[Key]):
    """Keys (index, epoch) of one rank's share of a split.

    length: images in the split. shuffle: a new order every epoch, from (seed, epoch). Training ranks get
    equally many images (the few left over wait for another epoch); validation ranks share all images, none
    twice.
    """

    def __init__(self, length: int, seed: int, shuffle: bool, rank: int = 0, world: int = 1):
        self.length, self.seed, self.shuffle = length, seed, shuffle
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return self.length // self.world
        return len(range(self.rank, self.length, self.world))

    def __iter__(self) -> Iterator[Key]:
        if not self.shuffle:
            order = list(range(self.rank, self.length, self.world))
        else:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            shuffled = torch.randperm(self.length, generator=generator).tolist()
            order = shuffled[: len(self) * self.world][self.rank :: self.world]
        return (Key(index, self.epoch) for index in order)


class ImageLoaders(pl.LightningDataModule):
    """Training and validation batches of a source.

    source: the images. batch_size: images a training step, over all devices. val_batch_size: None for the
    same. workers: loading processes per device; None for none where the images are in memory, else one per
    core up to 16. seed: of the order.

    Raises CornetError when a batch is larger than the training images or does not divide among the devices.
    """

    def __init__(
        self,
        source: ImageSource,
        batch_size: int = 64,
        val_batch_size: int | None = None,
        workers: int | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.source, self.seed = source, seed
        self.batch_size, self.val_batch_size = batch_size, val_batch_size or batch_size
        self.workers = workers
        self.train_images, self.val_images = source.train(), source.val()
        if len(self.train_images) < batch_size:
            raise CornetError(
                f"recipe.batch_size={batch_size} is more than the {len(self.train_images)} training images of "
                f"{source.name}; choose a smaller batch."
            )

    def train_dataloader(self) -> DataLoader:
        return self.loader(self.train_images, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self.loader(self.val_images, self.val_batch_size, shuffle=False)

    def loader(self, images: ImageDataset, batch_size: int, shuffle: bool) -> DataLoader:
        """Batches of one rank's share."""
        ready = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if ready else (0, 1)
        if batch_size % world:
            raise CornetError(
                f"a batch of {batch_size} does not divide among {world} devices; choose a multiple of {world}."
            )
        workers = default_workers(self.source.in_memory) if self.workers is None else self.workers
        return DataLoader(
            images,  # type: ignore[arg-type]
            batch_size=batch_size // world,
            sampler=EpochSampler(len(images), self.seed, shuffle, rank, world),
            drop_last=shuffle,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
        )


def default_workers(in_memory: bool) -> int:
    """Loading processes for one device of this machine."""
    if in_memory:
        return 0
    return min(16, max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
