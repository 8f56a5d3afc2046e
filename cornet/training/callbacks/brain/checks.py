"""Checks before the first batch: every benchmark can be scored, and monitors name existing scores."""

import difflib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import pytorch_lightning as pl

from cornet.brain.benchmarks import Benchmark, NeuralBenchmark
from cornet.brain.subjects.base import ScreenSubject
from cornet.brain.subjects.record.recording import DEFAULT_MEMORY
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.memory import OutOfMemory, available_memory, first_that_fits
from cornet.training.callbacks.brain.shared_subject import SharedNetwork, SharedSubject
from cornet.training.loaders import rank_and_world

__all__ = ["check_benchmark", "check_memory", "check_monitors", "check_strategy"]


SPLITTING = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")


def check_memory(benchmark: Benchmark[Any], subject: ScreenSubject) -> None:
    """Raise CornetError if a benchmark does not fit in memory, or on disk for features above DEFAULT_MEMORY.

    The estimate ignores small arrays.
    """
    try:
        widths = subject.widths(benchmark.sites(subject))
    except (MemoryError, RuntimeError, OutOfMemory):  # the device is full now: the recording will report it
        return
    stimuli, free_memory = len(benchmark.stimuli), available_memory()
    features = 4 * stimuli * sum(widths.values())
    needed = min(features, DEFAULT_MEMORY) + benchmark.memory(max(widths.values()))
    if needed > free_memory:
        raise CornetError(
            f"{benchmark.name} needs about {_gigabytes(needed)} of memory ({stimuli:,} stimuli, "
            f"{benchmark.describe_size()}), "
            f"but {_gigabytes(free_memory)} are free; remove it, score a part of it, or use a machine with more memory."
        )
    folder = Path(tempfile.gettempdir())
    free_disk = shutil.disk_usage(folder).free
    if features > DEFAULT_MEMORY and features - DEFAULT_MEMORY > free_disk:
        raise CornetError(
            f"{benchmark.name} needs {_gigabytes(features)} of disk for features of {stimuli:,} stimuli, but {folder} "
            f"has {_gigabytes(free_disk)} free; free some space, set TMPDIR to another folder, or score a smaller area."
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"


def check_benchmark(benchmark: Benchmark[Any], subject: SharedSubject) -> None:
    """Raise CornetError if the network or this machine cannot score a benchmark."""
    len(benchmark.stimuli)
    for site in benchmark.sites(subject):
        first = subject.net.first_driven_step(site.layer) if is_area(subject, site) else 0
        if site.step < first:
            raise CornetError(
                f"{benchmark.name} needs {site}, which the image reaches only at step {first}; choose a later time bin "
                "or another area."
            )
    if isinstance(benchmark, NeuralBenchmark):
        check_time_bin(benchmark, subject)
    check_memory(benchmark, subject)
    if rank_and_world()[0] == 0:  # only rank 0 compares
        first_that_fits([benchmark.prepare], f"the data of {benchmark.name}")


def is_area(subject: SharedSubject, site: Site) -> TypeGuard[SharedNetwork]:
    """Whether a site is an area of one of cornet's networks."""
    return isinstance(subject, SharedNetwork) and site.layer in subject.net.steps


def check_strategy(trainer: pl.Trainer) -> None:
    """Raise CornetError for a strategy that splits the network between devices, so that no device can run it alone."""
    name = type(trainer.strategy).__name__
    if any(kind.__name__ in SPLITTING for kind in type(trainer.strategy).__mro__):
        raise CornetError(
            f"brain scores need the whole network on each device, but {name} splits it; use strategy=ddp, or score its "
            "checkpoints with cornet score."
        )


def check_time_bin(benchmark: NeuralBenchmark, subject: SharedSubject) -> None:
    """Raise CornetError if a time bin ends before the image reaches the area."""
    (site,) = benchmark.sites(subject)
    first = subject.first_interval(benchmark.region)
    if first is not None and benchmark.step_bin[1] <= first[0]:
        raise CornetError(
            f"{benchmark.name} is compared at {benchmark.step_bin[0]:g} to {benchmark.step_bin[1]:g} ms, before the "
            f"image reaches {site.layer} (its first step begins at {first[0]:g} ms); choose a later brain.time_bin."
        )


def check_monitors(trainer: pl.Trainer, names: Sequence[str]) -> None:
    """Raise CornetError if a callback monitors a brain/... metric that is not in `names`.

    With no names at all, a callback with a true attribute `optional` is accepted.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or not monitor.startswith("brain/") or monitor in names:
            continue
        if not names:
            if getattr(callback, "optional", False):
                continue
            raise CornetError(
                f"monitor={monitor} is a brain score, but none is computed; choose brain=simulated, public or local."
            )
        near = difflib.get_close_matches(monitor, names, n=3, cutoff=0.4) or list(names)
        key = "brain.monitor" if getattr(callback, "optional", False) else "monitor"
        raise CornetError(f"{key}={monitor} is not a computed score; choose one of {', '.join(near)}.")
