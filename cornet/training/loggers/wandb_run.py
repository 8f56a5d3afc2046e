"""A run on Weights & Biases: the axis of each metric, what is shown, and that a dead network stops nothing.

Because of wandb 0.31: metrics are defined by name at first use (a `*` in `define_metric` does not match `/`); dots in
names are escaped; tables, for which it asks the server, come last; best values are ours, as wandb's are of one session.
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

START = 30  # seconds that Weights & Biases may take to start
FINISH = 60  # seconds that it may take to upload what is left at the end

_AXES = ("epoch", "brain/epoch", "trainer/global_step")
_EACH_EPOCH = ("train/top1", "train/images_per_second")


def definition(name: str, row: Collection[str]) -> dict[str, Any]:
    """What `define_metric` takes beside the name.

    Axes: `epoch` for validation, `brain/epoch` for brain scores, steps for training losses. Of the brain's, benchmarks
    and averages are panels; the rest is logged but hidden. row: the names logged together; a benchmark is known by its
    `/raw`.
    """
    if name in _AXES:
        return {"hidden": True}
    if name.startswith("brain/"):
        shown = f"{name}/raw" in row or "average_" in name
        return {"step_metric": "brain/epoch", "summary": "max,last", "hidden": not shown}
    if name.startswith("val/"):
        return {"step_metric": "epoch", "summary": f"{best_of(name)},last"}
    return {"step_metric": "epoch"} if name in _EACH_EPOCH else {}


def best_of(name: str) -> str:
    """What of a metric is its best."""
    return "min" if "loss" in name else "max"


class ForgivingWandbLogger(WandbLogger):
    """Lightning's logger for Weights & Biases, quiet, with axes of epochs, that never makes a run fail.

    After `START` seconds without a connection the run is kept offline; after `FINISH` it says what to upload by hand.
    """

    def __init__(self, folder: Path, mode: str, **arguments: Any) -> None:
        super().__init__(save_dir=str(folder), resume="allow", **arguments)
        self._wandb_init.pop("anonymous")  # Lightning passes it, wandb warns that it has no effect
        self._mode = mode
        self._failed = False
        self._defined: set[str] = set()
        self._brain_epoch: float | None = None

    @property
    def experiment(self) -> Any:
        """The run; where it cannot be started online it is kept offline, and where that fails too it is a dummy."""
        if self._experiment is None and is_first_rank():
            self._start()
        return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._forgive(self._log_row, metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        self._forgive(super().log_hyperparams, params)

    @rank_zero_only
    def hand_over(
        self,
        pictures: Mapping[str, tuple[Path, str]],
        tables: Mapping[str, pd.DataFrame],
        files: Collection[Path],
        metrics: pd.DataFrame,
    ) -> None:
        """Take what a finished run has left, and end.

        pictures: by name, file and caption. files: kept with the run as they are. metrics: all that the run has logged,
        for the best values.
        """
        if self._experiment is None:
            return
        told, run = "", self._experiment
        try:
            if not self._failed:
                import wandb

                run.summary.update(ends(metrics))
                for file in files:
                    run.save(str(file), base_path=str(file.parent), policy="now")
                shown = {
                    f"pictures/{name}": wandb.Image(str(file), caption=caption)
                    for name, (file, caption) in pictures.items()
                }
                if shown:
                    run.log(shown)
                for name, table in tables.items():  # last: without a network each waits
                    cells = table.astype(object).where(table.notna(), None)
                    run.log({name: wandb.Table(columns=list(cells), data=cells.to_numpy().tolist())})
        except Exception as error:
            told = line(error)
        try:
            run.finish()
        except Exception as error:
            told = line(error)
        if told:
            place = run.settings.sync_dir
            log.warning(
                "Weights & Biases did not take everything (%s); it lies in %s: upload it later with "
                "`wandb sync %s`",
                told,
                place,
                place,
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

    def _forgive(self, action: Any, *arguments: Any) -> None:
        if self._failed:
            return
        try:
            action(*arguments)
        except Exception as error:
            self._failed = True
            log.warning("Weights & Biases stopped (%s); this session goes on without it", line(error))

    def _start(self) -> None:
        import wandb

        if wandb.run is not None and wandb.run.id != self._id:
            self._end_earlier()
        Path(self._save_dir or ".").mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"silent": True, "console": "off", "init_timeout": START}
        settings |= {"finish_timeout": FINISH, "finish_timeout_raises": True}
        for mode in (self._mode, "offline", "disabled"):
            wandb.setup(wandb.Settings(silent=True))  # else it tells of its login, and of every timeout
            self._wandb_init["settings"] = wandb.Settings(**settings | {"mode": mode})
            try:
                with arguments_without_secrets():  # it records them
                    run = super().experiment
            except Exception as error:
                instead = f"offline; upload it later with `wandb sync {self._save_dir}/wandb/offline-run-*`"
                log.warning(
                    "Weights & Biases could not start (%s); the run goes on %s",
                    line(error),
                    "without it" if mode == "offline" else instead,
                )
                wandb.teardown()  # its service holds the failed run's id as in use
                continue
            for name in _AXES:
                run.define_metric(name, **definition(name, ()))
            return

    def _end_earlier(self) -> None:
        """End the failed run of a sweep in this process: Lightning would log into it."""
        import wandb

        place = wandb.run.settings.sync_dir if wandb.run else ""
        try:
            wandb.finish(exit_code=1)
        except Exception as error:
            log.warning("Weights & Biases did not take everything of %s (%s)", place, line(error))
            wandb.run = None


def ends(metrics: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The best and the last value of what is summarised, over all sessions of a run."""
    found = {}
    for name in metrics:
        values = metrics[name].dropna()
        if "summary" in definition(str(name), ()) and len(values):
            best = best_of(str(name))
            found[str(name)] = {best: float(getattr(values, best)()), "last": float(values.iloc[-1])}
    return found


def line(error: Exception) -> str:
    """What is wrong, on one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
