"""From a source of images to batches, in an order that depends on (seed, epoch) alone: an epoch can be resumed."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Sampler

from cornet.errors import CornetError
from cornet.stimuli.samples import Batch, ImageDataset, ImageSource, Key, collate

__all__ = ["EpochLoader", "EpochSampler", "ImageLoaders"]

Order = Callable[[int, int, int, int], list[int]]
"""(seed, epoch, rank, world) -> the images of this rank, `length // world` of them."""

NAMES = {
    "batch_size": "recipe.batch_size",
    "images": "a number of training images of",
    "seed": "seed",
    "devices": "a number of devices of",
}
"""How a message calls what the order of an epoch depends on."""


class EpochSampler(Sampler[Key]):
    """Keys (index, epoch) of one rank's share of a split.

    length: images in the split. shuffle: a new order every epoch, from (seed, epoch). Training ranks get equally many
    images and leave out the rest; validation ranks share all. order: another shuffled order, such as shard by shard.
    Ranks interleave, so their k-th batches together are the same for any number of ranks (without `order`).
    """

    def __init__(
        self, length: int, seed: int, shuffle: bool, rank: int = 0, world: int = 1, order: Order | None = None
    ):
        self.length, self.seed, self.shuffle = length, seed, shuffle
        self.rank, self.world = rank, world
        self.order = order
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Of a whole epoch, also where a part is skipped."""
        if self.shuffle:
            return self.length // self.world
        return len(range(self.rank, self.length, self.world))

    def __iter__(self) -> Iterator[Key]:
        """Keys of this epoch, without the first `skip` of them."""
        if not self.shuffle:
            order = list(range(self.rank, self.length, self.world))
        elif self.order is not None:
            order = self.order(self.seed, self.epoch, self.rank, self.world)
        else:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            shuffled = torch.randperm(self.length, generator=generator).tolist()
            order = shuffled[: len(self) * self.world][self.rank :: self.world]
        return (Key(index, self.epoch) for index in order[self.skip :])


class EpochLoader(DataLoader[Batch]):
    """A DataLoader whose first epoch begins where a resumed training stands in it.

    done: trained batches of this epoch, asked at the first batch. Iterators are lazy, as Lightning makes the first one
    before it tells the sampler the epoch.
    """

    sampler: EpochSampler

    def __init__(self, images: ImageDataset, done: Callable[[], int] | None = None, **arguments: Any) -> None:
        super().__init__(images, **arguments)  # type: ignore[arg-type]
        self.done = done

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        done, self.done = self.done() if self.done else 0, None
        self.sampler.skip = done * (self.batch_size or 1) if done < len(self) else 0
        try:
            yield from unheard(super().__iter__)
        except (RuntimeError, OSError, EOFError) as error:  # a dead process has left a batch unfinished
            code = ended_with(getattr(self._iterator, "_workers", ()))
            if code is None:
                raise
            raise CornetError(lost_worker(code, self.num_workers)) from error
        except CornetError as error:
            raise CornetError(own_sentence(error)) from None

    def state_dict(self) -> dict[str, Any]:
        """Nothing: with this method Lightning knows that the loader can go on in the middle of an epoch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing: how far the epoch is, Lightning's checkpoints hold already (see `ImageLoaders`)."""


def unheard(begin: Callable[[], Iterator[Batch]]) -> Iterator[Batch]:
    """Start loading processes whose death is raised where their batches are asked for."""
    if threading.current_thread() is not threading.main_thread():
        return begin()
    before = signal.getsignal(signal.SIGCHLD)
    batches = begin()
    signal.signal(signal.SIGCHLD, before)
    return batches


def own_sentence(error: CornetError) -> str:
    """What an error says, without the traceback that PyTorch puts before it where a loading process has raised it."""
    text = str(error.args[0]) if error.args else ""
    return re.sub(r"^cornet\.[\w.]+: ", "", text.strip().splitlines()[-1]) if "Traceback" in text else text


