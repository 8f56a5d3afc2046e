"""The checkpoint from which a stopped training goes on, as if it had not been stopped."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import Checkpoint

from cornet.errors import CornetError
from cornet.training.stop_signals import StopSignals

__all__ = ["LastCheckpoint", "random_state", "set_random_state"]


class LastCheckpoint(Checkpoint):
    """Writes `last.ckpt` at the end of every epoch, after some minutes within one, and when a signal asks to stop.

    It holds the state of the other callbacks and the random states, so it comes after all of them. The one before
    becomes `previous.ckpt` (by AtomicCheckpointIO).

    Within an epoch it is written between two steps, never within an accumulated batch. After the last step of an epoch
    it makes the validation begin anew. On several ranks rank 0's clock counts, and they synchronise at logged steps
    only.

    dirpath: the folder. minutes: the longest time between two of them, but for a longer step, validation, or evaluation
    of brain scores. Raises CornetError for minutes that are not positive.
    """

    def __init__(self, dirpath: str | Path, minutes: float = 15.0) -> None:
        if not minutes > 0:
            raise CornetError(f"callbacks.last_checkpoint.minutes={minutes} must be above 0.")
        self.path = Path(dirpath) / "last.ckpt"
        self.minutes = minutes
        self.signals = StopSignals()
        self.random_state: dict[str, Any] | None = None
        self.moment = ""  # of the one that is being written
        self.saved = time.monotonic()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.signals = StopSignals()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.install()
        self.saved = time.monotonic()
        if self.random_state is not None:
            set_random_state(self.random_state)
            self.random_state = None

    def on_train_batch_start(self, trainer: pl.Trainer, _: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches:
            return
        if trainer.world_size > 1 and trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        asked, late = self.signals.asked, time.monotonic() - self.saved > 60 * self.minutes
        asked, late = agreed(trainer, asked, late)  # a signal that comes during this is for the next time
        if asked is not None or late:
            self.save(trainer, "between steps")
        if asked is not None:
            self.signals.asked = asked
            self.signals.obey()

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Only where no other rank is to be asked: these may have fewer batches."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self.signals.asked is not None and trainer.world_size == 1:
            self.save(trainer, "in validation")
            self.signals.obey()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.save(trainer, "after epoch")
        asked, _ = agreed(trainer, self.signals.asked)
        if asked is not None and trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            self.signals.asked = asked
            self.signals.obey()

    def save(self, trainer: pl.Trainer, moment: str) -> None:
        """Write it, on all ranks."""
        self.moment = moment
        trainer.save_checkpoint(self.path)
        self.moment = ""
        self.saved = time.monotonic()

    def on_save_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["random_state"] = random_state()
        if self.moment == "between steps":
            count_step_once(trainer, checkpoint["loops"]["fit_loop"])
        if self.moment == "in validation":
            begin_validation_anew(checkpoint["loops"]["fit_loop"])
        if self.moment == "after epoch":
            checkpoint["epoch_metrics"] = epoch_metrics(trainer)

    def on_load_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        self.random_state = checkpoint.get("random_state")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.signals.restore()


def epoch_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """What Lightning logs of an epoch when its checkpoint is written already, with its step."""
    loop = trainer.fit_loop.epoch_loop
    found = loop._results.metrics(on_step=False)["log"]
    plain = {name: one.item() if isinstance(one, torch.Tensor) else one for name, one in found.items()}
    return {**plain, "epoch": trainer.current_epoch, "step": loop._batches_that_stepped - 1}


def begin_validation_anew(loop: dict[str, Any]) -> None:
    """Lightning's state of a training within a validation becomes that at its first batch, with which it goes on."""
    progress = loop["epoch_loop.val_loop.batch_progress"]
    for part in ("total", "current"):
        progress[part].update(ready=1, started=1, processed=0, completed=0)
    progress["is_last_batch"] = False
    # Of a training that has gone on from within an epoch Lightning counts one batch more as ready than was trained on,
    # and would then count the step before the validation twice.
    batches = loop["epoch_loop.batch_progress"]["total"]
    batches.update(ready=batches["completed"], started=batches["completed"], processed=batches["completed"])


def count_step_once(trainer: pl.Trainer, loop: dict[str, Any]) -> None:
    """Lightning expects a checkpoint at the end of a batch, and on going on counts the step that would have ended."""
    batch = loop["epoch_loop.batch_progress"]["current"]["ready"]
    if not batch % trainer.accumulate_grad_batches or batch >= trainer.num_training_batches:
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1


def agreed(trainer: pl.Trainer, asked: int | None, late: bool = False) -> tuple[int | None, bool]:
    """The highest signal that any rank was sent, and whether rank 0 finds that it is time."""
    if trainer.world_size == 1:
        return asked, late
    device = trainer.strategy.root_device
    told = torch.tensor([asked or 0, int(late and trainer.is_global_zero)], device=device)
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    signum, time_is_over = told.tolist()
    return signum or None, bool(time_is_over)


def random_state() -> dict[str, Any]:
    """Of Python, NumPy and torch on this process's devices, as plain data and tensors."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 -- all that uses it
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Go on with the random numbers after those of `random_state`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
