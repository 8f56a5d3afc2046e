"""Whether there is room for a benchmark, known before anything is recorded."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.subjects.base import ScreenSubject
from cornet.brain.subjects.recording import DEFAULT_MEMORY
from cornet.errors import CornetError
from cornet.memory import OutOfMemory, available_memory

__all__ = ["check_memory"]


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
            f"{one.name} needs about {_gigabytes(needed)} of memory ({stimuli:,} stimuli, {one.extent()}), and "
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
