"""Load batches in an order that depends only on (seed, epoch), so that an epoch can be resumed."""

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
"""(seed, epoch, rank, world) -> indices of this rank's images, `length // world` of them."""

NAMES = {
    "batch_size": "recipe.batch_size",
    "images": "a number of training images of",
    "seed": "seed",
    "devices": "a number of devices of",
}
"""Names in messages of the settings that determine the order of an epoch."""


class EpochSampler(Sampler[Key]):
    """Yields keys (index, epoch) of one rank's share of a split.

    length: images in the split. shuffle: a new order every epoch, from (seed, epoch). Training ranks get the same
    number of images and drop the rest; validation ranks share all. order: another shuffled order, such as shard by
    shard. Ranks interleave, so without `order` their k-th batches together are the same for any number of ranks.
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
        """Set the epoch; Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of keys in a whole epoch, including skipped ones."""
        if self.shuffle:
            return self.length // self.world
        return len(range(self.rank, self.length, self.world))

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of this epoch after the first `skip`."""
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
    """A DataLoader whose first epoch starts where a resumed training stopped.

    done: returns the trained batches of this epoch; called at the first batch, as Lightning creates the first iterator
    before it sets the sampler's epoch.
    """

    sampler: EpochSampler

    def __init__(self, images: ImageDataset, done: Callable[[], int] | None = None, **arguments: Any) -> None:
        super().__init__(images, **arguments)  # type: ignore[arg-type]
        self.done = done

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        done, self.done = self.done() if self.done else 0, None
        self.sampler.skip = done * (self.batch_size or 1) if done < len(self) else 0
        try:
            yield from start_workers(super().__iter__)
        except (RuntimeError, OSError, EOFError) as error:  # a worker died and left a batch unfinished
            code = exit_code_of(getattr(self._iterator, "_workers", ()))
            if code is None:
                raise
            raise CornetError(lost_worker(code, self.num_workers)) from error
        except CornetError as error:
            raise CornetError(without_traceback(error)) from None

    def state_dict(self) -> dict[str, Any]:
        """Return nothing. Because this method exists, Lightning lets the loader resume within an epoch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing: Lightning's checkpoints hold the position in the epoch (see `ImageLoaders`)."""


def start_workers(start: Callable[[], Iterator[Batch]]) -> Iterator[Batch]:
    """Start the workers without PyTorch's SIGCHLD handler, so that a worker's death is raised at its batch."""
    if threading.current_thread() is not threading.main_thread():
        return start()
    previous = signal.getsignal(signal.SIGCHLD)
    batches = start()
    signal.signal(signal.SIGCHLD, previous)
    return batches


def without_traceback(error: CornetError) -> str:
    """Return an error's message without the traceback that PyTorch prepends in a worker."""
    text = str(error.args[0]) if error.args else ""
    return re.sub(r"^cornet\.[\w.]+: ", "", text.strip().splitlines()[-1]) if "Traceback" in text else text


def exit_code_of(workers: Sequence[Any]) -> int | None:
    """Return the exit code of the first worker that ended, or None; waits up to a second for it."""
    deadline = time.monotonic() + 1
    while True:
        codes = [code for worker in workers if (code := worker.exitcode)]
        if codes or not workers or time.monotonic() > deadline:
            return codes[0] if codes else None
        time.sleep(0.05)


def lost_worker(code: int, workers: int) -> str:
    """Return the message for a worker that ended with this exit code (negative: minus the signal)."""
    remedy = f"loader.workers={workers // 2}"
    if code == -signal.SIGKILL:
        reason = "was killed, probably because the machine or the job ran out of memory; set " + remedy
    elif code == -signal.SIGBUS:
        reason = "ran out of space in /dev/shm; enlarge it, or set " + remedy
    elif code < 0:
        reason = f"was ended by {signal.Signals(-code).name}; set {remedy} if this happens again"
    else:
        reason = f"ended with status {code}; set loader.workers=0 to see why"
    return f"a loading process {reason}; repeat the command to resume from the last checkpoint."


class ImageLoaders(pl.LightningDataModule):
    """Training and validation batches of an image source.

    source: the images. batch_size: images per training step, over all devices. val_batch_size: None for the same.
    workers: processes per device; None: none for images in memory, otherwise one per core up to 16. seed: of the order.

    Raises CornetError if a batch is larger than the training set or not divisible by the number of devices.
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
        self.checkpoint_state: dict[str, Any] = {}
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
        """Return the settings that determine the order of an epoch, for checkpoints."""
        own_order = hasattr(self.train_images, "epoch_order")
        return {
            "batch_size": self.batch_size,
            "images": len(self.train_images),
            "seed": self.seed,
            "devices": rank_and_world()[1] if own_order else None,  # None: any number
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Store the settings of the checkpoint that is resumed."""
        self.checkpoint_state = state_dict

    def batches_done(self) -> int:
        """Return the batches done in this epoch. Raises CornetError if the settings differ from the checkpoint's."""
        if self.trainer is None:
            return 0
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        for key, current in self.state_dict().items() if done else ():
            if (recorded := self.checkpoint_state.get(key, current)) != current:
                raise CornetError(
                    f"the checkpoint was written within an epoch with {NAMES[key]} {recorded}, and with {current} "
                    "images would be repeated or skipped; use the checkpoint's value, or start from its weights with "
                    "model.pretrained."
                )
        return done

    def loader(self, images: ImageDataset, batch_size: int, shuffle: bool) -> EpochLoader:
        """Return a loader of one rank's share. Workers live as long as the run and prefetch two batches each."""
        rank, world = rank_and_world()
        if batch_size % world:
            raise CornetError(
                f"a batch of {batch_size} cannot be split over {world} devices; choose a multiple of {world}."
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
            generator=torch.Generator(),  # else each epoch would draw from the global generator
        )


def rank_and_world() -> tuple[int, int]:
    """Return the rank and the number of ranks: (0, 1) for a single process."""
    ready = dist.is_available() and dist.is_initialized()
    return (dist.get_rank(), dist.get_world_size()) if ready else (0, 1)


def default_workers(in_memory: bool) -> int:
    """Return the number of workers for one device of this machine."""
    if in_memory:
        return 0
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if "SLURM_PROCID" in os.environ and "SLURM_CPUS_PER_TASK" in os.environ:  # a task may see the whole node
        cores = min(cores, int(os.environ["SLURM_CPUS_PER_TASK"]))
    return min(16, max(1, cores))
