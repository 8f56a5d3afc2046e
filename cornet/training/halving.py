"""Early stopping of hopeless runs of a sweep: successive halving over epochs.

A run that comes to a rung (after `first` epochs, then after `factor` times as many, and so on) goes on when it is among
the best 1/`factor` of those that have come there, and the best so far always does; others stop. This is asynchronous
(Li et al. 2020, "A system for massively parallel hyperparameter tuning"): no run waits for another, so that the first
ones meet few rivals, and the order counts. A run's schedule is that of its full length until it is stopped.

The decisions are Optuna's, through its own API: its `SuccessiveHalvingPruner`, and a `JournalStorage`, which is one
file that the runs of a sweep append to. Optuna is MIT-licensed, maintained, and pure Python without a server; Ray Tune,
which can do the same, would bring Ray's daemons and its own way to start processes.
"""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.opening import read_bytes

__all__ = ["Halving", "Rungs", "check_halving", "rungs_of", "stopped_early"]

log = logging.getLogger("cornet")

_RECORD = "halving.json"
_STOPPED = "stopped_after"


class Rungs(NamedTuple):
    """Where runs are compared: after `first` epochs, and each time after `factor` times as many."""

    first: int = 1
    factor: int = 3

    def is_one(self, epochs: int) -> bool:
        """Whether a run is judged after so many epochs."""
        rung = self.first
        while rung < epochs:
            rung *= self.factor
        return rung == epochs


