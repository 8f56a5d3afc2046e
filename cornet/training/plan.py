"""Estimate the time and memory of a training from a short measurement and a model of the hardware.

    step = max(compute + exposed, decode, storage)      (on a CPU: compute + exposed + decode)

    compute   seconds of a step on one device with its share of the batch: measured, or from a given rate
    exposed   gradient averaging that the backward pass does not hide: all of it for a compiled network, else the last
              bucket, or what exceeds 2/3 of `compute`. A ring of n devices sends 2 (n - 1) / n times the gradients.
    decode    images of a machine's devices / (images per second of a core * cores)
    storage   their bytes / bytes per second that a machine reads

An epoch is its steps, its validation (forward passes) and its brain scores (recorded by all devices, compared by one),
without start-up, compilation, checkpoints, logging and stragglers. benchmarks/LOG.md compares plans with real runs.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, open_dict
from torch.cuda import max_memory_allocated, reset_peak_memory_stats
from torch.utils.data import DataLoader

from cornet.brain.benchmarks import Benchmark
from cornet.brain.subjects.subject import Recording
from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.stimuli.prepare.work import default_processes
from cornet.stimuli.samples import Batch
from cornet.training.build import Training, build
from cornet.training.callbacks.batch_fit import BatchFit
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.config_errors import check_missing
from cornet.training.run import quieten

__all__ = ["Hardware", "Measured", "Plan", "plan_training"]

BUCKET = 25 * 2**20  # bytes of the last gradient bucket, which no computation hides (PyTorch's default)
FORWARD, BACKWARD = 1 / 3, 2 / 3  # shares of a training step
STEPS, WARM_UP = 12, 4
SECONDS = 5.0  # duration of the measurement of loading
SAMPLE = 64  # number of files whose sizes are read, and of stimuli that are recorded


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """devices: total GPUs (or CPU processes). per_machine, cores: devices and cores of one machine.

    storage, link, network: bytes per second that a machine reads, between devices, and between machines; inf: no limit.
    images_per_second: training images per second of one device; None: measured.
    """

    devices: int = 1
    per_machine: int = 8
    cores: int = 1
    storage: float = math.inf
    link: float = math.inf
    network: float = math.inf
    images_per_second: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            kind = "a whole number" if name in ("devices", "per_machine", "cores") else "a number per second"
            if value is not None and ((kind == "a whole number" and type(value) is not int) or not value > 0):
                raise CornetError(f"hardware.{name}={value!r} must be {kind}, above 0.")

    @property
    def machines(self) -> int:
        return math.ceil(self.devices / self.per_machine)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """step: seconds of a training step of `batch` images. forward: seconds per image in validation.

    core: images per second that one core decodes (inf: in memory). image_bytes: stored size of an image.
    gradient_bytes: size of all gradients. memory: peak bytes. record: seconds per stimulus. compare: seconds of an
    evaluation's comparisons. losses: share of a step that each loss beside the task's takes. on_cores: the device is
    the CPU. at_once: gradients come at the end of the backward pass.
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
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Plan:
    """stimuli: per evaluation of brain scores. evaluations: per epoch. given: fields of `hardware` that were given."""

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

    Raises CornetError for invalid hardware, for a batch that it cannot share, and as a run does.
    """
    check_missing(config)
    quieten()
    given = {str(key): value for key, value in (config.get("hardware") or {}).items() if value is not None}
    known = Hardware.__dataclass_fields__
    for key in sorted({*given} - {*known}):
        raise CornetError(f"hardware.{key} is unknown; choose from {', '.join(known)}.")
    hardware = Hardware(**{"cores": default_processes(), **given})
    batch = config.recipe.batch_size
    if batch % hardware.devices:
        raise CornetError(
            f"recipe.batch_size={batch} must be a multiple of hardware.devices={hardware.devices}; change one of them."
        )
    config = config.copy()
    with open_dict(config):  # writes nothing to the run's folder
        config.run_folder, config.run_id, config.logger = str(cache_folder() / "plan"), "plan", {}
        config.recipe.batch_size = batch // hardware.devices
    training: Any = build(config)
    found, epochs = measure(training), training.module.recipe.epochs
    record, compare, stimuli, evaluations = 0.0, 0.0, 0, 0
    for brain in training.trainer.callbacks:
        if isinstance(brain, BrainScore) and brain.names:
            often = [b for b in brain.open(training.module.device) if b.name not in brain.start_and_end_only]
            seconds = [brain_seconds(one, brain, training) for one in often]
            record = max([record, *(shown for shown, _ in seconds)])
            compare += sum(compared for _, compared in seconds)
            stimuli += sum({one.stimuli.identity: len(one.stimuli) for one in often}.values())
            evaluations += brain.schedule.evaluations(epochs)
    if (rate := hardware.images_per_second) is not None:
        found |= {"step": found["batch"] / rate, "forward": FORWARD / rate, "memory": math.nan}
    measured = Measured(**found, record=record, compare=compare)
    data, name = training.data, f"{config.model.name} on {training.source.name}"
    facts: Any = {"train_images": len(data.train_images), "val_images": len(data.val_images), "name": name}
    facts |= {"stimuli": stimuli, "evaluations": evaluations / epochs, "given": sorted(given)}
    return Plan(measured=measured, hardware=hardware, epochs=epochs, **facts)


def measure(training: Training) -> dict[str, Any]:
    """Train some steps on one device, load some images, and return fields of Measured. Raises as `BatchFit` does."""
    module, source, like = training.module, training.source, training.trainer
    device = like.strategy.root_device
    cuda = device.type == "cuda"
    training.data.workers = 0
    batches = iter(training.data.train_dataloader())
    batch, loaded, start = next(batches), 0, time.perf_counter()
    while not source.in_memory and time.perf_counter() - start < SECONDS and (other := next(batches, None)):
        loaded += len(other.labels)
    core = loaded / (time.perf_counter() - start) if loaded else math.inf
    if cuda:
        reset_peak_memory_stats(device)
    times: list[float] = []
    clock = pl.callbacks.LambdaCallback(on_train_batch_end=lambda *_: times.append(now(device)))
    same = ("precision", "gradient_clip_val", "default_root_dir")
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    options: Any = {name: getattr(like, name) for name in same}
    options |= {**dict.fromkeys(off, False), "devices": 1, "max_steps": STEPS, "limit_val_batches": 0}
    trainer = pl.Trainer(accelerator=device.type, callbacks=[clock, BatchFit()], **options)
    steps = DataLoader[Batch]([batch] * STEPS, batch_size=None, collate_fn=lambda one: one)  # type: ignore[arg-type]
    trainer.fit(module, train_dataloaders=steps)
    module.to(device).eval()
    images, forward = batch.images.to(device), [now(device)]
    bf16 = torch.autocast(device.type, torch.bfloat16, enabled=module.recipe.precision == "bf16-mixed")
    for _ in range(WARM_UP + 3):
        with torch.inference_mode(), bf16:
            module(images)
        forward.append(now(device))
    paths = [] if source.in_memory else getattr(training.data.train_images, "paths", None) or []
    some = [Path(paths[i]) for i in np.linspace(0, len(paths) - 1, SAMPLE).astype(int)] if paths else []
    return {
        "step": statistics.median(np.diff(times[WARM_UP:])),
        "batch": len(images),
        "forward": statistics.median(np.diff(forward[WARM_UP:])) / len(images),
        "core": core,
        "image_bytes": statistics.fmean([path.stat().st_size for path in some if path.is_file()] or [0]),
        "gradient_bytes": sum(p.numel() * p.element_size() for p in training.net.parameters()),
        "memory": max_memory_allocated(device) if cuda else 1024 * getrusage(RUSAGE_SELF).ru_maxrss,
        "on_cores": device.type == "cpu",
        "at_once": module.net.compiled,
        "losses": loss_shares(module, batch, device),
    }


def loss_shares(module: Any, batch: Batch, device: torch.device) -> dict[str, float]:
    """Return the share of a step's forward and backward pass that each loss takes: 0.6 makes a step 2.5 times as long.

    All are timed in turn, several times, with and without each loss.
    """
    names, held = list(module.losses), dict(module.losses.items())
    batch = batch._replace(
        inputs=batch.inputs.to(device), targets={name: one.to(device) for name, one in batch.targets.items()}
    )
    times: dict[str, list[float]] = {name: [] for name in ("", *names)}
    module.train()
    for _ in range(WARM_UP + 3 if names else 0):
        for left_out in times:
            for name in {left_out} - {""}:
                module.losses.pop(name)
            start = now(device)
            module.zero_grad()
            module.loss(batch, batch.inputs)[0].backward()
            times[left_out].append(now(device) - start)
            for name, loss in held.items():
                module.losses[name] = loss
    module.zero_grad()
    whole = statistics.median(times[""][WARM_UP:]) if names else 1.0
    return {name: max(0.0, 1 - statistics.median(times[name][WARM_UP:]) / whole) for name in names}


def brain_seconds(one: Benchmark[Any], brain: BrainScore, training: Any) -> tuple[float, float]:
    """Return seconds per stimulus (from a sample), and of the comparison (from random features of the real size)."""
    subject = brain.subject(training.trainer, training.module, training.source)
    count, sites, rng = len(one.stimuli), one.sites(subject), np.random.default_rng(0)
    rows = np.linspace(0, count - 1, min(SAMPLE, count)).astype(int)
    for _ in range(2):  # the first is a warm-up
        start = time.perf_counter()
        subject.record(one.stimuli.subset(rows), sites, one.degrees)
        recorded = (time.perf_counter() - start) / len(rows)
    widths = subject.widths(sites).items()
    features = {site: np.maximum(rng.standard_normal((count, k), np.float32), 0) for site, k in widths}
    one.prepare()
    start = time.perf_counter()
    one.compare(Recording(one.stimuli.ids, features), subject)
    return recorded, time.perf_counter() - start


def now(device: torch.device) -> float:
    """Wait for the device, and return the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
