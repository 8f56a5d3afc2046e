"""Measure available memory and recover from running out of it."""

import gc
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from cornet.errors import CornetError

__all__ = ["OutOfMemory", "available_memory", "first_that_fits", "free_memory", "out_of_memory"]

Result = TypeVar("Result")

OUT_OF_MEMORY_MESSAGES = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
    "Cannot allocate memory",
    "can't start new thread",  # no memory for its stack
    "ALLOC_FAILED",  # cuBLAS and cuDNN
    "could not create a memory",  # oneDNN
    "could not create a primitive",
)
"""Messages of libraries that do not have an exception class for it."""


class OutOfMemory(CornetError):
    """A computation does not fit in memory in any of the ways that were tried."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that a device or the machine is out of memory."""
    import torch  # not at the top: `cornet doctor` measures memory where PyTorch is missing

    if isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError | OSError) and any(
        text in str(error) for text in OUT_OF_MEMORY_MESSAGES
    )


def first_that_fits(attempts: Iterable[Callable[[], Result]], what: str) -> Result:
    """Run the attempts in order and return the result of the first that fits in memory.

    attempts: each needs less memory than the one before. Raises OutOfMemory, naming `what`, if none fits. Other
    exceptions pass through.
    """
    for attempt in attempts:
        try:
            return attempt()
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_memory()  # after the except block: the exception's frames hold references to tensors
    raise OutOfMemory(f"{what} does not fit in memory; leave it out, or use a machine with more memory.")


def free_memory() -> None:
    """Collect garbage and release unused cached GPU memory."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def available_memory() -> int:
    """Return the available bytes: the minimum of the machine's free memory, the limits of control groups (set by
    SLURM and containers), and the process's own limit (ulimit -v)."""
    return min(_free_on_machine(), *_free_in_cgroups(), _free_under_ulimit())


def _free_on_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # not Linux: return the total


def _free_in_cgroups() -> list[int]:
    """Return the free bytes of each control group of the process. Cached files count as free."""
    free = []
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
                    free.append(max(0, int(limit) - int(used) + idle))
            except (OSError, ValueError):
                continue
    return free


def _free_under_ulimit() -> int:
    try:
        import resource
    except ImportError:  # not Unix
        return 1 << 62
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return 1 << 62
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return limit
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
