"""What can be known before the first batch: that every benchmark can be scored, and that monitors name scores."""

import difflib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from cornet.brain.benchmarks import Benchmark, NeuralBenchmark
from cornet.brain.subjects.base import ScreenSubject
from cornet.brain.subjects.recording import DEFAULT_MEMORY
from cornet.errors import CornetError
from cornet.memory import OutOfMemory, available_memory, first_that_fits
from cornet.training.callbacks.shared_subject import SharedSubject
from cornet.training.loaders import rank_and_world

__all__ = ["check_benchmark", "check_memory", "check_monitors"]


def check_memory(one: Benchmark[Any], subject: ScreenSubject, memory: int = DEFAULT_MEMORY) -> None:
    """Raise CornetError for a benchmark that does not fit in memory. The estimate leaves out what is small.

    memory: bytes of features that a recording holds in memory; larger ones go to the folder for temporary files.
    """
    try:
        widths = subject.widths(one.sites(subject))
    except (MemoryError, RuntimeError, OutOfMemory):  # a device that is full now: the recording will tell
        return
    stimuli, room = len(one.stimuli), available_memory()
    features = 4 * stimuli * sum(widths.values())
    needed = min(features, memory) + one.memory(max(widths.values()))
    if needed > room:
        raise CornetError(
            f"{one.name} needs about {_gigabytes(needed)} of memory ({stimuli:,} stimuli, {one.describe_size()}), and "
            f"{_gigabytes(room)} are free here; leave it out, score a part of it, or take a machine with more memory."
        )
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if features > memory and features - memory > free:
        raise CornetError(
            f"{one.name} needs {_gigabytes(features)} for the features of {stimuli:,} stimuli, and {folder} has "
            f"{_gigabytes(free)} free for them; make room, set TMPDIR to another folder, or score a smaller area."
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"


def check_benchmark(one: Benchmark[Any], subject: SharedSubject) -> None:
    """Raise CornetError for a benchmark that this network, or this machine, cannot score."""
    len(one.stimuli)
    for site in one.sites(subject):
        if site.layer in subject.net.steps and site.step < subject.net.first_driven_step(site.layer):
            raise CornetError(
                f"{one.name} asks for {site}, which no image has reached yet (the first is step "
                f"{subject.net.first_driven_step(site.layer)}); score another time bin or area."
            )
    if isinstance(one, NeuralBenchmark):
        check_time_bin(one, subject)
    check_memory(one, subject)
    if rank_and_world()[0] == 0:  # that alone compares
        first_that_fits([one.prepare], f"what {one.name} needs of its bundle")


def check_time_bin(one: NeuralBenchmark, subject: SharedSubject) -> None:
    """Raise CornetError for a time bin that is over before the image has reached the area."""
    (site,) = one.sites(subject)
    starts = [interval[0] for interval in subject.intervals.get(site.layer, ()) if interval is not None]
    if starts and one.step_bin[1] <= min(starts):
        raise CornetError(
            f"{one.name} is compared at {one.step_bin[0]:g} to {one.step_bin[1]:g} ms, before the image has reached "
            f"{site.layer} (its first step begins at {min(starts):g} ms); choose a later brain.time_bin."
        )


def check_monitors(trainer: pl.Trainer, names: Sequence[str]) -> None:
    """Raise CornetError where a callback monitors a brain/... that is not among `names`.

    A callback with the attribute `optional` may do so when there are no names at all.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or not monitor.startswith("brain/") or monitor in names:
            continue
        if not names:
            if getattr(callback, "optional", False):
                continue
            raise CornetError(
                f"monitor={monitor} watches a brain score, but none is taken; choose brain=simulated, public or local."
            )
        near = difflib.get_close_matches(monitor, names, n=3, cutoff=0.4) or list(names)
        brain = isinstance(callback, Checkpoint) and hasattr(callback, "optional")
        key = "brain.monitor" if brain else "monitor"
        raise CornetError(f"{key}={monitor} is not among the scores taken; choose one of {', '.join(near)}.")
