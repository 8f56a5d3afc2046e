"""Write the checkpoint that resumes a stopped training exactly where it was."""

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
    """Writes `last.ckpt` after every epoch, every few minutes within an epoch, and when a signal asks to stop.

    It stores the state of the other callbacks and the random states, so it must be the last callback. The previous
    file is kept as `previous.ckpt`.

    Within an epoch it is written between optimiser steps, never within an accumulated batch. A checkpoint within the
    validation restarts that validation. With several ranks, rank 0's clock counts, and the ranks synchronise only at
    logged steps.

    dirpath: the folder. minutes: the longest time between two checkpoints, except during a step, a validation or an
    evaluation of brain scores. Raises CornetError unless minutes is above 0.
    """

    def __init__(self, dirpath: str | Path, minutes: float = 15.0) -> None:
        if not minutes > 0:
            raise CornetError(f"callbacks.last_checkpoint.minutes={minutes} must be above 0.")
        self.path = Path(dirpath) / "last.ckpt"
        self.minutes = minutes
        self.signals = StopSignals()
        self.random_state: dict[str, Any] | None = None
        self.position = ""  # where training is, while a checkpoint is written
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
        received, due = self.signals.received, time.monotonic() - self.saved > 60 * self.minutes
        received, due = reduce_signal(trainer, received, due)  # later signals count next time
        if received is not None or due:
            self.save(trainer, "between steps")
        if received is not None:
            self.signals.received = received
            self.signals.stop()

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop within the validation, with one process only: ranks may have different numbers of batches."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self.signals.received is not None and trainer.world_size == 1:
            self.save(trainer, "in validation")
            self.signals.stop()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.save(trainer, "after epoch")
        received, _ = reduce_signal(trainer, self.signals.received)
        if received is not None and trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            self.signals.received = received
            self.signals.stop()

    def save(self, trainer: pl.Trainer, position: str) -> None:
        """Write the checkpoint, on all ranks."""
        self.position = position
        trainer.save_checkpoint(self.path)
        self.position = ""
        self.saved = time.monotonic()

    def on_save_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["random_state"] = random_state()
        if self.position == "between steps":
            count_step_once(trainer, checkpoint["loops"]["fit_loop"])
        if self.position == "in validation":
            restart_validation(checkpoint["loops"]["fit_loop"])
        if self.position == "after epoch":
            checkpoint["epoch_metrics"] = epoch_metrics(trainer)

    def on_load_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        self.random_state = checkpoint.get("random_state")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.signals.restore()


def epoch_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """Return the metrics, with their step, that Lightning logs only after the epoch's checkpoint is written."""
    loop = trainer.fit_loop.epoch_loop
    logged = loop._results.metrics(on_step=False)["log"]
    values = {name: v.item() if isinstance(v, torch.Tensor) else v for name, v in logged.items()}
    return {**values, "epoch": trainer.current_epoch, "step": loop._batches_that_stepped - 1}


def restart_validation(loop: dict[str, Any]) -> None:
    """Change Lightning's saved state from within a validation to its first batch."""
    progress = loop["epoch_loop.val_loop.batch_progress"]
    for part in ("total", "current"):
        progress[part].update(ready=1, started=1, processed=0, completed=0)
    progress["is_last_batch"] = False
    # After a resume within an epoch, Lightning counts one more batch as ready than were trained, and would then count
    # the step before the validation twice.
    batches = loop["epoch_loop.batch_progress"]["total"]
    batches.update(ready=batches["completed"], started=batches["completed"], processed=batches["completed"])


def count_step_once(trainer: pl.Trainer, loop: dict[str, Any]) -> None:
    """Correct the step count: Lightning expects a checkpoint after a batch, and on resuming adds that step."""
    batch = loop["epoch_loop.batch_progress"]["current"]["ready"]
    if not batch % trainer.accumulate_grad_batches or batch >= trainer.num_training_batches:
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1


def reduce_signal(trainer: pl.Trainer, received: int | None, due: bool = False) -> tuple[int | None, bool]:
    """Return the highest signal that any rank received, and whether a checkpoint is due on rank 0."""
    if trainer.world_size == 1:
        return received, due
    device = trainer.strategy.root_device
    flags = torch.tensor([received or 0, int(due and trainer.is_global_zero)], device=device)
    dist.all_reduce(flags, op=dist.ReduceOp.MAX)
    signum, is_due = flags.tolist()
    return signum or None, bool(is_due)


def random_state() -> dict[str, Any]:
    """Return the random states of Python, NumPy and torch on this process's devices, as plain data and tensors."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 -- for all code that uses it
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the random states that `random_state` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
