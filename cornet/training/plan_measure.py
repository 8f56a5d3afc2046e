"""A short measurement of a training that is about to begin: the rates from which `plan_model` makes a plan."""

import copy
import logging
import math
import os
import statistics
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from cornet.brain.benchmarks import Benchmark
from cornet.brain.subject import Recording
from cornet.errors import CornetError
from cornet.stimuli.samples import Batch
from cornet.training.brain_score import BrainScore
from cornet.training.build import Training
from cornet.training.plan_model import Measured
from cornet.training.shared_subject import SharedSubject

__all__ = ["measure"]

log = logging.getLogger("cornet")

STEPS, WARM_UP = 12, 4
SECONDS = 5.0  # that loading is watched
SAMPLE = 64  # files whose sizes are looked at, stimuli that are shown


class StepTimes(pl.Callback):
    """Seconds from one step's end to the next, with the device's work waited for."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        wait_for(pl_module.device)
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        return statistics.median(np.diff(self.ends[WARM_UP:]))


def measure(training: Training) -> Measured:
    """Some steps of the very training on one device, some images loaded, some stimuli shown; nothing is kept.

    The network that is given stays as it is. Raises CornetError where the batch does not fit the device.
    """
    module, device = copy.deepcopy(training.module), device_of(training.trainer)
    batch, core = loading(training)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = StepTimes()
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_steps=STEPS,
        precision=training.trainer.precision,
        gradient_clip_val=training.trainer.gradient_clip_val,
        default_root_dir=training.trainer.default_root_dir,
        callbacks=[times],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*no `val_dataloader`.*")
            trainer.fit(module, train_dataloaders=Same(batch, STEPS))
    except torch.cuda.OutOfMemoryError:
        raise CornetError(
            f"recipe.batch_size={len(batch.labels)} does not fit the memory of {device}; halve it, or accumulate."
        ) from None
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else resident_peak()
    module.to(device).eval()
    forward = forward_seconds(module, batch, device)
    record, compare = brain_seconds(training, module)
    return Measured(
        step=times.seconds,
        batch=len(batch.labels),
        forward=forward,
        core=core,
        image_bytes=image_bytes(training),
        gradient_bytes=sum(p.numel() * p.element_size() for p in training.net.parameters()),
        memory=memory,
        record=record,
        compare=compare,
        on_cores=device.type == "cpu",
        at_once=module.net.compiled,
    )


class Same:
    """One batch, again and again: what a step takes when nothing is loaded."""

    def __init__(self, batch: Batch, count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterable[Batch]:
        return iter([self.batch] * self.count)


def loading(training: Training) -> tuple[Batch, float]:
    """A batch, and the images per second that one core loads (inf where they are in memory)."""
    data = training.data
    workers, data.workers = data.workers, 0
    try:
        batches = iter(data.train_dataloader())
        first = next(batches)
        if training.source.in_memory:
            return first, math.inf
        start, images = time.perf_counter(), 0
        for batch in batches:
            images += len(batch.labels)
            if time.perf_counter() - start > SECONDS:
                break
        return first, images / (time.perf_counter() - start) if images else math.inf
    finally:
        data.workers = workers


def image_bytes(training: Training) -> float:
    """Mean size of some training files; 0 where there are none."""
    paths = getattr(training.data.train_images, "paths", None)
    if training.source.in_memory or not paths:
        return 0.0
    some = [paths[i] for i in np.linspace(0, len(paths) - 1, SAMPLE).astype(int)]
    sizes = [Path(path).stat().st_size for path in some if Path(path).is_file()]
    return statistics.fmean(sizes) if sizes else 0.0


@torch.inference_mode()
def forward_seconds(module: Any, batch: Batch, device: torch.device) -> float:
    """Seconds an image in validation."""
    images = batch.images.to(device)
    bf16 = module.recipe.precision == "bf16-mixed"
    taken = []
    for _ in range(WARM_UP + 3):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            module(images)
        wait_for(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[WARM_UP:]) / len(images)


def brain_seconds(training: Training, module: Any) -> tuple[float, float]:
    """(seconds a stimulus, seconds of the comparisons of an evaluation), of those scored every time.

    Some stimuli are shown; what is compared has the real sizes and random values.
    """
    record, compare = 0.0, 0.0
    for brain in training.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(brain, BrainScore) and brain.names:
            source = training.source
            subject = SharedSubject(
                module.net, mean=source.mean, std=source.std, size=brain.size or source.size
            )
            often = [one for one in brain.open(module.device) if one.name not in brain.ends]
            for one in often:
                record = max(record, shown_seconds(one, subject))
                compare += compared_seconds(one, subject)
    return record, compare


def shown_seconds(one: Benchmark[Any], subject: SharedSubject) -> float:
    """Seconds a stimulus, of some of them."""
    rows = np.linspace(0, len(one.stimuli) - 1, min(SAMPLE, len(one.stimuli))).astype(int)
    some = one.stimuli.subset(rows)
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        subject.record(some, one.sites(subject), one.degrees)
        taken.append(time.perf_counter() - start)
    return taken[-1] / len(rows)


def compared_seconds(one: Benchmark[Any], subject: SharedSubject) -> float:
    rng = np.random.default_rng(0)
    sites = one.sites(subject)
    features = {
        site: np.maximum(rng.standard_normal((len(one.stimuli), width), np.float32), 0)
        for site, width in subject.widths(sites).items()
    }
    recording = Recording(one.stimuli.ids, features)
    one.prepare()
    start = time.perf_counter()
    one.compare(recording, subject)
    return time.perf_counter() - start


def stimuli_of(benchmarks: Iterable[Benchmark[Any]]) -> int:
    """Stimuli shown at an evaluation: each set once."""
    return sum({one.stimuli.identity: len(one.stimuli) for one in benchmarks}.values())


def device_of(trainer: pl.Trainer) -> torch.device:
    return trainer.strategy.root_device


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def resident_peak() -> float:
    """The most memory that this process has held, bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return math.nan


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
