"""Score every step of every area against every region at the end of a training."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from cornet.brain.benchmarks import NeuralBenchmark
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.training.callbacks.brain.scored_module import averaged_weights
from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["StepMatrix"]

log = logging.getLogger("cornet")


class StepMatrix(pl.Callback):
    """Writes step_matrix.csv: for every neural benchmark of `BrainScore`, one row per area and step.

    It uses the same weights as the scores: averaged ones, if any. Columns: epoch, benchmark, region, simulated, area,
    step, value, scale, raw, error, notes. Read the matrix as a whole: the best of many candidates is biased upwards.

    For networks other than cornet's, an area is a layer that `layers` of `BrainScore` names.

    folder: where to write; None: the folder of `BrainScore`. wanted: False to do nothing.
    """

    def __init__(self, folder: str | Path | None = None, wanted: bool = True) -> None:
        self.folder, self.wanted = folder, wanted
        self.written = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the matrix in the last epoch, before its checkpoint: a run killed later never reaches on_train_end."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            self.write(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the matrix of a training that ended before its last epoch."""
        if not self.written:
            self.write(trainer, pl_module, trainer.current_epoch)

    def write(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        """Write the table for the network as it is now."""
        self.written = True
        brains = [callback for callback in trainer.callbacks if isinstance(callback, BrainScore)]  # type: ignore[attr-defined]
        if not self.wanted or not brains:
            return
        rows: list[dict[str, Any]] = []
        with averaged_weights(trainer, pl_module):
            for benchmark, brain in [(one, callback) for callback in brains for one in callback.benchmarks]:
                if isinstance(benchmark, NeuralBenchmark):
                    try:
                        rows += self.benchmark_rows(benchmark, brain, trainer, pl_module, epoch)
                    except (CornetError, MemoryError) as error:
                        log.warning("%s is missing from step_matrix.csv: %s", benchmark.name, error)
        if rows and trainer.is_global_zero:
            atomic_write(
                Path(self.folder or brains[0].path) / "step_matrix.csv", csv_text(pd.DataFrame(rows))
            )

    def benchmark_rows(
        self, benchmark: NeuralBenchmark, brain: BrainScore, trainer: pl.Trainer, pl_module: Any, epoch: int
    ) -> list[dict[str, Any]]:
        """Return the rows of one benchmark. Every rank records its share, rank 0 compares."""
        subject = brain.subject(trainer, pl_module)
        sites = subject.region_sites()
        recording = subject.record(benchmark.stimuli, sites, benchmark.degrees)
        if not trainer.is_global_zero:
            return []
        rows = []
        for site in sites:
            score = benchmark.with_site(site).compare(recording, subject)
            about = {"epoch": epoch, "benchmark": benchmark.name, "region": benchmark.region}
            where = {"simulated": benchmark.simulated, "area": site.layer, "step": site.step}
            numbers = {"value": score.value, "scale": score.scale, "raw": score.raw, "error": score.error}
            rows.append({**about, **where, **numbers, "notes": "; ".join(score.notes)})
        return rows
