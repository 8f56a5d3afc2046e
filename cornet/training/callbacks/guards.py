"""Callbacks that stop a training at a non-finite loss, and at too many unreadable files."""

import logging
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.stimuli.datasets.bad_files import BadFiles
from cornet.stimuli.samples import Batch
from cornet.training.callbacks.last_checkpoint import LastCheckpoint

__all__ = ["FiniteLoss", "UnreadableFiles"]

log = logging.getLogger("cornet")


class FiniteLoss(pl.Callback):
    """Stops a training whose loss, gradients or weights are NaN or infinite, before they reach a checkpoint.

    Flags on the device record the first bad step; they are read at logged steps and before every checkpoint. Gradients
    are checked by their norms before clipping; not in 16-mixed, whose loss scaling produces infinite ones on purpose.
    Raises CornetError with the step and a parameter.
    """

    def __init__(self) -> None:
        self.first_bad: Tensor | None = None
        self.first_bad_gradient: Tensor | None = None
        self.norms: Tensor | None = None  # (parameter,), gradient norms at that step
        self.names: list[str] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return
        found = {name: p.grad for name, p in pl_module.named_parameters() if p.grad is not None}
        if not found:
            return
        norms = torch.stack([norm.float() for norm in torch._foreach_norm(list(found.values()))])
        if self.first_bad_gradient is None or self.norms is None or self.norms.shape != norms.shape:
            self.first_bad_gradient = torch.full((), -1, dtype=torch.int64, device=norms.device)
            self.norms, self.names = norms, list(found)
        new = ~torch.isfinite(norms).all() & (self.first_bad_gradient < 0)
        step = torch.full_like(self.first_bad_gradient, trainer.global_step + 1)
        self.first_bad_gradient = torch.where(new, step, self.first_bad_gradient)
        self.norms = torch.where(new, norms, self.norms)

    def on_train_batch_end(self, trainer: pl.Trainer, _: Any, outputs: Any, *rest: Any) -> None:
        loss = (outputs["loss"] if isinstance(outputs, dict) else outputs).detach()
        step = torch.full((), trainer.global_step, dtype=torch.int64, device=loss.device)
        if self.first_bad is None:
            self.first_bad = torch.full_like(step, -1)
        new = ~torch.isfinite(loss) & (self.first_bad < 0)
        self.first_bad = torch.where(new, step, self.first_bad)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.read_flags(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.read_flags(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        self.read_flags(trainer)
        entries = [t for t in checkpoint["state_dict"].values() if t.is_floating_point()]
        if not bool(torch.stack([torch.isfinite(t).all() for t in entries]).all()):
            self.stop(trainer, "The weights", trainer.global_step)

    def read_flags(self, trainer: pl.Trainer) -> None:
        """Read the flags, which waits for the device. Raises CornetError for a bad step."""
        loss = int(self.first_bad) if self.first_bad is not None else -1
        gradient = int(self.first_bad_gradient) if self.first_bad_gradient is not None else -1
        if loss >= 0 and not 0 <= gradient < loss:
            self.stop(trainer, "The loss", loss)
        if gradient >= 0:
            assert self.norms is not None
            bad = [n for n, x in zip(self.names, self.norms.tolist(), strict=True) if not math.isfinite(x)]
            others = f" and {len(bad) - 1} others" if len(bad) > 1 else ""
            self.stop(trainer, f"The gradient of {bad[0]}{others}", gradient)

    def stop(self, trainer: pl.Trainer, what: str, step: int) -> None:
        paths = [c.path for c in trainer.callbacks if isinstance(c, LastCheckpoint) and c.path.is_file()]  # type: ignore[attr-defined]
        last = f"the last good checkpoint is {paths[0]}" if paths else "no checkpoint had been written yet"
        raise CornetError(
            f"{what} became NaN or infinite at step {step} (epoch {trainer.current_epoch}) and training was "
            f"stopped; {last}; lower recipe.learning_rate, raise recipe.warmup, or set recipe.clip=1."
        )


class UnreadableFiles(pl.Callback):
    """Logs and counts unreadable image files, lists them in bad_files.csv (split, path), and stops at too many.

    After each pass the ranks share their lists; rank 0 writes the file. folder: where to write bad_files.csv. Raises
    CornetError if more than 10 files and more than 0.1 % of a split are bad.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / "bad_files.csv"
        self.tally = BadFiles({})

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        self.tally = BadFiles({"train": len(data.train_images), "val": len(data.val_images)})
        if self.path.exists():
            for split, rows in pd.read_csv(self.path).groupby("split"):
                self.tally.add(str(split), rows["path"])

    def on_train_batch_end(self, _: Any, module: Any, outputs: Any, batch: Batch, *rest: Any) -> None:
        self.add("train", batch.bad)

    def on_validation_batch_end(self, _: Any, module: Any, outputs: Any, batch: Batch, *rest: Any) -> None:
        self.add("val", batch.bad)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.gather("train")

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.gather("val")

    def gather(self, split: str) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            return
        found: list[set[str]] = [set()] * dist.get_world_size()
        dist.all_gather_object(found, self.tally.paths[split])
        self.count(split, set().union(*found) - self.tally.paths[split])  # each rank has logged its own

    def add(self, split: str, paths: tuple[str, ...]) -> None:
        new = set(paths) - self.tally.paths[split]
        for path in sorted(new):  # the same text on all ranks, so that only one logs it
            log.warning("%s cannot be read and is skipped in %s", path, split)
        self.count(split, new)

    def count(self, split: str, new: set[str]) -> None:
        if not new:
            return
        self.tally.add(split, new)
        self.write()
        self.tally.check()

    @rank_zero_only
    def write(self) -> None:
        """Write bad_files.csv."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [(name, path) for name, bad in self.tally.paths.items() for path in sorted(bad)]
        atomic_write(self.path, pd.DataFrame(rows, columns=["split", "path"]).to_csv(index=False))
