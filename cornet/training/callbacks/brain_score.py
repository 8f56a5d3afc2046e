"""The callback that scores a network on brain benchmarks during training, in any LightningModule."""

import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from cornet.brain.benchmarks import Benchmark
from cornet.brain.benchmarks.battery import with_layers
from cornet.brain.choosing import choose
from cornet.brain.scoring import AUTO, check_layers, opened_benchmarks
from cornet.brain.subjects.any_network import Milliseconds, subject_of, unwrapped
from cornet.brain.subjects.base import to_site
from cornet.brain.subjects.layer_file import is_layer_file, read_layers
from cornet.brain.subjects.record.screen_cache import ScreenCache
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.models.base import Network as AreaNetwork
from cornet.runs.scores import RunScores
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD
from cornet.training.callbacks.brain.checks import check_benchmark, check_monitors, check_strategy
from cornet.training.callbacks.brain.cost import cost_text
from cornet.training.callbacks.brain.evaluation import evaluate
from cornet.training.callbacks.brain.metrics import averages, in_mean, mean_value, metrics, monitor_names
from cornet.training.callbacks.brain.schedule import Schedule
from cornet.training.callbacks.brain.scored_module import (
    Network,
    averaged_weights,
    find_network,
    provenance_columns,
    weights_held,
)
from cornet.training.callbacks.brain.shared_subject import SHARED, SharedSubject, raise_on_all_ranks

__all__ = ["BrainScore", "Schedule"]

log = logging.getLogger("cornet")


