"""How brain-like the network is, after any validation, and when that is asked."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from cornet.brain.benchmarks import Benchmark, Result, open_benchmarks, run_battery
from cornet.brain.subjects.screen_cache import ScreenCache
from cornet.errors import CornetError
from cornet.models import CORnet
from cornet.runs.scores import RunScores
from cornet.training.callbacks.brain_checks import check_benchmark, check_monitors
from cornet.training.callbacks.brain_metrics import averages, compared, mean_value, metrics, monitors
from cornet.training.callbacks.shared_subject import SharedSubject, raise_together
from cornet.training.loaders import rank_and_world

__all__ = ["BrainScore", "Schedule"]

log = logging.getLogger("cornet")


@dataclass(frozen=True)
class Schedule:
    """Before training, at fractions of the first epoch, every `every` epochs, and at the end.

    before: score the network with its first weights. fractions: of the first epoch, between 0 and 1, as (.1, .5).
    every: epochs between two scores; 0: none between. end: after the last epoch, whatever `every` says.

    Raises CornetError for a schedule that would never fire.
    """

    before: bool = True
    fractions: Sequence[float] = ()
    every: int = 1
    end: bool = True

    def __post_init__(self) -> None:
        for fraction in self.fractions:
            if not 0 < fraction < 1:
                raise CornetError(
                    f"fractions={list(self.fractions)} of the first epoch must lie between 0 and 1; use for example "
                    "[0.1, 0.5]."
                )
        if self.every < 0 or int(self.every) != self.every:
            raise CornetError(
                f"every={self.every} must be a number of epochs, or 0 for none between start and end."
            )
        if not (self.before or self.fractions or self.every or self.end):
            raise CornetError(
                "the brain schedule never fires: before and end are false, every is 0, fractions is empty; set one of "
                "them, or leave the benchmarks out with brain=none."
            )

    def check(self, epochs: int) -> None:
        """Raise CornetError where no score would be taken in so many epochs."""
        if not (self.before or self.fractions or self.end) and self.every > epochs:
            raise CornetError(
                f"the brain schedule never fires: every={self.every} epochs, and the training has {epochs}; lower "
                "every, or set end=true."
            )

    def after_epoch(self, number: int, epochs: int) -> bool:
        """Whether to score after epoch `number` (1 is the first) of `epochs`."""
        return (self.every > 0 and number % self.every == 0) or (self.end and number == epochs)

    def after_batch(self, number: int, batches: int) -> float | None:
        """The fraction of the first epoch that is reached with batch `number` (1 is the first), if one is."""
        for fraction in sorted(self.fractions):
            if math.ceil(fraction * batches) == number < batches:
                return fraction
        return None


class BrainScore(pl.Callback):
    """Scores the network on benchmarks while it trains, and changes nothing of the training.

    benchmarks: names, groups, or folders with a bundle, as `cornet score --on` takes them; or lists of them by any
        name, as conf/brain gives them. None: the callback does nothing.
    before, fractions, every, end: when; see `Schedule`.
    ends: benchmarks that are scored before training and at its end only (solution times are slow).
    metric, scale: of neural benchmarks; decoder: of solution times; time_bin (ms), groups, stratify, ignore: of local
        bundles; as `cornet score` has them.
    size, degrees: pixels and visual angle of the screen; size None: that of the training images.
    strict: stop the training when a benchmark fails; else its error is logged once. folder: of scores.csv.

    Logs brain/<benchmark> (on its scale), its /raw, /ceiling and /error, brain/<region> where a region has one
    benchmark (brain/V4; brain/behaviour and brain/ost for the two of behaviour), brain/average_2018 and _2019,
    brain/mean (see `brain_metrics`), and brain/seconds and brain/epoch (epochs trained), at their step.
    `monitor=brain/IT` finds the last scores after every validation. Ranks share the stimuli. Callbacks with a method
    on_brain_scores(trainer, pl_module, results, epoch) get every evaluation, on all ranks.

    Raises CornetError before the first batch for missing benchmarks, too little memory, unknown regions, undriven
    steps, monitors without scores, and schedules that never fire.
    """

    def __init__(
        self,
        benchmarks: Sequence[str] | Mapping[str, Sequence[str]],
        folder: str | Path,
        before: bool = True,
        fractions: Sequence[float] = (),
        every: int = 1,
        end: bool = True,
        ends: Sequence[str] = (),
        metric: str = "pls",
        scale: str = "r^2/c",
        decoder: str = "reference",
        time_bin: Sequence[float] | None = None,
        groups: str | None = None,
        stratify: str | None = None,
        ignore: Sequence[str] | None = None,
        size: int | None = None,
        degrees: float = 8.0,
        strict: bool = False,
    ) -> None:
        lists = benchmarks.values() if isinstance(benchmarks, Mapping) else [benchmarks]
        self.names = list(dict.fromkeys(name for names in lists for name in names))
        self.schedule = Schedule(before, tuple(fractions), every, end)
        self.ends = list(ends)
        self.options: dict[str, Any] = {"metric": metric, "scale": scale, "decoder": decoder}
        self.options |= {"time_bin": time_bin, "groups": groups, "stratify": stratify, "ignore": ignore}
        self.size, self.degrees, self.strict = size, degrees, strict
        self.scores = RunScores(folder)
        self.benchmarks: list[Benchmark[Any]] = []
        self.shown: dict[str, float] = {}  # what monitors find again after a validation without scores
        self.stale: set[str] = set()  # of these, what was not measured now: no line of an epoch tells it
        self.failed: set[str] = set()
        self.screens = ScreenCache()
        self.taken: dict[str, float] = {}  # of the last evaluation, at this step
        self.taken_at = -1

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        if not self.names:
            check_monitors(trainer, [])
            return
        self.benchmarks = self.open(pl_module.device)
        self.schedule.check(trainer.max_epochs or 0)
        error = ""
        try:
            subject = self.subject(trainer, pl_module)
            for one in self.benchmarks:
                check_benchmark(one, subject)
            check_monitors(trainer, monitors(self.benchmarks, self.ends))
        except CornetError as raised:
            error = str(raised)
        raise_together(error)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.scores.resume_from(trainer.global_step)
        if self.benchmarks and self.schedule.before and trainer.global_step == 0:
            self.take(trainer, pl_module, 0.0, math.nan, last=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.benchmarks and trainer.current_epoch == 0 and self.schedule.fractions:
            batches = int(trainer.num_training_batches)
            if self.schedule.after_batch(batch_idx + 1, batches) is not None:
                self.take(trainer, pl_module, (batch_idx + 1) / batches, math.nan)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not self.benchmarks or trainer.state.fn != "fit":
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
        epoch, epochs = trainer.current_epoch + done, trainer.max_epochs or 0
        if done == 1 and self.schedule.after_epoch(round(epoch), epochs):
            top1 = float(pl_module.val_accuracy["top1"].compute())  # type: ignore[index, union-attr]
            self.take(trainer, pl_module, epoch, top1, last=round(epoch) == epochs)
        self.stale = set(self.shown) - set(self.taken if self.taken_at == trainer.global_step else ())
        for name, value in self.shown.items():
            pl_module.log(name, value, logger=False, rank_zero_only=False)

    def state_dict(self) -> dict[str, Any]:
        """The last scores, so that a monitor finds them in a run that goes on."""
        return {"shown": dict(self.shown)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.shown = dict(state_dict["shown"])

    def open(self, device: torch.device | str) -> list[Benchmark[Any]]:
        """The benchmarks, as they were asked for."""
        return open_benchmarks(self.names, device=device, **self.options)

    def subject(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> SharedSubject:
        """The network as it is now. Raises CornetError for one that has no areas."""
        if not isinstance(pl_module.net, CORnet):
            raise CornetError(
                "the network has no areas to compare with brains; subclass cornet.models.CORnet, or "
                "choose brain=none."
            )
        source = trainer.datamodule.source  # type: ignore[attr-defined]
        screen: dict[str, Any] = {"size": self.size or source.size, "degrees": self.degrees}
        subject = SharedSubject(pl_module.net, "network", mean=source.mean, std=source.std, **screen)
        subject.screen_cache = self.screens
        return subject

    def take(self, trainer: Any, pl_module: Any, epoch: float, top1: float, last: bool = False) -> None:
        """Score now, log, and write the rows. last: also what is scored at the ends only."""
        start = time.perf_counter()
        due = [one for one in self.benchmarks if last or one.name not in self.ends]
        subject = self.subject(trainer, pl_module)
        results = battery(subject, due, self.strict)
        seconds = time.perf_counter() - start
        values = (
            metrics(results) | averages(results) | mean_value(results, compared(self.benchmarks, self.ends))
        )
        self.taken, self.taken_at = values, trainer.global_step
        values["brain/seconds"] = seconds
        self.shown.update({name: value for name, value in values.items() if name.count("/") == 1})
        for result in results:
            if result.failure and result.benchmark.name not in self.failed:
                self.failed.add(result.benchmark.name)
                log.warning(
                    "%s could not be scored and is left out: %s", result.benchmark.name, result.failure
                )
        if trainer.is_global_zero:
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            for logger in trainer.loggers:
                logger.log_metrics({**finite, "brain/epoch": epoch}, step=trainer.global_step)
            about = {"epoch": epoch, "step": trainer.global_step, "top1": top1}
            about["weights"] = pl_module.scored_weights
            made_of = pl_module.provenance.columns()
            self.scores.add([{**about, **result.row(), **made_of} for result in results])
        for callback in trainer.callbacks:
            if hear := getattr(callback, "on_brain_scores", None):
                hear(trainer, pl_module, results, epoch)


def battery(subject: SharedSubject, benchmarks: Sequence[Benchmark[Any]], strict: bool) -> list[Result]:
    """The results, on every rank: all record, the first one compares and sends. Failures are told in their Result.

    With `strict` one is raised on all ranks.
    """
    rank, world = rank_and_world()
    results = list(run_battery([subject], benchmarks, strict=False, tolerate=Exception, compare=rank == 0))
    if world > 1:
        told: list[Any] = [{r.benchmark.name: (r.score, r.sites, r.seconds, r.failure) for r in results}]
        dist.broadcast_object_list(told, src=0)
        known = {one.name: one for one in benchmarks}
        results = [Result(subject.name, known[name], *found) for name, found in told[0].items()]
    if strict and (failed := next((r for r in results if r.failure), None)):
        raise CornetError(f"{failed.benchmark.name} could not be scored, and strict=true: {failed.failure}")
    return results
