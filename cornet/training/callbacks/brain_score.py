"""The callback that scores a network on brain benchmarks during training, and its schedule."""

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
from cornet.training.callbacks.brain_metrics import averages, in_mean, mean_value, metrics, monitor_names
from cornet.training.callbacks.shared_subject import SharedSubject, raise_on_all_ranks
from cornet.training.loaders import rank_and_world

__all__ = ["BrainScore", "Schedule"]

log = logging.getLogger("cornet")


@dataclass(frozen=True)
class Schedule:
    """When to score: before training, within the first epoch, every `every` epochs, and at the end.

    before: score the untrained network. fractions: points within the first epoch, between 0 and 1, such as (.1, .5).
    every: epochs between two scores; 0: no scores between start and end. end: score after the last epoch.

    Raises CornetError for a schedule without any score.
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
                f"every={self.every} must be a whole number of epochs, or 0 to score at start and end only."
            )
        if not (self.before or self.fractions or self.every or self.end):
            raise CornetError(
                "the brain schedule never fires: before and end are false, every is 0, fractions is empty; set one of "
                "them, or choose brain=none."
            )

    def check(self, epochs: int) -> None:
        """Raise CornetError if there would be no score within `epochs` epochs."""
        if not (self.before or self.fractions or self.end) and self.every > epochs:
            raise CornetError(
                f"the brain schedule never fires: every={self.every} epochs, and the training has {epochs}; lower "
                "every, or set end=true."
            )

    def after_epoch(self, number: int, epochs: int) -> bool:
        """Return whether to score after epoch `number` (from 1) of `epochs`."""
        return (self.every > 0 and number % self.every == 0) or (self.end and number == epochs)

    def evaluations(self, epochs: int) -> int:
        """Return the number of evaluations in a training of `epochs` epochs."""
        after = sum(self.after_epoch(epoch, epochs) for epoch in range(1, epochs + 1))
        return self.before + len(self.fractions) + after

    def after_batch(self, number: int, batches: int) -> float | None:
        """Return the fraction of the first epoch that batch `number` (from 1) reaches, or None."""
        for fraction in sorted(self.fractions):
            if math.ceil(fraction * batches) == number < batches:
                return fraction
        return None


class BrainScore(pl.Callback):
    """Scores the network on benchmarks during training, without any effect on the training.

    benchmarks: names, groups, or folders with a bundle, as `cornet score --on` takes them; or a mapping from any key
        to such lists, as in conf/brain. If empty, the callback does nothing.
    before, fractions, every, end: the schedule; see `Schedule`.
    start_and_end_only: benchmarks that are scored only before training and at its end (solution times are slow).
    metric, scale: of neural benchmarks; decoder: of solution times; time_bin (ms), groups, stratify, ignore: of local
        bundles; as in `cornet score`.
    size, degrees: pixels and visual angle of the screen; size None: as the training images.
    strict: stop the training if a benchmark fails; otherwise its error is logged once. folder: of scores.csv.
    ends: old name of start_and_end_only.

    Logs brain/<benchmark> (on its scale), its /raw, /ceiling and /error, brain/<region> if a region has one benchmark
    (brain/V4; brain/behaviour and brain/ost for the two of behaviour), brain/average_2018 and _2019, brain/mean (see
    `brain_metrics`), brain/seconds, and brain/epoch (epochs trained). `monitor=brain/IT` sees the last scores after
    every validation. Each rank records a share of the stimuli. Callbacks with a method
    on_brain_scores(trainer, pl_module, results, epoch) are called after every evaluation, on all ranks.

    Before the first batch, raises CornetError for missing benchmarks, too little memory, unknown regions, undriven
    steps, monitors without scores, and schedules without any score.
    """

    def __init__(
        self,
        benchmarks: Sequence[str] | Mapping[str, Sequence[str]],
        folder: str | Path,
        before: bool = True,
        fractions: Sequence[float] = (),
        every: int = 1,
        end: bool = True,
        start_and_end_only: Sequence[str] = (),
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
        ends: Sequence[str] | None = None,
    ) -> None:
        if ends is not None:
            log.warning("ends of BrainScore was renamed to start_and_end_only; use the new name.")
            start_and_end_only = ends
        lists = benchmarks.values() if isinstance(benchmarks, Mapping) else [benchmarks]
        self.names = list(dict.fromkeys(name for names in lists for name in names))
        self.schedule = Schedule(before, tuple(fractions), every, end)
        self.start_and_end_only = list(start_and_end_only)
        self.options: dict[str, Any] = {"metric": metric, "scale": scale, "decoder": decoder}
        self.options |= {"time_bin": time_bin, "groups": groups, "stratify": stratify, "ignore": ignore}
        self.size, self.degrees, self.strict = size, degrees, strict
        self.scores = RunScores(folder)
        self.benchmarks: list[Benchmark[Any]] = []
        self.monitored: dict[str, float] = {}  # logged again after validations without scores
        self.outdated: set[str] = set()  # those of an earlier epoch: progress does not show them
        self.failed: set[str] = set()
        self.screens = ScreenCache()
        self.last_metrics: dict[str, float] = {}  # of the last evaluation, at `last_step`
        self.last_step = -1

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
            for benchmark in self.benchmarks:
                check_benchmark(benchmark, subject)
            check_monitors(trainer, monitor_names(self.benchmarks, self.start_and_end_only))
        except CornetError as raised:
            error = str(raised)
        raise_on_all_ranks(error)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.scores.resume_from(trainer.global_step)
        if self.benchmarks and self.schedule.before and trainer.global_step == 0:
            self.score_now(trainer, pl_module, 0.0, math.nan, is_end=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.benchmarks and trainer.current_epoch == 0 and self.schedule.fractions:
            batches = int(trainer.num_training_batches)
            if self.schedule.after_batch(batch_idx + 1, batches) is not None:
                self.score_now(trainer, pl_module, (batch_idx + 1) / batches, math.nan)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not self.benchmarks or trainer.state.fn != "fit":
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
        epoch, epochs = trainer.current_epoch + done, trainer.max_epochs or 0
        if done == 1 and self.schedule.after_epoch(round(epoch), epochs):
            top1 = float(pl_module.val_accuracy["top1"].compute())  # type: ignore[index, union-attr]
            self.score_now(trainer, pl_module, epoch, top1, is_end=round(epoch) == epochs)
        updated = self.last_metrics if self.last_step == trainer.global_step else ()
        self.outdated = set(self.monitored) - set(updated)
        for name, value in self.monitored.items():
            pl_module.log(name, value, logger=False, rank_zero_only=False)

    def state_dict(self) -> dict[str, Any]:
        """Return the last scores, so that monitors see them in a resumed run."""
        return {"shown": dict(self.monitored)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.monitored = dict(state_dict["shown"])

    def open(self, device: torch.device | str) -> list[Benchmark[Any]]:
        """Open the benchmarks with the callback's options."""
        return open_benchmarks(self.names, device=device, **self.options)

    def subject(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> SharedSubject:
        """Return the current network as a subject. Raises CornetError if it has no areas."""
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

    def score_now(self, trainer: Any, module: Any, epoch: float, top1: float, is_end: bool = False) -> None:
        """Score, log and write the rows. is_end: also score the benchmarks in `start_and_end_only`."""
        start = time.perf_counter()
        benchmarks = [b for b in self.benchmarks if is_end or b.name not in self.start_and_end_only]
        subject = self.subject(trainer, module)
        results = battery(subject, benchmarks, self.strict)
        seconds = time.perf_counter() - start
        members = in_mean(self.benchmarks, self.start_and_end_only)
        values = metrics(results) | averages(results) | mean_value(results, members)
        self.last_metrics, self.last_step = values, trainer.global_step
        values["brain/seconds"] = seconds
        self.monitored.update({name: value for name, value in values.items() if name.count("/") == 1})
        for result in results:
            if result.failure and result.benchmark.name not in self.failed:
                self.failed.add(result.benchmark.name)
                log.warning(
                    "%s could not be scored and is skipped: %s", result.benchmark.name, result.failure
                )
        if trainer.is_global_zero:
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            for logger in trainer.loggers:
                logger.log_metrics({**finite, "brain/epoch": epoch}, step=trainer.global_step)
            columns = {"epoch": epoch, "step": trainer.global_step, "top1": top1}
            columns["weights"] = module.scored_weights
            provenance = module.provenance.columns()
            self.scores.add([{**columns, **result.row(), **provenance} for result in results])
        for callback in trainer.callbacks:
            if hook := getattr(callback, "on_brain_scores", None):
                hook(trainer, module, results, epoch)


def battery(subject: SharedSubject, benchmarks: Sequence[Benchmark[Any]], strict: bool) -> list[Result]:
    """Return the results on every rank: all ranks record, rank 0 compares and broadcasts.

    A failure is stored in its Result; with `strict` it is raised on all ranks.
    """
    rank, world = rank_and_world()
    results = list(run_battery([subject], benchmarks, strict=False, tolerate=Exception, compare=rank == 0))
    if world > 1:
        sent: list[Any] = [{r.benchmark.name: (r.score, r.sites, r.seconds, r.failure) for r in results}]
        dist.broadcast_object_list(sent, src=0)
        known = {benchmark.name: benchmark for benchmark in benchmarks}
        results = [Result(subject.name, known[name], *found) for name, found in sent[0].items()]
    if strict and (failed := next((r for r in results if r.failure), None)):
        raise CornetError(f"{failed.benchmark.name} could not be scored, and strict=true: {failed.failure}")
    return results