class BrainScore(pl.Callback):
    """Scores the network on benchmarks during training, without any effect on the training. For any LightningModule.

    pl.Trainer(callbacks=[cornet.BrainScore(["my-bundle"], layers={"V4": "layer3", "IT": "layer4"}, size=64)])

    benchmarks: names, groups, or folders with a bundle, as `cornet score --on` takes them, or your own `Benchmark`
        objects; or a mapping from any key
        to such lists, as in conf/brain. If empty, the callback does nothing.
    layers: the layer for each region, see `cornet.brain.subjects.any_network.subject_of`. Cornet's networks have areas
        and need none. Benchmarks of a group or bundle whose region has no layer are left out. "auto": for each region
        the layer that predicts the bundle `choose_on` best, with the weights at the start of the training. The path of
        a file that `cornet layers` has written: the layers in it.
    network: the network to score: the module itself (None), an attribute's name ("encoder") or a function of the
        module. It is called with normalised images (batch, 3, size, size).
    size, mean, std: pixels per side of the screen, and normalisation of images scaled to 0..1. None: those of the
        training images if the data module has a `source` with them, as in train.py; otherwise 224 and ImageNet's.
    degrees: visual angle of the screen. step_ms, onset_ms: times of layers that run several times, see `subject_of`.
    before, fractions, every, end: the schedule; see `Schedule`.
    start_and_end_only: benchmarks that are scored only before training and at its end (solution times are slow).
    metric, scale: of neural benchmarks; with several metrics, such as ["pls", "cka"], there is a benchmark for each
        (my-bundle.V4 and my-bundle.V4-cka); decoder: of solution times; time_bin (ms), groups, stratify, ignore: of
        local bundles; as in `cornet score`.
    task_metric: name of a logged metric to write beside the scores, such as "val/acc"; None: that of the module, if it
        has the attribute `task_metric`.
    folder: of scores.csv; None: the trainer's (`log_dir`, or `default_root_dir` without a logger).
    strict: stop the training if a benchmark fails; otherwise its error is logged once.
    ends: old name of start_and_end_only.

    Logs brain/<benchmark> (on its scale), its /raw, /ceiling and /error, brain/<region> if a region has one benchmark
    (brain/V4; brain/behaviour and brain/ost for the two of behaviour), brain/average_2018 and _2019, brain/mean (see
    `brain.metrics`), brain/seconds, and brain/epoch (epochs trained). `monitor="brain/IT"` of other callbacks sees the
    last scores after every validation, or after every epoch without one. Each rank records a share of the stimuli.
    Averaged weights are scored if validation uses them. Optional attributes of the module: see `ScoredModule`.
    Callbacks with a method on_brain_scores(trainer, pl_module, results, epoch) are called after every evaluation, on
    all ranks.

    Before the first batch, raises CornetError for missing benchmarks, unknown layers (with near names), layers that
    never run or give no tensor, too little memory, undriven steps, monitors without scores, schedules without scores,
    and strategies that split the network.
    """

    def __init__(
        self,
        benchmarks: Sequence[str | Benchmark[Any]] | Mapping[str, Sequence[str | Benchmark[Any]]],
        layers: Mapping[str, str] | str | None = None,
        network: Network = None,
        size: int | None = None,
        every: int = 1,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        degrees: float = 8.0,
        step_ms: Milliseconds | None = None,
        onset_ms: Milliseconds | None = None,
        choose_on: str | None = None,
        before: bool = True,
        fractions: Sequence[float] = (),
        end: bool = True,
        start_and_end_only: Sequence[str] = (),
        metric: str | Sequence[str] = "pls",
        scale: str = "r^2/c",
        decoder: str = "reference",
        time_bin: Sequence[float] | None = None,
        groups: str | None = None,
        stratify: str | None = None,
        ignore: Sequence[str] | None = None,
        task_metric: str | None = None,
        folder: str | Path | None = None,
        strict: bool = False,
        ends: Sequence[str] | None = None,
    ) -> None:
        if ends is not None:
            log.warning("ends of BrainScore was renamed to start_and_end_only; use the new name.")
            start_and_end_only = ends
        check_layers(layers, choose_on or "")
        lists = benchmarks.values() if isinstance(benchmarks, Mapping) else [as_list(benchmarks)]
        self.names = list(dict.fromkeys(name for names in lists for name in names))
        self.layers, self.network, self.choose_on = layers, network, choose_on or ""
        self.schedule = Schedule(before, tuple(fractions), every, end)
        self.start_and_end_only = list(start_and_end_only)
        self.options: dict[str, Any] = {"metric": metric, "scale": scale, "decoder": decoder}
        self.options |= {"time_bin": time_bin, "groups": groups, "stratify": stratify, "ignore": ignore}
        self.screen = {"size": size, "mean": mean, "std": std}
        self.degrees, self.times = degrees, {"step_ms": step_ms, "onset_ms": onset_ms}
        self.task_metric, self.folder, self.strict = task_metric, folder, strict
        self.path = Path(folder or ".")  # of scores.csv, once a training starts
        self.scores: RunScores | None = None
        self.benchmarks: list[Benchmark[Any]] = []
        self.chosen: dict[str, Site] | None = None  # by layers="auto", or from a file
        self.monitored: dict[str, float] = {}  # logged again after validations without scores
        self.outdated: set[str] = set()  # those of an earlier epoch: progress does not show them
        self.failed: set[str] = set()
        self.screens = ScreenCache()
        self.last_metrics: dict[str, float] = {}  # of the last evaluation, at `last_step`
        self.last_step = -1
        self.unwritten: list[dict[str, Any]] = []  # rows that wait for the task's metric
        self.evaluations = 0
        self.epochs_trained = 0.0
        self.shown_at = -1  # step at which the monitored scores were logged

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        own = list(getattr(pl_module, "own_benchmarks", ()))
        if not self.names and not own:
            check_monitors(trainer, [])
            return
        check_strategy(trainer)
        self.path = Path(self.folder or trainer.log_dir or trainer.default_root_dir)
        self.scores = RunScores(self.path)
        self.benchmarks = [*(self.open(pl_module.device) if self.names else []), *own]
        self.schedule.check(epochs_of(trainer))
        error = ""
        try:
            if self.layers != AUTO:
                self.check(trainer, pl_module)
            else:
                find_network(pl_module, self.network)
        except CornetError as raised:
            error = str(raised)
        raise_on_all_ranks(error)

    def check(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave out benchmarks without a layer, and check the others. Raises CornetError."""
        subject = self.subject(trainer, pl_module)
        self.benchmarks = with_layers(self.benchmarks, subject, self.names) if self.names else self.benchmarks
        for benchmark in self.benchmarks:
            check_benchmark(benchmark, subject)
        known = monitor_names(self.benchmarks, self.start_and_end_only)
        check_monitors(
            trainer, known if self.names else []
        )  # held-out scores of a loss alone are not monitored

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.benchmarks:
            return
        if trainer.is_global_zero and self.scores is not None:
            fresh = self.folder is None and trainer.global_step == 0
            if fresh and (aside := self.scores.move_aside()):
                log.warning("the scores of an earlier run were renamed to %s", aside)
            self.scores.resume_from(trainer.global_step)
        if self.layers == AUTO:
            if self.chosen is None:
                whole = self.subject(trainer, pl_module)
                choice = choose(whole, self.choose_on, self.options, pl_module.device, cache=False)
                self.chosen = dict(choice.regions)
            self.check(trainer, pl_module)
        if self.schedule.before and trainer.global_step == 0:
            self.score_now(trainer, pl_module, 0.0, is_end=True)
            self.write(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batches = float(trainer.num_training_batches)
        self.epochs_trained = trainer.current_epoch + (batch_idx + 1) / batches
        if not self.benchmarks or trainer.current_epoch > 0:
            return
        if self.schedule.after_batch(batch_idx + 1, batches) is not None:
            self.score_now(trainer, pl_module, self.epochs_trained)
            self.write(trainer)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not self.benchmarks or trainer.state.fn != "fit":
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
        if done == 1:
            self.after_epoch(trainer, pl_module, trainer.current_epoch + 1, self)
        self.show(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score after an epoch without a validation at its end."""
        if not self.benchmarks or self.last_step == trainer.global_step:
            return
        whole = not math.isfinite(float(trainer.num_training_batches)) or self.epochs_trained % 1 == 0
        if whole:
            self.after_epoch(trainer, pl_module, trainer.current_epoch + 1)
        if self.shown_at != trainer.global_step:
            self.show(trainer, pl_module)
        self.write(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score a training that ended elsewhere than planned, such as by `max_steps`."""
        stopped = any(getattr(one, "stopped_after", None) for one in trainer.callbacks)  # type: ignore[attr-defined]
        if self.benchmarks and self.schedule.end and self.last_step != trainer.global_step and not stopped:
            with averaged_weights(trainer, pl_module) as kind:
                self.score_now(trainer, pl_module, self.epochs_trained, is_end=True, weights=kind)
            self.write(trainer)

    def after_epoch(self, trainer: Any, module: Any, epoch: int, validated_by: Any = None) -> None:
        """Score after an epoch (counted from 1) if the schedule says so, with the weights that validation uses."""
        epochs = epochs_of(trainer)
        if self.schedule.after_epoch(epoch, epochs):
            with averaged_weights(trainer, module, validated_by) as kind:
                self.score_now(trainer, module, float(epoch), is_end=epoch == epochs, weights=kind)

    def show(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the last scores for monitors."""
        updated = self.last_metrics if self.last_step == trainer.global_step else ()
        self.outdated = set(self.monitored) - set(updated)
        self.shown_at = trainer.global_step
        with warnings.catch_warnings():  # all ranks log the same value
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
            for name, value in self.monitored.items():
                pl_module.log(name, value, logger=False, rank_zero_only=False)

    def state_dict(self) -> dict[str, Any]:
        """Return the last scores, so that monitors see them in a resumed run, and the chosen layers."""
        chosen = (
            {"layers": {region: str(site) for region, site in self.chosen.items()}} if self.chosen else {}
        )
        return {"shown": dict(self.monitored), **chosen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.monitored = dict(state_dict["shown"])
        if "layers" in state_dict:
            self.chosen = {region: to_site(site) for region, site in state_dict["layers"].items()}

    def open(self, device: torch.device | str) -> list[Benchmark[Any]]:
        """Open the benchmarks with the callback's options."""
        return opened_benchmarks(self.names, device, self.options)

    def subject(self, trainer: Any, module: Any, source: Any = None) -> SharedSubject:
        """Return the current network as a subject.

        source: has `size`, `mean` and `std` of the training images; None: that of the data module, if it has one.
        Raises CornetError for a network that cannot be compared.
        """
        source = getattr(trainer.datamodule, "source", None) if source is None else source
        default = {"size": 224, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
        screen = {
            key: getattr(source, key, default[key]) if value is None else value
            for key, value in self.screen.items()
        }
        net = find_network(module, self.network)
        options: Any = {**screen, "degrees": self.degrees, "kinds": SHARED}
        if is_layer_file(self.layers):  # it names the steps, so a foreign network needs no times
            timed = options | self.times if isinstance(unwrapped(net), AreaNetwork) else options
            subject: Any = subject_of(net, None, **timed)
            if self.chosen is None:
                self.chosen = read_layers(str(self.layers), subject)
            subject = subject.with_regions(self.chosen)
        else:
            layers: Any = self.chosen if self.layers == AUTO else self.layers
            subject = subject_of(net, layers, **(options | self.times))
        subject.screen_cache, subject.caches = self.screens, False
        return subject

    def score_now(
        self, trainer: Any, module: Any, epoch: float, is_end: bool = False, weights: str | None = None
    ) -> None:
        """Score and log; `write` then adds the rows to scores.csv.

        is_end: also score the benchmarks in `start_and_end_only`. weights: kind of the weights; None: what the module
        says.
        """
        start = time.perf_counter()
        benchmarks = [b for b in self.benchmarks if is_end or b.name not in self.start_and_end_only]
        results = evaluate(self.subject(trainer, module), benchmarks, self.strict)
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
            columns: dict[str, Any] = {
                "epoch": epoch,
                "step": trainer.global_step,
                "task_metric": self.metric_of(module),
                "task_value": math.nan,
            }
            columns["weights"] = weights_held(module) if weights is None else weights
            provenance = provenance_columns(module)
            self.unwritten = [{**columns, **result.row(), **provenance} for result in results]
        self.evaluations += 1
        if self.evaluations == 1 and trainer.is_global_zero:
            text = cost_text(results, seconds, self.schedule, self.start_and_end_only, epochs_of(trainer))
            show = log.info if log.isEnabledFor(logging.INFO) else rank_zero_info
            show(text)
        for callback in trainer.callbacks:
            if hook := getattr(callback, "on_brain_scores", None):
                hook(trainer, module, results, epoch)

    def metric_of(self, module: Any) -> str:
        """Return the name of the metric to write beside the scores; "" if there is none."""
        return str(self.task_metric or getattr(module, "task_metric", "") or "")

    def write(self, trainer: pl.Trainer) -> None:
        """Write the rows of the last evaluation, with the task's metric as it is logged by now."""
        if not self.unwritten or self.scores is None:
            return
        rows, self.unwritten = self.unwritten, []
        name = rows[0]["task_metric"]
        if rows[0]["step"] > 0 and name in trainer.callback_metrics:
            value = float(trainer.callback_metrics[name])
            rows = [{**row, "task_value": value} for row in rows]
        self.scores.add(rows)


def epochs_of(trainer: pl.Trainer) -> float:
    """Return the number of epochs of a training; infinite if only its steps or its time are limited."""
    epochs = trainer.max_epochs
    return math.inf if epochs is None or epochs < 0 else float(epochs)


def as_list(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
