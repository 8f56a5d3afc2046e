"""Which step of which area predicts which region best: all of them, at the end of a training."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from cornet.brain.benchmarks import NeuralBenchmark
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["StepMatrix"]

log = logging.getLogger("cornet")


class StepMatrix(pl.Callback):
    """Writes step_matrix.csv: for every neural benchmark of `BrainScore` one row per area and step.

    Of the weights that are scored: the averaged ones where there are such. Columns epoch, benchmark, region, simulated,
    area, step, value, scale, raw, error, notes. The best of many candidates looks better than it is: the matrix is to
    be read as a whole.

    folder: the run's. wanted: False for nothing.
    """

    def __init__(self, folder: str | Path, wanted: bool = True) -> None:
        self.path, self.wanted = Path(folder) / "step_matrix.csv", wanted
        self.written = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Of the last epoch, before its checkpoint: a run that is killed after that has no end of training any more."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            self.write(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Of a training that has ended before its last epoch."""
        if not self.written:
            self.write(trainer, pl_module, trainer.current_epoch)

    def write(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        """The table, of the network as it is now."""
        self.written = True
        brains = [callback for callback in trainer.callbacks if isinstance(callback, BrainScore)]  # type: ignore[attr-defined]
        if not self.wanted or not brains:
            return
        rows: list[dict[str, Any]] = []
        average = getattr(pl_module, "average", None)
        with contextlib.nullcontext() if average is None else average.in_place():
            for one, brain in [(one, callback) for callback in brains for one in callback.benchmarks]:
                if isinstance(one, NeuralBenchmark):
                    try:
                        rows += self.rows_of(one, brain, trainer, pl_module, epoch)
                    except (CornetError, MemoryError) as error:
                        log.warning("%s has no matrix of areas and steps: %s", one.name, error)
        if rows and trainer.is_global_zero:
            atomic_write(self.path, csv_text(pd.DataFrame(rows)))

    def rows_of(
        self, one: NeuralBenchmark, brain: BrainScore, trainer: pl.Trainer, pl_module: Any, epoch: int
    ) -> list[dict[str, Any]]:
        """One benchmark's rows; every rank records its share, the first one compares."""
        subject = brain.subject(trainer, pl_module)
        sites = [site for site in subject.sites() if site.layer in subject.net.steps]
        recording = subject.record(one.stimuli, sites, one.degrees)
        if not trainer.is_global_zero:
            return []
        found = []
        for site in sites:
            score = one.with_site(site).compare(recording, subject)
            about = {"epoch": epoch, "benchmark": one.name, "region": one.region}
            where = {"simulated": one.simulated, "area": site.layer, "step": site.step}
            numbers = {"value": score.value, "scale": score.scale, "raw": score.raw, "error": score.error}
            found.append({**about, **where, **numbers, "notes": "; ".join(score.notes)})
        return found
