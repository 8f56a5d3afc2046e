"""Measure the wiring of a network during training, and write it to the run's folder."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch

from cornet.brain.wiring.tables import claw_table, connection_table, measure_wiring
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.training.callbacks.brain.scored_module import averaged_weights, find_network
from cornet.training.callbacks.schedule import AfterEpochs

__all__ = ["WiringTables"]

MATRICES = {"connections": connection_table, "claws": claw_table}
LOGGED = ("glo", "types", "similarity", "claws", "claws_sd", "no_claws", "coding")


class WiringTables(AfterEpochs):
    """Writes wiring.csv, connections.csv and claws.csv, and logs wiring/glo, wiring/types, wiring/claws, ...

    Before training and after every `every` epochs, so that epoch 0 is the untrained network and the last row the end.
    It does not change the training. wiring.csv: the columns of `cornet.brain.wiring.tables.measure_wiring`; accuracy
    (share of validation inputs whose class has the highest output; NaN for a task with heads of its own), and coding
    (coding level: share of activities of the last area above 0), both over the whole validation set. connections.csv
    and claws.csv: before training, and at the latest evaluation.

    folder: where to write; None: the trainer's. every: epochs. The network must have a method `wiring`, as
    `cornet.models.fly.network.Fly` has, and areas.
    """

    def __init__(self, folder: str | Path | None = None, every: int = 1) -> None:
        super().__init__(every)
        self.folder = folder

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raise CornetError for a network without wiring, before the training starts."""
        if not hasattr(find_network(pl_module, None), "wiring"):
            raise CornetError(
                "the wiring of this network cannot be measured, because it has no method `wiring`; choose model=fly, "
                "or leave out callbacks.wiring."
            )

    def write(self, trainer: Any, module: Any, epoch: int) -> None:
        """Measure, log, and add rows to the tables."""
        if not trainer.is_global_zero:
            return
        net: Any = find_network(module, None)
        with averaged_weights(trainer, module):
            wiring = net.wiring()
            activity = validation_activity(trainer, module, net)
        values = {**measure_wiring(wiring), **activity}
        for logger in trainer.loggers:
            found = {f"wiring/{name}": float(values[name]) for name in LOGGED if values[name] == values[name]}
            logger.log_metrics(found, step=trainer.global_step)
        folder = Path(self.folder or trainer.log_dir or trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        row = pd.DataFrame([{"epoch": epoch, "step": trainer.global_step, **values}])
        add_rows(folder / "wiring.csv", row, epoch, 0)
        for name, table in MATRICES.items():
            rows = table(wiring)
            rows.insert(0, "epoch", epoch)
            add_rows(folder / f"{name}.csv", rows, epoch, 1)


def add_rows(path: Path, rows: pd.DataFrame, epoch: int, until: int) -> None:
    """Write rows after those of earlier epochs. until: 1: keep only those of epoch 0; 0: all earlier ones."""
    if path.is_file() and epoch > 0:
        known = pd.read_csv(path)
        rows = pd.concat([known[known["epoch"] < (until or epoch)], rows], ignore_index=True)
    atomic_write(path, csv_text(rows))


def validation_activity(trainer: Any, module: Any, net: Any) -> dict[str, float]:
    """Accuracy and coding level over the validation set, in evaluation mode; random states stay as they are."""
    area, training, device = list(net.steps)[-1], module.training, module.device
    correct = seen = active = total = 0
    module.eval()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices):
            for batch in trainer.datamodule.val_dataloader():
                logits, states = net(batch.inputs[:, 0].to(device), return_states=True)
                rates = states[area][-1]
                active, total = active + int((rates > 0).sum()), total + rates.numel()
                correct += int((logits.argmax(1).cpu() == batch.labels).sum())
                seen += len(batch.labels)
    finally:
        module.train(training)
    reads = not isinstance(getattr(net, "decoder", None), torch.nn.Identity)
    return {"accuracy": correct / seen if reads else float("nan"), "coding": active / total}
