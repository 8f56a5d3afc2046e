"""Compare every step of every area with responses in every time bin at the end of a training."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from cornet.brain.benchmarks.over_time import TimedResponses, open_over_time
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.training.callbacks.brain.scored_module import averaged_weights
from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["TimeMatrix"]

log = logging.getLogger("cornet")


class TimeMatrix(pl.Callback):
    """Writes time_matrix.csv: one row per area, step and time bin of the responses.

    It uses the same subject and weights as `BrainScore`, which must be among the callbacks. Columns: epoch, benchmark,
    region, simulated, area, step, start, end (ms), raw, error, ceiling, value, reliable, metric, notes.

    responses: a folder with a bundle of several time bins ("my-bundle:IT"), or "simulated"; None: do nothing. metric: a
    mapping, see `cornet.brain.neural_predictivity`. before: also before the training. folder: where to write; None: the
    folder of `BrainScore`.
    """

    def __init__(
        self,
        responses: str | None = None,
        metric: Any = "ridgecv",
        before: bool = False,
        folder: str | Path | None = None,
    ) -> None:
        self.responses, self.metric, self.before, self.folder = responses, metric, before, folder
        self.tables: dict[int, Any] = {}
        self.timed: TimedResponses | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Open the responses. Raises CornetError if they cannot be compared, before the training starts."""
        if self.responses is None or stage != "fit":
            return
        self.timed = open_over_time(self.responses)
        if not any(isinstance(one, BrainScore) for one in trainer.callbacks):  # type: ignore[attr-defined]
            raise CornetError(
                "TimeMatrix needs BrainScore among the callbacks, whose network it records; add it."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.before and trainer.global_step == 0:
            self.write(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the matrix in the last epoch, before its checkpoint: a run killed later never reaches on_train_end."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            self.write(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the matrix of a training that ended before its last epoch."""
        if not any(epoch > 0 for epoch in self.tables):
            self.write(trainer, pl_module, trainer.current_epoch)

    def write(self, trainer: pl.Trainer, pl_module: Any, epoch: int) -> None:
        """Write the table for the network as it is now. Every rank records its share, rank 0 compares."""
        timed = self.timed
        if timed is None:
            return
        brain = next(one for one in trainer.callbacks if isinstance(one, BrainScore))  # type: ignore[attr-defined]
        with averaged_weights(trainer, pl_module):
            try:
                subject = brain.subject(trainer, pl_module)
                sites = subject.region_sites()
                recording = subject.record(timed.stimuli, sites, timed.degrees)
                self.tables[epoch] = None
                if not trainer.is_global_zero:
                    return
                score = timed.compare(recording, sites, self.metric, pl_module.device)
            except (CornetError, MemoryError) as error:
                log.warning("%s is missing from time_matrix.csv: %s", timed.name, error)
                return
        table = score.table()
        for place, (key, value) in enumerate(
            (
                ("epoch", epoch),
                ("benchmark", timed.name),
                ("region", timed.region),
                ("simulated", timed.simulated),
            )
        ):
            table.insert(place, key, value)
        self.tables[epoch] = table.assign(metric=score.metric, notes="; ".join((*timed.notes, *score.notes)))
        known = [one for one in self.tables.values() if one is not None]
        atomic_write(Path(self.folder or brain.path) / "time_matrix.csv", csv_text(pd.concat(known)))
