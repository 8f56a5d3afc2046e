"""What a training will take: a short measurement here, and a model of the hardware it is planned for.

    step = max(compute + exposed, decode, storage)      (on a CPU: compute + exposed + decode)

    compute   seconds of a step on one device with the batch of one device: measured, or from a given rate
    exposed   part of the gradient averaging that the backward pass does not hide: all of it for a compiled network,
              whose gradients come at the end; else the last bucket, or what exceeds two thirds of `compute`. A ring of
              n devices sends 2 (n - 1) / n times the gradients over its slowest link.
    decode    images of a machine's devices / (images per second of a core * cores)
    storage   their bytes / bytes per second that a machine reads

An epoch is its steps, its validation (forward passes only) and its brain scores (recorded by all devices, compared by
one). Start-up, compilation, checkpoints, logging and stragglers are left out. Real runs beside it: benchmarks/LOG.md.
"""

import math
import resource
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, open_dict
from torch.utils.data import DataLoader

from cornet.brain.benchmarks import Benchmark
from cornet.brain.subjects.subject import Recording
from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.stimuli.prepare.work import default_processes
from cornet.stimuli.samples import Batch
from cornet.training.build import Training, build
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.callbacks.shared_subject import SharedSubject
from cornet.training.overrides import check_missing
from cornet.training.run import quieten

__all__ = ["Hardware", "Measured", "Plan", "plan_training"]

