"""Log metrics to a journal that a resumed run continues, and write metrics.csv from it."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from cornet.errors import CornetError
from cornet.runs.journal import Journal, Row, write_table
from cornet.runs.metrics import read_metric_rows
from cornet.training.ranks.processes import is_first_rank

__all__ = ["ContinueMetrics", "CsvLogger"]


class ContinueMetrics(pl.Callback):
    """Writes metrics.csv after every validation, and makes a resumed run continue its metrics from the checkpoint.

    On a resume, rows logged after the checkpoint are dropped, and metrics of the checkpoint's epoch that were not yet
    logged are added. Rows up to a checkpoint are synced to disk before it is written.
    """

    def on_save_checkpoint(self, trainer: pl.Trainer, *_: Any) -> None:
        for logger in csv_loggers(trainer):
            logger.sync()

    def on_load_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        for logger in csv_loggers(trainer):
            logger.add_missing(checkpoint.get("epoch_metrics", {}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for logger in csv_loggers(trainer):
            logger.resume_from(trainer.global_step)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_validation_end(trainer, pl_module)  # now with the metrics logged at the end of the epoch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            for logger in csv_loggers(trainer):
                logger.write_table()


def csv_loggers(trainer: pl.Trainer) -> list["CsvLogger"]:
    return [logger for logger in trainer.loggers if isinstance(logger, CsvLogger)]


class CsvLogger(Logger):
    """Appends to `<folder>/metrics.jsonl`, and writes `<folder>/metrics.csv` from it: one row per logged step.

    Columns: epoch, step, then the others in order of first use. Only unsaved rows are in memory. A folder of an earlier
    version with metrics.csv only is continued. Raises CornetError if a file cannot be read or written.
    """

    name = version = ""

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.journal = Journal(self.path.with_suffix(".jsonl"))
        self._new: dict[int, Row] = {}  # by step: rows not yet in the journal
        self._last, self._ordered = -1, True
        if is_first_rank():
            self._load()

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run's folder stores the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add to the row of `step` (default: the last one); a later value replaces an earlier one."""
        step = max(self._last, 0) if step is None else step
        values = {name: value for name, value in metrics.items() if name != "step"}
        self._new.setdefault(step, {"step": step}).update(values)
        self._ordered &= step >= self._last
        self._last = max(step, self._last)

    @rank_zero_only
    def resume_from(self, step: int) -> None:
        """Drop the rows after `step`, which a run that resumes there computes again."""
        self.save()
        if step < self._last:
            self.journal.filter(lambda row: row["step"] <= step)
            self._load()
        self.write_table()

    @rank_zero_only
    def add_missing(self, metrics: Mapping[str, Any]) -> None:
        """Add missing metrics to the row of metrics["step"], if that row exists."""
        step, existing = metrics.get("step", -1), set[str]()
        for row in self.journal.read():
            if row["step"] == step:
                existing |= {*row}
        missing = {name: value for name, value in metrics.items() if name not in existing}
        if existing and missing:
            self.log_metrics(missing, step)
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Append the metrics logged since the last call to the journal."""
        if self._new:
            self.journal.append(self._new.values())
            self._new = {}

    @rank_zero_only
    def write_table(self) -> None:
        """Write metrics.csv."""
        self.save()
        write_table(self.path, self._rows, first=("epoch", "step"), key="step")

    @rank_zero_only
    def sync(self) -> None:
        """Sync the written part of the journal to disk."""
        self.journal.sync()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the remaining rows."""
        self.write_table()

    def _rows(self) -> Iterator[Row]:
        """Yield the rows of the journal, sorted by step."""
        rows = self.journal.read()
        yield from rows if self._ordered else sorted(rows, key=lambda row: row["step"])

    def _load(self) -> None:
        """Read the last step from the journal; create the journal from metrics.csv if it is missing."""
        if not self.journal.path.exists():
            _, rows = read_metric_rows(self.path)
            if rows:
                self.journal.append(to_row(text, self.path) for text in rows)
        self._last, self._ordered = -1, True
        for row in self.journal.read():
            step = row.get("step")
            if type(step) is not int:
                raise step_column_error(self.journal.path)
            self._ordered &= step >= self._last
            self._last = max(step, self._last)


def to_row(texts: Mapping[str, str], path: Path) -> Row:
    """Parse a row of a table. Raises CornetError without a whole step."""
    try:
        return {**{name: to_number(text) for name, text in texts.items()}, "step": int(float(texts["step"]))}
    except (KeyError, ValueError, OverflowError):
        raise step_column_error(path) from None


def step_column_error(path: Path) -> CornetError:
    return CornetError(
        f"{path} is not a metrics table: it has no column of whole steps; rename or remove it."
    )


def to_number(text: str) -> int | float | str:
    """Parse a cell of a table as a number, or return its text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
