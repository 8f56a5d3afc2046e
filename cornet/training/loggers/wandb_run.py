"""The Weights & Biases logger: the axis of each metric, its panels, and no failure that stops a training.

Workarounds for wandb 0.31: metrics are defined by name at first use (a `*` in `define_metric` does not match `/`); dots
in names are escaped; tables are logged last, as they ask the server; best values are computed here, as wandb's cover
one session only.
"""

import logging
from argparse import Namespace
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from cornet.training.ranks.processes import is_first_rank
from cornet.training.secrets import arguments_without_secrets

__all__ = ["ForgivingWandbLogger", "definition"]

log = logging.getLogger("cornet")

START_TIMEOUT = 30  # seconds that Weights & Biases may take to start
FINISH_TIMEOUT = 60  # seconds that it may take to upload the rest at the end

_AXES = ("epoch", "brain/epoch", "trainer/global_step")
_EACH_STEP = ("train/loss", "train/learning_rate")
"""Beginnings of the names of training metrics that are logged every few steps; the others are of an epoch."""


def definition(name: str, row: Collection[str]) -> dict[str, Any]:
    """Return the arguments of `define_metric` for a metric.

    Axes: `epoch` for validation, `brain/epoch` for brain scores, steps for training losses. Of the brain metrics, only
    benchmarks and averages get panels; the others are hidden. row: the names logged together; a benchmark also has
    `<name>/raw`.
    """
    if name in _AXES:
        return {"hidden": True}
    if name.startswith("brain/"):
        visible = f"{name}/raw" in row or "average_" in name
        return {"step_metric": "brain/epoch", "summary": "max,last", "hidden": not visible}
    if name.startswith("val/"):
        return {"step_metric": "epoch", "summary": f"{best_mode(name)},last"}
    each_epoch = name.startswith("train/") and not name.startswith(_EACH_STEP)
    return {"step_metric": "epoch"} if each_epoch else {}


def best_mode(name: str) -> str:
    """Return whether lower or higher values of a metric are better: min or max."""
    return "min" if "loss" in name else "max"


class ForgivingWandbLogger(WandbLogger):
    """Lightning's Weights & Biases logger with less output and axes of epochs. Its errors never make a run fail.

    After `START_TIMEOUT` seconds without a connection the run is logged offline. After `FINISH_TIMEOUT` seconds at its
    end a message says what to upload by hand.
    """

    def __init__(self, folder: Path, mode: str, **arguments: Any) -> None:
        super().__init__(save_dir=str(folder), resume="allow", **arguments)
        self._wandb_init.pop("anonymous")  # Lightning passes it, and wandb warns that it has no effect
        self._mode = mode
        self._failed = False
        self._defined: set[str] = set()
        self._brain_epoch: float | None = None

    @property
    def experiment(self) -> Any:
        """The run: online, offline if it cannot start online, or a dummy if that fails, too."""
        if self._experiment is None and is_first_rank():
            self._start()
        return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._without_raising(self._log_row, metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        self._without_raising(super().log_hyperparams, params)

    @rank_zero_only
    def upload_results(
        self,
        pictures: Mapping[str, tuple[Path, str]],
        tables: Mapping[str, pd.DataFrame],
        files: Collection[Path],
        metrics: pd.DataFrame,
    ) -> None:
        """Upload the results of a finished run, and finish it.

        pictures: by name, file and caption. files: uploaded unchanged. metrics: all of the run, for the best values.
        """
        if self._experiment is None:
            return
        failure, run = "", self._experiment
        try:
            if not self._failed:
                import wandb

                run.summary.update(best_and_last(metrics))
                for file in files:
                    run.save(str(file), base_path=str(file.parent), policy="now")
                images = {
                    f"pictures/{name}": wandb.Image(str(file), caption=caption)
                    for name, (file, caption) in pictures.items()
                }
                if images:
                    run.log(images)
                for name, table in tables.items():  # last: without a network each of them waits
                    cells = table.astype(object).where(table.notna(), None)
                    run.log({name: wandb.Table(columns=list(cells), data=cells.to_numpy().tolist())})
        except Exception as error:
            failure = first_line(error)
        try:
            run.finish()
        except Exception as error:
            failure = first_line(error)
        if failure:
            sync_dir = run.settings.sync_dir
            log.warning(
                "Weights & Biases did not receive everything (%s); the rest is in %s: upload it later with "
                "`wandb sync %s`",
                failure,
                sync_dir,
                sync_dir,
            )

    def _log_row(self, metrics: Mapping[str, float], step: int | None) -> None:
        row = dict(metrics)
        if any(name.startswith("brain/") for name in row):
            self._brain_epoch = row.get("brain/epoch", self._brain_epoch)
            if self._brain_epoch is not None:
                row["brain/epoch"] = self._brain_epoch
        new = [name for name in row if name not in self._defined]
        for name in new:
            self.experiment.define_metric(name.replace(".", "\\."), **definition(name, row))
        self._defined.update(new)
        super().log_metrics(row, step)

    def _without_raising(self, action: Any, *arguments: Any) -> None:
        if self._failed:
            return
        try:
            action(*arguments)
        except Exception as error:
            self._failed = True
            log.warning("Weights & Biases stopped (%s); this session continues without it", first_line(error))

    def _start(self) -> None:
        import wandb

        if wandb.run is not None and wandb.run.id != self._id:
            self._finish_earlier_run()
        Path(self._save_dir or ".").mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"silent": True, "console": "off", "init_timeout": START_TIMEOUT}
        settings |= {"finish_timeout": FINISH_TIMEOUT, "finish_timeout_raises": True}
        for mode in (self._mode, "offline", "disabled"):
            wandb.setup(wandb.Settings(silent=True))  # else it prints its login and every timeout
            self._wandb_init["settings"] = wandb.Settings(**settings | {"mode": mode})
            try:
                with arguments_without_secrets():  # wandb records them
                    run = super().experiment
            except Exception as error:
                fallback = f"offline; upload it later with `wandb sync {self._save_dir}/wandb/offline-run-*`"
                log.warning(
                    "Weights & Biases could not start (%s); the run continues %s",
                    first_line(error),
                    "without it" if mode == "offline" else fallback,
                )
                wandb.teardown()  # its service still holds the failed run's id
                continue
            for name in _AXES:
                run.define_metric(name, **definition(name, ()))
            return

    def _finish_earlier_run(self) -> None:
        """Finish the failed run of a sweep in this process; otherwise Lightning would log into it."""
        import wandb

        sync_dir = wandb.run.settings.sync_dir if wandb.run else ""
        try:
            wandb.finish(exit_code=1)
        except Exception as error:
            log.warning("Weights & Biases did not receive everything of %s (%s)", sync_dir, first_line(error))
            wandb.run = None


def best_and_last(metrics: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the best and the last value of each summarised metric, over all sessions of a run."""
    summary = {}
    for name in metrics:
        values = metrics[name].dropna()
        if "summary" in definition(str(name), ()) and len(values):
            best = best_mode(str(name))
            summary[str(name)] = {best: float(getattr(values, best)()), "last": float(values.iloc[-1])}
    return summary


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
