"""Successive halving: a run of a sweep that is not among the best stops early.

After `first` epochs, then after `factor` times as many, and so on (the rungs), a run continues only if it is among the
best 1/`factor` of the runs that have reached this rung. This is asynchronous (Li et al. 2020, "A system for massively
parallel hyperparameter tuning"): no run waits for another, so the order of the runs matters. The learning rate follows
the schedule of the full length. All runs write their values and decisions into one journal.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl

from cornet.errors import CornetError
from cornet.opening import locked_file
from cornet.runs.journal import Journal, Row

__all__ = ["Halving", "Rungs", "parse_halving", "stopped_early"]

log = logging.getLogger("cornet")


class Rungs(NamedTuple):
    """Runs are compared after `first` epochs, and each time after `factor` times as many."""

    first: int = 1
    factor: int = 3

    def include(self, epochs: int) -> bool:
        """Return whether runs are compared after this number of epochs."""
        return epochs in [self.first * self.factor**k for k in range(epochs.bit_length())]

    def keep(self, value: float, others: Sequence[float]) -> bool:
        """Return whether a value is among the best 1/`factor`, and at least the best one is. NaN never is."""
        valid = sorted((other for other in (value, *others) if other == other), reverse=True)
        return value in valid[: max(1, len(valid) // self.factor)]


def parse_halving(halving: Any) -> Rungs | None:
    """Parse false, true, or {first: epochs, factor: number}. Return None if it is off. Raises CornetError."""
    if halving is None or isinstance(halving, bool):
        halving = {"first": 1} if halving else {}
    if not isinstance(halving, Mapping) or set(halving) - {"first", "factor"}:
        rule = "must be true, false, or have the keys first and factor"
        raise CornetError(f"sweep.halving={halving} {rule}: sweep.halving.first=2 sweep.halving.factor=3.")
    values = {str(key): value for key, value in halving.items() if value is not None}
    for key, value in values.items():
        minimum = {"first": 1, "factor": 2}[key]
        if type(value) is not int or value < minimum:
            raise CornetError(f"sweep.halving.{key}={value} must be a whole number, {minimum} or more.")
    return Rungs(**values) if values else None


class Halving(pl.Callback):
    """Stops a run that is not among the best at a rung. Off unless `halving` is set. Of several ranks, rank 0 decides.

    run_id: the run's token. monitor: the metric that is compared; higher is better, and NaN is stopped. halving: as
    `parse_halving` takes it. journal: file of values and decisions of all runs that compete, those of one name. folder:
    not used; earlier configurations have it. Raises CornetError as `parse_halving`, if `monitor` is not measured after
    each epoch, and if the journal cannot be read or written.
    """

    stopped_after: int | None = None  # epochs

    def __init__(
        self, run_id: Any, monitor: str, halving: Any, journal: Any = "", folder: Any = None
    ) -> None:
        self.rungs, self.journal = parse_halving(halving), Journal(Path(journal))
        self.run_id, self.monitor = str(run_id), monitor

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.rungs is None:
            return
        rows = self.rows() if trainer.is_global_zero else []
        stops = [row["epochs"] for row in rows if row["run"] == self.run_id and row["stop"]]
        self.stopped_after = trainer.strategy.broadcast(min(stops, default=None))
        if self.stopped_after is not None and trainer.current_epoch >= self.stopped_after:
            trainer.should_stop = True  # killed between the decision and the end of the run

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epochs = trainer.current_epoch + 1
        if self.rungs is None or epochs == trainer.max_epochs or not self.rungs.include(epochs):
            return
        if self.monitor not in trainer.callback_metrics:
            main = getattr(getattr(pl_module, "task", None), "monitor", "val/loss")
            why = f"monitor={self.monitor}, which is not measured after each epoch"
            raise CornetError(
                f"sweep.halving compares runs by {why}; set monitor={main}, or sweep.halving=false."
            )
        value = float(trainer.callback_metrics[self.monitor])
        if trainer.strategy.broadcast(trainer.is_global_zero and self.is_stopped(value, epochs)):
            self.stopped_after, trainer.should_stop = epochs, True
            where = f"{epochs} of {trainer.max_epochs}: {self.monitor}={value:.3f}"
            log.info(f"stopped early after epoch {where} is not among the best 1/{self.rungs.factor} there")

    def rows(self) -> list[Row]:
        """Return the rows of the journal that compare the same metric at the same rungs."""
        return [row for row in self.journal.read() if row.get("rule") == [self.monitor, *(self.rungs or ())]]

    def is_stopped(self, value: float, epochs: int) -> bool:
        """Return whether the run stops. The decision is made once for a run and rung, and recorded with the value."""
        assert self.rungs is not None
        self.journal.path.parent.mkdir(parents=True, exist_ok=True)
        with locked_file(self.journal.path.with_name(f".{self.journal.path.name}.lock")):
            others = {row["run"]: row for row in self.rows() if row["epochs"] == epochs}
            if self.run_id not in others:
                stop = not self.rungs.keep(value, [row["value"] for row in others.values()])
                others[self.run_id] = {"run": self.run_id, "epochs": epochs, "value": value, "stop": stop}
                self.journal.append([{"rule": [self.monitor, *self.rungs], **others[self.run_id]}])
            return bool(others[self.run_id]["stop"])


def stopped_early(callbacks: Iterable[pl.Callback]) -> dict[str, int]:
    """Return {"stopped_early": epochs} for the summary of a run that was stopped, else {}."""
    after = next((one.stopped_after for one in callbacks if isinstance(one, Halving)), None)
    return {"stopped_early": after} if after else {}
