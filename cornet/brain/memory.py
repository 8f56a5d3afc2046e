"""How much memory a process may still take, and whether a benchmark fits into it: known before anything is recorded."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.recording import DEFAULT_MEMORY
from cornet.brain.subjects.base import ScreenSubject
from cornet.errors import CornetError

__all__ = ["available_memory", "check_memory"]


def available_memory() -> int:
    """Bytes: the least of what the machine has free, the job's share (control groups, as SLURM and containers set
    them), and the process's own limit (ulimit -v)."""
    return min(_machine(), *_groups(), _limit())


def check_memory(one: Benchmark[Any], subject: ScreenSubject, memory: int = DEFAULT_MEMORY) -> None:
    """Raise CornetError for a benchmark that cannot be held, in one sentence with what it would need.

    memory: bytes of features that a recording holds in memory; larger ones go to the folder for temporary files. The
    estimate leaves out what is small, so that nothing is refused that would fit.
    """
    widths = subject.widths(one.sites(subject))
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


def _machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # no Linux: all that is built in


def _groups() -> list[int]:
    """What each control group of the process has left; files that are only cached count as free."""
    found = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, kind, path = line.split(":", 2)
        if kind == "":
            names, root = ("memory.max", "memory.current", "inactive_file"), Path("/sys/fs/cgroup")
        elif "memory" in kind.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = Path("/sys/fs/cgroup/memory")
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if root not in (folder, *folder.parents):
                break
            try:
                limit, used = ((folder / name).read_text().strip() for name in names[:2])
                cached = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
                if limit != "max":
                    idle = sum(int(value) for name, value in cached if name == names[2])
                    found.append(max(0, int(limit) - int(used) + idle))
            except (OSError, ValueError):
                continue
    return found


def _limit() -> int:
    try:
        import resource
    except ImportError:  # no Unix
        return 1 << 62
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return 1 << 62
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return limit
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
