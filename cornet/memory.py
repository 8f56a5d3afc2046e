"""How much memory a process may still take, and what is done where it does not reach."""

import gc
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import torch

from cornet.errors import CornetError

__all__ = ["OutOfMemory", "available_memory", "first_that_fits", "free_memory", "out_of_memory"]

Result = TypeVar("Result")

SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
    "Cannot allocate memory",
    "can't start new thread",  # whose stack finds no room
    "ALLOC_FAILED",  # cuBLAS and cuDNN
    "could not create a memory",  # oneDNN
    "could not create a primitive",
)
"""What libraries say that have no exception of their own for it."""


class OutOfMemory(CornetError):
    """What was asked for does not fit in memory, in whatever way it was tried."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device's memory, or the computer's, is used up."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError | OSError) and any(sign in str(error) for sign in SIGNS)


def first_that_fits(attempts: Iterable[Callable[[], Result]], what: str) -> Result:
    """The result of the first of these that fits in memory; each needs less than the one before.

    Raises OutOfMemory, naming `what`, when none does; other exceptions pass.
    """
    for attempt in attempts:
        try:
            return attempt()
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_memory()  # not before the exception is gone, whose frames hold what was being computed
    raise OutOfMemory(f"{what} does not fit in memory; leave it out, or take a machine with more.")


def free_memory() -> None:
    """Give back what nothing holds any more, on GPUs too."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def available_memory() -> int:
    """Bytes: the least of what the machine has free, the job's share (control groups, as SLURM and containers set
    them), and the process's own limit (ulimit -v)."""
    return min(_machine(), *_groups(), _limit())


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
