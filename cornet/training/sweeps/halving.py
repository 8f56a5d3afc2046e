"""Successive halving: runs of a sweep that are not among the best stop early.

After `first` epochs, then after `factor` times as many, and so on, a run continues only if it is among the best
1/`factor` of the runs that have reached this epoch. This is asynchronous (Li et al. 2020, "A system for massively
parallel hyperparameter tuning"): no run waits for another, so the first runs have few rivals, and the order matters.
The schedule of a run is that of its full length. Optuna decides: its `SuccessiveHalvingPruner` compares the values in
its `JournalStorage`, a file to which all runs append.
"""

import logging
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl

from cornet.errors import CornetError
from cornet.opening import take_lock
from cornet.runs.folder import RunFolder
from cornet.training.overrides import check_installed

__all__ = ["Halving", "Rungs", "check_halving", "saved_epochs", "stopped_early"]

log = logging.getLogger("cornet")


class Rungs(NamedTuple):
    """Runs are compared after `first` epochs, and each time after `factor` times as many."""

    first: int = 1
    factor: int = 3


def check_halving(halving: Any) -> Rungs | None:
    """What `sweep.halving` says: false, true, or {first: epochs, factor: number}; None where it is off.

    Raises CornetError for anything else, for numbers that make no rungs, and where Optuna is not installed.
    """
    if halving is None or isinstance(halving, bool):
        halving = {"first": 1} if halving else {}
    if not isinstance(halving, Mapping) or set(halving) - {"first", "factor"}:
        raise CornetError(
            f"sweep.halving={halving} must be true, false, or have the keys first and factor: "
            "sweep.halving.first=2 sweep.halving.factor=3."
        )
    given = {str(key): value for key, value in halving.items() if value is not None}
    for key, value in given.items():
        least = {"first": 1, "factor": 2}[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise CornetError(f"sweep.halving.{key}={value} must be a whole number, {least} or more.")
    if given:
        check_installed("sweep.halving", "optuna", "sweep")
    return Rungs(**given) if given else None


class Halving(pl.Callback):
    """Stops a run that is not among the best at a rung. Off unless the configuration's `sweep.halving` says otherwise.

    Runs of one name compete, seeds included; `<root>/<name>/halving.log` holds their values, and the decisions for a
    run that is killed. A stopped run ends as a finished one, with `stopped_early` in its summary. Of several ranks the
    first decides. folder: the run's. run_id: its token. monitor: the metric that is compared; higher is better, and NaN
    is stopped. halving: as `check_halving` takes it. Raises CornetError as `check_halving`, where `monitor` is not
    measured after each epoch, and where the file of values cannot be read.
    """

    trial: Any = None  # Optuna's, on rank 0

    def __init__(
        self, folder: str | Path, run_id: str | None, monitor: str = "val/top1", halving: Any = False
    ) -> None:
        self.rungs = check_halving(halving)
        self.folder, self.run_id, self.monitor = Path(folder), str(run_id), monitor

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.rungs is None:
            return
        if trainer.is_global_zero:
            self.trial = open_trial(self.folder, self.run_id, self.monitor, self.rungs)
        after = trainer.strategy.broadcast(self.trial and stopped_after(self.trial))
        if after is not None and trainer.current_epoch >= after:  # stopped, then killed before its end
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.rungs is None:
            return
        if self.monitor not in trainer.callback_metrics:
            raise CornetError(
                f"sweep.halving compares runs by monitor={self.monitor}, which is not measured after each epoch; give "
                "another monitor, such as val/top1."
            )
        value = trainer.callback_metrics[self.monitor]
        epochs, total = trainer.current_epoch + 1, trainer.max_epochs
        stop = bool(self.trial and is_hopeless(self.trial, float(value), epochs, total or 0))
        if stop:
            best = f"the best 1/{self.rungs.factor}"
            log.info(
                f"stopped early after epoch {epochs} of {total}: {self.monitor}={value:.3f} is not among {best} there"
            )
        trainer.should_stop |= trainer.strategy.broadcast(stop)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        values = recorded(self.trial).intermediate_values if self.trial else {}
        if values and not math.isnan(values[max(values)]):  # Optuna takes no NaN
            self.trial.study.tell(self.trial, values[max(values)], skip_if_finished=True)


def stopped_early(callbacks: Iterable[pl.Callback]) -> dict[str, int]:
    """{"stopped_early": epochs} for the summary of a run that was stopped; empty for another."""
    trials = [one.trial for one in callbacks if isinstance(one, Halving) and one.trial]
    after = stopped_after(trials[0]) if trials else None
    return {} if after is None else {"stopped_early": after}


def saved_epochs(folders: Iterable[Path]) -> str:
    """How many epochs successive halving has saved in the runs of a sweep; empty where it has stopped none."""
    whole = saved = stopped = 0
    for folder in folders:
        with suppress(CornetError, KeyError, TypeError):
            summary = RunFolder(folder).finished or {}
            whole += summary["epochs"]
            saved += summary["epochs"] - summary["stopped_early"]
            stopped += 1
    runs = f"{stopped} run{'s' * (stopped > 1)} early and saved {saved} of {whole} epochs"
    return f"Successive halving stopped {runs}." if stopped else ""


def open_trial(folder: Path, run_id: str, monitor: str, rungs: Rungs) -> Any:
    """The run as a trial of the Optuna study of all runs of its name; the earlier trial where the run continues."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder.parents[1] / "halving.log"  # <root>/<name>/<variant>/seed<k>
    lock: Any = FileLock(path)
    try:
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(path), lock)),
            sampler=optuna.samplers.RandomSampler(),  # nothing is sampled; the runs are given
            pruner=optuna.pruners.SuccessiveHalvingPruner(rungs.first, rungs.factor),
            study_name=f"{monitor}, first {rungs.first}, factor {rungs.factor}",  # other rungs, other rivals
            direction="maximize",
            load_if_exists=True,
        )
    except (ValueError, KeyError, AssertionError, OSError) as error:
        raise CornetError(
            f"{path}, which holds the values of the runs that are compared, cannot be read or written ({error}); "
            "move it away, and the runs that are still to come are compared among themselves."
        ) from error
    for earlier in study.get_trials(deepcopy=False):
        if earlier.user_attrs.get("run") == run_id:
            return optuna.Trial(study, earlier._trial_id)
    trial = study.ask()
    trial.set_user_attr("folder", str(folder))
    trial.set_user_attr("run", run_id)
    return trial


def recorded(trial: Any) -> Any:
    """The trial as the file has it now."""
    return trial.study.get_trials(deepcopy=False)[trial.number]


def stopped_after(trial: Any) -> int | None:
    """The number of epochs after which a trial was stopped; None where it was not."""
    return recorded(trial).last_step if recorded(trial).state.name == "PRUNED" else None


def is_hopeless(trial: Any, value: float, epochs: int, total: int) -> bool:
    """Record the value after an epoch, once, and decide whether the run stops. The last epoch is not a rung."""
    from optuna.trial import TrialState

    if recorded(trial).state == TrialState.RUNNING:
        if epochs not in recorded(trial).intermediate_values:
            trial.report(value, epochs)
        if epochs < total and trial.should_prune():
            trial.study.tell(trial, state=TrialState.PRUNED)
    after = stopped_after(trial)
    return after is not None and epochs >= after


class FileLock:
    """The system's lock on a file beside the journal. It ends with its process; Optuna's own outlives a killed one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def acquire(self) -> bool:
        self.file = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        take_lock(self.file, wait=True)
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):  # a line that a killed process has begun
            os.truncate(self.path, content.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        os.close(self.file)