def ended_with(workers: Sequence[Any], patience: float = 1.0) -> int | None:
    """The exit code of the first of these processes that has ended, which may take a moment to be known."""
    end = time.monotonic() + patience
    while True:
        codes = [code for one in workers if (code := one.exitcode)]
        if codes or not workers or time.monotonic() > end:
            return codes[0] if codes else None
        time.sleep(0.05)


def lost_worker(code: int, workers: int) -> str:
    """What is said of a loading process that ended with this exit code, or minus this signal."""
    fewer = f"loader.workers={workers // 2}"
    if code == -signal.SIGKILL:
        why = "was killed, probably because the machine or the job ran out of memory; set " + fewer
    elif code == -signal.SIGBUS:
        why = "found no more room in /dev/shm; make that larger, or set " + fewer
    elif code < 0:
        why = f"was ended by {signal.Signals(-code).name}; set {fewer} if that comes again"
    else:
        why = f"ended with status {code}; set loader.workers=0 to see why"
    return f"a loading process {why}, and the same command goes on from the last checkpoint."


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
        self.held: dict[str, Any] = {}
        self.train_images, self.val_images = source.train(), source.val()
        if len(self.train_images) < batch_size:
            raise CornetError(
                f"recipe.batch_size={batch_size} is more than the {len(self.train_images)} training images of "
                f"{source.name}; choose a smaller batch."
            )

    def train_dataloader(self) -> EpochLoader:
        return self.loader(self.train_images, self.batch_size, shuffle=True)

    def val_dataloader(self) -> EpochLoader:
        return self.loader(self.val_images, self.val_batch_size, shuffle=False)

    def state_dict(self) -> dict[str, Any]:
        """What the order of an epoch depends on; kept in checkpoints."""
        own_order = hasattr(self.train_images, "epoch_order")
        return {
            "batch_size": self.batch_size,
            "images": len(self.train_images),
            "seed": self.seed,
            "devices": rank_and_world()[1] if own_order else None,  # None: any number
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of the checkpoint that the training goes on from."""
        self.held = state_dict

    def batches_done(self) -> int:
        """Of the trainer's epoch. Raises CornetError where these batches cannot continue a checkpoint's."""
        if self.trainer is None:
            return 0
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        for key, mine in self.state_dict().items() if done else ():
            if (theirs := self.held.get(key, mine)) != mine:
                raise CornetError(
                    f"the checkpoint was written in the middle of an epoch with {NAMES[key]} {theirs}, and with {mine} "
                    "images would be shown twice or left out; go on with the former, or start from its weights with "
                    "model.pretrained."
                )
        return done

    def loader(self, images: ImageDataset, batch_size: int, shuffle: bool) -> EpochLoader:
        """Batches of one rank's share, from worker processes that last for the run and have two batches each ready."""
        rank, world = rank_and_world()
        if batch_size % world:
            raise CornetError(
                f"a batch of {batch_size} does not divide among {world} devices; choose a multiple of {world}."
            )
        workers = default_workers(self.source.in_memory) if self.workers is None else self.workers
        order = getattr(images, "epoch_order", None) if shuffle else None
        return EpochLoader(
            images,
            self.batches_done if shuffle else None,
            batch_size=batch_size // world,
            sampler=EpochSampler(len(images), self.seed, shuffle, rank, world, order),
            drop_last=shuffle,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else each epoch takes a number from the training's own
        )


def rank_and_world() -> tuple[int, int]:
    """Of this process, (0, 1) where there is but one."""
    ready = dist.is_available() and dist.is_initialized()
    return (dist.get_rank(), dist.get_world_size()) if ready else (0, 1)


def default_workers(in_memory: bool) -> int:
    """Loading processes for one device of this machine."""
    if in_memory:
        return 0
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if "SLURM_PROCID" in os.environ and "SLURM_CPUS_PER_TASK" in os.environ:  # a task may see all of its node
        cores = min(cores, int(os.environ["SLURM_CPUS_PER_TASK"]))
    return min(16, max(1, cores))