def rungs_of(halving: Any) -> Rungs | None:
    """What `sweep.halving` says: false, true, or {first: epochs, factor: number}; None where it is off.

    Raises CornetError for anything else, and for numbers that make no rungs.
    """
    if halving is None or isinstance(halving, bool):
        return Rungs() if halving else None
    if not isinstance(halving, Mapping) or set(halving) - {"first", "factor"}:
        raise CornetError(
            f"sweep.halving={halving} must be true, false, or have the keys first and factor: "
            "sweep.halving.first=2 sweep.halving.factor=3."
        )
    given = {str(key): value for key, value in halving.items() if value is not None}
    if not given:
        return None
    for key, least in (("first", 1), ("factor", 2)):
        value = given.get(key, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise CornetError(f"sweep.halving.{key}={value} must be a whole number, {least} or more.")
    return Rungs(**given)


def check_halving(halving: Any) -> Rungs | None:
    """As `rungs_of`. Raises CornetError where it is on and Optuna is not installed."""
    rungs = rungs_of(halving)
    if rungs is not None and find_spec("optuna") is None:
        raise CornetError(
            "sweep.halving needs the package optuna, which is not installed; add it with `pip install optuna` "
            "(in a checkout: `uv sync --extra sweep`)."
        )
    return rungs


def stopped_early(folder: Path) -> dict[str, int]:
    """{"stopped_early": epochs} of a run that was stopped here, for its summary; nothing of another."""
    try:
        after = json.loads(read_bytes(folder / _RECORD))[_STOPPED]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {"stopped_early": after} if isinstance(after, int) else {}


class Halving(pl.Callback):
    """Stops a run that is not among the best at a rung. Off unless the configuration's `sweep.halving` says otherwise.

    Runs of one name compete, seeds included; their values are kept in `<root>/<name>/halving.log`. A run is found again
    there by its token after a kill, and a decision is not taken twice. A run that is stopped ends as a finished one,
    whose summary says `stopped_early`. Of several ranks the first decides.

    folder: the run's. run_id: its token. monitor: what is compared, after each epoch; higher is better, and NaN is
    stopped. halving: as `rungs_of` takes it. Raises CornetError as `check_halving`, where `monitor` is not measured,
    and where the file of values cannot be read.
    """

    def __init__(
        self, folder: str | Path, run_id: str | None, monitor: str = "val/top1", halving: Any = False
    ) -> None:
        self.rungs = check_halving(halving)
        self.folder, self.run_id, self.monitor = Path(folder), str(run_id), monitor
        self.trials: Trials | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.rungs is None:
            return
        after = None
        if trainer.is_global_zero:
            self.trials = Trials(self.folder, self.run_id, self.monitor, self.rungs)
            after = self.trials.stopped_after
        after = trainer.strategy.broadcast(after)
        if (
            after is not None and trainer.current_epoch >= after
        ):  # stopped, and killed before that was recorded
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.rungs is None:
            return
        epochs, stop = trainer.current_epoch + 1, False
        if self.monitor not in trainer.callback_metrics:
            raise CornetError(
                f"sweep.halving compares runs by monitor={self.monitor}, which is not measured after each epoch; give "
                "another monitor, such as val/top1."
            )
        value = float(trainer.callback_metrics[self.monitor])
        if self.trials is not None:
            self.trials.report(value, epochs)
            if self.rungs.is_one(epochs) and epochs < (trainer.max_epochs or 0):
                stop = self.trials.is_hopeless(epochs)
        if trainer.strategy.broadcast(stop):
            trainer.should_stop = True
            if trainer.is_global_zero:
                log.info(
                    "stopped early after epoch %d of %s: %s=%.3f is not among the best 1/%d there",
                    epochs,
                    trainer.max_epochs,
                    self.monitor,
                    value,
                    self.rungs.factor,
                )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.trials is None:
            return
        after = self.trials.stopped_after
        if after is not None:
            content = {_STOPPED: after, "of": trainer.max_epochs, "monitor": self.monitor}
            atomic_write(self.folder / _RECORD, json.dumps(content, indent=1) + "\n")
        self.trials.end()


class Trials:
    """The runs of one name as trials of an Optuna study, and this run among them."""

    def __init__(self, folder: Path, run_id: str, monitor: str, rungs: Rungs) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = folder.parents[1] / "halving.log"  # <root>/<name>/<what was overridden>/seed<k>
        pruner = optuna.pruners.SuccessiveHalvingPruner(rungs.first, rungs.factor)
        name = f"{monitor}, first {rungs.first}, factor {rungs.factor}"  # other rungs are another competition
        try:
            file = optuna.storages.journal.JournalFileBackend(str(path), lock_of(path))
            storage = optuna.storages.JournalStorage(file)
            self.study = optuna.create_study(
                storage=storage,
                sampler=optuna.samplers.RandomSampler(),  # nothing is sampled; the runs are given
                pruner=pruner,
                study_name=name,
                direction="maximize",
                load_if_exists=True,
            )
        except (ValueError, KeyError, AssertionError, OSError) as error:
            raise CornetError(
                f"{path}, which holds the values of the runs that are compared, cannot be read or written ({error}); "
                "move it away, and the runs that are still to come are compared among themselves."
            ) from error
        mine = [one for one in self.study.get_trials(deepcopy=False) if one.user_attrs.get("run") == run_id]
        if mine:
            number = mine[-1].number
        else:
            number = self.study.ask().number
        study = storage.get_study_id_from_name(name)
        self.trial = optuna.trial.Trial(
            self.study, storage.get_trial_id_from_study_id_trial_number(study, number)
        )
        if not mine:
            self.trial.set_user_attr("folder", str(folder))
            self.trial.set_user_attr("run", run_id)
        self.states = optuna.trial.TrialState

    @property
    def mine(self) -> Any:
        """This run, as the file has it now."""
        return self.study.get_trials(deepcopy=False)[self.trial.number]

    @property
    def stopped_after(self) -> int | None:
        """After how many epochs it was decided to stop this run."""
        return self.mine.user_attrs.get(_STOPPED)

    def report(self, value: float, epochs: int) -> None:
        """Note the value after an epoch, once."""
        trial = self.mine
        if not trial.state.is_finished() and epochs not in trial.intermediate_values:
            self.trial.report(value, epochs)

    def is_hopeless(self, epochs: int) -> bool:
        """Whether the run is to stop at this rung; what was decided before a kill holds."""
        trial = self.mine
        if trial.state.is_finished():
            return bool(trial.user_attrs.get(_STOPPED) == epochs)
        key = f"judged after {epochs}"
        if key not in trial.user_attrs:
            hopeless = bool(self.trial.should_prune())
            if hopeless:
                self.trial.set_user_attr(_STOPPED, epochs)
            self.trial.set_user_attr(key, hopeless)
            return hopeless
        return bool(trial.user_attrs[key])

    def end(self) -> None:
        """Close the trial."""
        trial = self.mine
        if trial.state.is_finished():
            return
        if _STOPPED in trial.user_attrs:
            self.study.tell(trial.number, state=self.states.PRUNED)
        elif trial.intermediate_values:
            last = trial.intermediate_values[max(trial.intermediate_values)]
            failed = last != last  # NaN is no value to Optuna
            self.study.tell(
                trial.number,
                None if failed else last,
                state=self.states.FAIL if failed else self.states.COMPLETE,
            )


def lock_of(path: Path) -> Any:
    """The system's lock of a file beside it, which ends with the process however that ends.

    Optuna's own is a name that a killed process leaves behind. Half a line that one has left is removed.
    """
    from optuna.storages.journal import JournalFileOpenLock

    class Lock(JournalFileOpenLock):
        descriptor = -1

        def acquire(self) -> bool:
            self.descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError), open(path, "r+b") as file:
                content = file.read()
                if content and not content.endswith(b"\n"):
                    file.truncate(content.rfind(b"\n") + 1)
            return True

        def release(self) -> None:
            os.close(self.descriptor)

    return Lock(str(path))
