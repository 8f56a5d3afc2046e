"""metrics.csv in the run's folder: one row a step, continued by a resumed run (Lightning's CSVLogger deletes it)."""

import csv
import io
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from cornet.errors import CornetError
from cornet.files import atomic_write, sync
from cornet.opening import read_bytes
from cornet.runs.metrics import read_metric_rows

__all__ = ["ContinueMetrics", "CsvLogger"]

_FIRST = ("epoch", "step")


class ContinueMetrics(pl.Callback):
    """When training goes on, the CSV is as it was at the checkpoint.

    What a stopped run had logged after it is dropped, and what it had not yet logged of the epoch that the checkpoint
    ends is added. The rows that a checkpoint goes on from are on the disk before it is written.
    """

    def on_save_checkpoint(self, trainer: pl.Trainer, *_: Any) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger):
                logger.sync()

    def on_load_checkpoint(self, trainer: pl.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger):
                logger.complete(checkpoint.get("epoch_metrics", {}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger):
                logger.resume_from(trainer.global_step)


class CsvLogger(Logger):
    """Appends to `<folder>/metrics.csv`: epoch, step, then the other columns in the order in which they first came.

    What is logged at one step becomes one row. `save` writes what is new; only a new column, or a change further up,
    makes it write the whole file, and then atomically. In memory are the last row and what is not yet written, however
    long the training. Raises CornetError when the file cannot be written.
    """

    name = version = ""

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._columns: list[str] = list(_FIRST)
        self._rows: dict[int, dict[str, str]] = {}  # by step: the file's last row, and what it lacks
        self._before: int | None = 0  # bytes of the file before these; None where it is as others write it
        self._new = self._rewrite = False
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
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
        step = max(self._rows, default=0) if step is None else step
        row = self._rows.setdefault(step, {"step": str(step)})
        row.update({name: _written(value) for name, value in metrics.items() if name != "step"})
        new = [name for name in row if name not in self._columns]
        self._columns += new
        self._rewrite |= bool(new) or step < next(iter(self._rows))
        self._new = True

    @rank_zero_only
    def resume_from(self, step: int) -> None:
        """Drop the rows after `step`: a run that goes on from there computes them again."""
        if step < max(self._rows, default=-1):
            self._write({s: row for s, row in self._all().items() if s <= step})
        else:
            self.save()

    @rank_zero_only
    def complete(self, metrics: Mapping[str, Any]) -> None:
        """Add to the row of metrics["step"], where there is one, what it lacks."""
        row = self._all().get(metrics.get("step", -1), {})
        lacking = {name: value for name, value in metrics.items() if name not in row}
        if row and lacking:
            self.log_metrics(lacking, metrics["step"])
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write what was logged since the last call. Raises CornetError when that is not possible."""
        if self._rewrite or (self._new and not self.path.is_file()):
            self._write(self._all())
        elif self._new:
            self._append()

    @rank_zero_only
    def sync(self) -> None:
        """Bring the file to the disk, as far as it is written."""
        sync(self.path)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is not yet written."""
        self.save()

    def _append(self) -> None:
        """Write the last row over, in one call with the new ones: a torn write leaves all that was there."""
        rows = dict(sorted(self._rows.items()))
        lines = [_line(self._columns, row) for row in rows.values()]
        start, data = self._before or 0, "".join(lines).encode()
        try:
            with open(self.path, "r+b", buffering=0) as file:
                file.seek(start)
                done = file.write(data)
                if done != len(data):
                    done += file.write(data[done:])
                file.truncate(start + len(data))
        except OSError as error:
            self._rewrite = True
            raise CornetError(
                f"Could not write {self.path}, {len(data):,} bytes: {error.strerror}; mend that, and the same "
                "command continues this run."
            ) from error
        self._hold_last(rows, lines, start)

    def _write(self, rows: dict[int, dict[str, str]]) -> None:
        """The whole file anew."""
        lines = self._lines(rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, "".join(lines))
        self._hold_last(rows, lines)

    def _all(self) -> dict[int, dict[str, str]]:
        """By step, those of the file and what it lacks."""
        rows = _by_step(self.path, read_metric_rows(self.path, self._before)[1])
        for step, row in self._rows.items():
            rows.setdefault(step, {}).update(row)
        return dict(sorted(rows.items()))

    def _lines(self, rows: dict[int, dict[str, str]]) -> list[str]:
        names = {name: name for name in self._columns}
        return [_line(self._columns, row) for row in (names, *rows.values())]

    def _hold_last(self, rows: dict[int, dict[str, str]], lines: list[str], start: int = 0) -> None:
        """Forget all but the last row, now that these lines are in the file, from the byte `start` on."""
        self._rows = dict(list(rows.items())[-1:])
        self._before = start + len("".join(lines[:-1] if rows else lines).encode())
        self._new = self._rewrite = False

    def _load(self) -> None:
        columns, listed = read_metric_rows(self.path)
        rows = dict(sorted(_by_step(self.path, listed).items()))
        if self.path.is_file():
            self._columns = columns or self._columns
            lines = self._lines(rows)
            self._hold_last(rows, lines)
            if read_bytes(self.path) != "".join(lines).encode():
                # a half-written line, or another program's way to write
                self._before, self._rewrite = None, True


def _by_step(path: Path, rows: list[dict[str, str]]) -> dict[int, dict[str, str]]:
    try:
        return {int(float(row["step"])): row for row in rows}
    except (KeyError, ValueError):
        raise CornetError(
            f"{path} is no table of metrics: it has no column of whole steps; rename or remove it."
        ) from None


def _line(columns: list[str], row: Mapping[str, str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([row.get(name, "") for name in columns])
    return out.getvalue()


def _written(value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    return repr(value) if isinstance(value, float) else str(value)
