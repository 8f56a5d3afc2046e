"""The metrics of a run: a journal that a resumed run continues, and metrics.csv, written from it."""

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
    """Writes metrics.csv at every evaluation, and makes metrics continue as they were at a checkpoint.

    When training continues, what a stopped run had logged after the checkpoint is dropped, and what it had not yet
    logged of the epoch that the checkpoint ends is added. The rows that a checkpoint continues from are on the disk
    before it is written.
    """

    def on_save_checkpoint(self, trainer: pl.Trainer, *_: Any) -> None:
        for logger in csv_loggers(trainer):
            logger.sync()

    def on_load_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        for logger in csv_loggers(trainer):
            logger.complete(checkpoint.get("epoch_metrics", {}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for logger in csv_loggers(trainer):
            logger.resume_from(trainer.global_step)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_validation_end(trainer, pl_module)  # now with what is logged at the end of an epoch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            for logger in csv_loggers(trainer):
                logger.write_table()


def csv_loggers(trainer: pl.Trainer) -> list["CsvLogger"]:
    return [logger for logger in trainer.loggers if isinstance(logger, CsvLogger)]


class CsvLogger(Logger):
    """Appends to `<folder>/metrics.jsonl`, and writes `<folder>/metrics.csv` from it: one row for each logged step.

    Columns: epoch, step, then the others in the order in which they first came. In memory is only what is not yet
    saved. A folder with a metrics.csv alone, of an earlier version, continues from that. Raises CornetError when a
    file cannot be read or written.
    """

    name = version = ""

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.journal = Journal(self.path.with_suffix(".jsonl"))
        self._new: dict[int, Row] = {}  # by step: what is not yet in the journal
        self._last, self._ordered = -1, True
        if is_first_rank():
            self._load()

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration is kept by the run's folder."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add to the row of `step` (by default the last one); of two values for one name the later one stays."""
        step = max(self._last, 0) if step is None else step
        values = {name: value for name, value in metrics.items() if name != "step"}
        self._new.setdefault(step, {"step": step}).update(values)
        self._ordered &= step >= self._last
        self._last = max(step, self._last)

    @rank_zero_only
    def resume_from(self, step: int) -> None:
        """Drop the rows after `step`: a run that continues from there computes them again."""
        self.save()
        if step < self._last:
            self.journal.filter(lambda row: row["step"] <= step)
            self._load()
        self.write_table()

    @rank_zero_only
    def complete(self, metrics: Mapping[str, Any]) -> None:
        """Add to the row of metrics["step"], where there is one, what it lacks."""
        step, known = metrics.get("step", -1), set[str]()
        for row in self.journal.read():
            if row["step"] == step:
                known |= {*row}
        missing = {name: value for name, value in metrics.items() if name not in known}
        if known and missing:
            self.log_metrics(missing, step)
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Append what was logged since the last call to the journal."""
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
        """Bring the journal to the disk, as far as it is written."""
        self.journal.sync()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is not yet written."""
        self.write_table()

    def _rows(self) -> Iterator[Row]:
        """Those of the journal by step."""
        rows = self.journal.read()
        yield from rows if self._ordered else sorted(rows, key=lambda row: row["step"])

    def _load(self) -> None:
        """The last step of the journal, which is made from the table where there is none."""
        if not self.journal.path.exists():
            _, rows = read_metric_rows(self.path)
            if rows:
                self.journal.append(row_of(text, self.path) for text in rows)
        self._last, self._ordered = -1, True
        for row in self.journal.read():
            step = row.get("step")
            if type(step) is not int:
                raise no_steps(self.journal.path)
            self._ordered &= step >= self._last
            self._last = max(step, self._last)


def row_of(texts: Mapping[str, str], path: Path) -> Row:
    """A row of a table as it was before it was written."""
    try:
        return {**{name: number(text) for name, text in texts.items()}, "step": int(float(texts["step"]))}
    except (KeyError, ValueError, OverflowError):
        raise no_steps(path) from None


def no_steps(path: Path) -> CornetError:
    return CornetError(
        f"{path} is not a table of metrics: it has no column of whole steps; rename or remove it."
    )


def number(text: str) -> int | float | str:
    """The number that a cell of a table holds; the text where it holds none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