BUCKET = 25 * 2**20  # bytes of the last gradient bucket, which no computation hides (PyTorch's default)
FORWARD, BACKWARD = 1 / 3, 2 / 3  # shares of a training step
STEPS, WARM_UP = 12, 4
SECONDS = 5.0  # for which loading is measured
SAMPLE = 64  # files whose sizes are read, stimuli that are shown


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """devices: GPUs (or CPU processes) in all; per_machine: of one machine; cores: of one machine.

    Bytes per second; inf: no limit. storage: read by a machine; link, network: between devices, between machines.
    """

    devices: int = 1
    per_machine: int = 8
    cores: int = 1
    storage: float = math.inf
    link: float = math.inf
    network: float = math.inf

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            counted = name in ("devices", "per_machine", "cores")
            if counted and (type(value) is not int or value < 1):
                raise CornetError(f"hardware.{name}={value!r} must be a whole number, at least 1.")
            if not value > 0:
                raise CornetError(f"hardware.{name}={value!r} must be bytes per second, above 0.")

    @property
    def machines(self) -> int:
        return math.ceil(self.devices / self.per_machine)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measured or given. step: seconds of a training step of `batch` images; forward: seconds an image in validation.

    core: images per second that one core decodes (inf: in memory). image_bytes: as stored. gradient_bytes: of all
    parameters. memory: peak bytes. record: seconds a stimulus; compare: seconds of an evaluation's comparisons.
    on_cores: the device is the CPU. at_once: all gradients come at the end of the backward pass.
    """

    step: float
    batch: int
    forward: float
    core: float = math.inf
    image_bytes: float = 0.0
    gradient_bytes: int = 0
    memory: float = math.nan
    record: float = 0.0
    compare: float = 0.0
    on_cores: bool = False
    at_once: bool = False


@dataclass(kw_only=True)
class Plan:
    """stimuli: shown at an evaluation of brain scores; evaluations: of them, an epoch; given: what was not measured."""

    measured: Measured
    hardware: Hardware
    train_images: int
    val_images: int
    epochs: int
    stimuli: int = 0
    evaluations: float = 1.0
    name: str = ""
    given: Sequence[str] = ()

    def __post_init__(self) -> None:
        measured, hardware, devices = self.measured, self.hardware, self.hardware.devices
        on_one = min(devices, hardware.per_machine)  # devices of the fullest machine
        gradients = 0.0
        if devices > 1:
            slowest = hardware.link if hardware.machines == 1 else min(hardware.link, hardware.network)
            ring = 2 * (devices - 1) / devices / slowest
            whole, last = ring * measured.gradient_bytes, ring * min(BUCKET, measured.gradient_bytes)
            gradients = whole if measured.at_once else max(last, whole - BACKWARD * measured.step)
        decode = measured.batch * on_one / (measured.core * hardware.cores)
        storage = measured.batch * on_one * measured.image_bytes / hardware.storage
        compute = measured.step + gradients + (decode if measured.on_cores else 0)
        self.parts = {"compute": measured.step, "gradients": gradients, "decode": decode, "storage": storage}
        self.step = max(compute, decode, storage)
        self.images_per_second = measured.batch * devices / self.step
        rivals = ("compute", "gradients") if self.step == compute else ("decode", "storage")
        self.bottleneck = max(rivals, key=lambda part: self.parts[part])
        self.steps = max(1, self.train_images // (measured.batch * devices))
        self.training = self.steps * self.step
        share = on_one / devices  # of the images, read by one machine
        loaded = share * max(1 / measured.core / hardware.cores, measured.image_bytes / hardware.storage)
        self.validation = self.val_images * max(measured.forward / devices, loaded)
        self.brain = self.evaluations * (self.stimuli * measured.record / devices + measured.compare)
        self.epoch = self.training + self.validation + self.brain
        self.total = self.epochs * self.epoch
        self.brain_share = self.brain / self.epoch


def plan_training(config: DictConfig) -> Plan:
    """Measure a composed configuration on one device here, and plan it for `config.hardware`.

    config.hardware: the fields of Hardware, and images_per_second of one device, used instead of the measured rate;
    null: as here. Raises CornetError for impossible hardware, for a batch that it cannot share, and as a run does.
    """
    check_missing(config)
    quieten()
    given = {str(key): value for key, value in (config.get("hardware") or {}).items() if value is not None}
    known = {*Hardware.__dataclass_fields__, "images_per_second"}
    if unknown := sorted(set(given) - known):
        raise CornetError(f"hardware.{unknown[0]} is unknown; there are {', '.join(sorted(known))}.")
    described = {key: value for key, value in given.items() if key != "images_per_second"}
    hardware = Hardware(**{"cores": default_processes(), **described})
    batch = config.recipe.batch_size
    if batch % hardware.devices:
        raise CornetError(
            f"recipe.batch_size={batch} does not divide among hardware.devices={hardware.devices}; choose a multiple."
        )
    config = config.copy()
    with open_dict(config):  # nothing is written in the run's folder
        config.name = config.name or f"{config.data.get('name', 'objects')}-{config.model.name}"
        config.run_folder, config.run_id, config.logger = str(cache_folder() / "plan"), "plan", {}
        config.recipe.batch_size = batch // hardware.devices
    training: Any = build(config)
    measured, epochs = measure(training), training.module.recipe.epochs
    record = compare = 0.0
    stimuli = evaluations = 0
    for brain in training.trainer.callbacks:
        if isinstance(brain, BrainScore) and brain.names:
            often = [one for one in brain.open(training.module.device) if one.name not in brain.ends]
            seconds = [brain_seconds(one, brain, training) for one in often]
            record = max([record, *(shown for shown, _ in seconds)])
            compare += sum(compared for _, compared in seconds)
            stimuli += sum({one.stimuli.identity: len(one.stimuli) for one in often}.values())
            evaluations += brain.schedule.before + len(brain.schedule.fractions)
            evaluations += sum(brain.schedule.after_epoch(epoch, epochs) for epoch in range(1, epochs + 1))
    measured = replace(measured, record=record, compare=compare)
    if (rate := given.get("images_per_second")) is not None:
        measured = replace(measured, step=measured.batch / rate, forward=FORWARD / rate, memory=math.nan)
    return Plan(
        measured=measured,
        hardware=hardware,
        train_images=len(training.data.train_images),
        val_images=len(training.data.val_images),
        epochs=epochs,
        stimuli=stimuli,
        evaluations=evaluations / epochs,
        name=f"{config.model.name} on {training.source.name}",
        given=sorted(given),
    )


def measure(training: Training) -> Measured:
    """Train the network for some steps on one device, and load some images. Raises CornetError if memory is short."""
    module, like = training.module, training.trainer
    device = like.strategy.root_device
    cuda = device.type == "cuda"
    batch, core = loading(training)
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    ends: list[float] = []
    trainer = pl.Trainer(
        accelerator="gpu" if cuda else "cpu",
        devices=1,
        max_steps=STEPS,
        precision=like.precision,
        gradient_clip_val=like.gradient_clip_val,
        default_root_dir=like.default_root_dir,
        callbacks=[pl.callbacks.LambdaCallback(on_train_batch_end=lambda *_: ends.append(now(device)))],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    steps = DataLoader[Batch]([batch] * STEPS, batch_size=None, collate_fn=lambda one: one)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*no `val_dataloader`|.*many workers")
            trainer.fit(module, train_dataloaders=steps)
    except torch.cuda.OutOfMemoryError:
        raise CornetError(
            f"recipe.batch_size={len(batch.labels)} does not fit the memory of {device}; halve it, or accumulate."
        ) from None
    memory = (
        torch.cuda.max_memory_allocated(device)
        if cuda
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    module.to(device).eval()
    images, forward = batch.images.to(device), [now(device)]
    bf16 = torch.autocast(device.type, torch.bfloat16, enabled=module.recipe.precision == "bf16-mixed")
    for _ in range(WARM_UP + 3):
        with torch.inference_mode(), bf16:
            module(images)
        forward.append(now(device))
    paths = [] if training.source.in_memory else getattr(training.data.train_images, "paths", None) or []
    some = [Path(paths[i]) for i in np.linspace(0, len(paths) - 1, SAMPLE).astype(int)] if paths else []
    return Measured(
        step=statistics.median(np.diff(ends[WARM_UP:])),
        batch=len(images),
        forward=statistics.median(np.diff(forward[WARM_UP:])) / len(images),
        core=core,
        image_bytes=statistics.fmean([path.stat().st_size for path in some if path.is_file()] or [0]),
        gradient_bytes=sum(p.numel() * p.element_size() for p in training.net.parameters()),
        memory=memory,
        on_cores=device.type == "cpu",
        at_once=module.net.compiled,
    )


def loading(training: Training) -> tuple[Batch, float]:
    """A batch, and the images per second that one core loads (inf where they are in memory)."""
    training.data.workers = 0
    batches = iter(training.data.train_dataloader())
    first = next(batches)
    if training.source.in_memory:
        return first, math.inf
    start, images = time.perf_counter(), 0
    for batch in batches:
        images += len(batch.labels)
        if time.perf_counter() - start > SECONDS:
            break
    return first, images / (time.perf_counter() - start) if images else math.inf


def brain_seconds(one: Benchmark[Any], brain: BrainScore, training: Any) -> tuple[float, float]:
    """Seconds of a stimulus, of which some are shown, and of the comparison, with random values of the real sizes."""
    source = training.source
    subject = SharedSubject(
        training.module.net, mean=source.mean, std=source.std, size=brain.size or source.size
    )
    rows = np.linspace(0, len(one.stimuli) - 1, min(SAMPLE, len(one.stimuli))).astype(int)
    sites = one.sites(subject)
    for _ in range(2):  # the first one warms up
        start = time.perf_counter()
        subject.record(one.stimuli.subset(rows), sites, one.degrees)
        shown = (time.perf_counter() - start) / len(rows)
    rng = np.random.default_rng(0)
    features = {
        site: np.maximum(rng.standard_normal((len(one.stimuli), width), np.float32), 0)
        for site, width in subject.widths(sites).items()
    }
    one.prepare()
    start = time.perf_counter()
    one.compare(Recording(one.stimuli.ids, features), subject)
    return shown, time.perf_counter() - start


def now(device: torch.device) -> float:
    """Seconds, when the device's work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
