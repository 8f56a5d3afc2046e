"""Cores, memory, shared memory, open files and the compiler of this machine."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from cornet.cli.health.check import NOTE, OK, PROBLEM, Check, gibibytes
from cornet.memory import available_memory

__all__ = ["compiler", "cores", "memory", "open_files", "quota_of", "shared_memory"]

CGROUP = Path("/sys/fs/cgroup")
SHARED = Path("/dev/shm")

PROGRAM = """#include <Python.h>
#include <omp.h>
#include <cmath>
extern "C" int threads() { return omp_get_max_threads() + (int)std::lround(PY_MAJOR_VERSION); }
"""
"""What torch.compile's programs need on a CPU: Python's headers, OpenMP, and the standard library."""


def cores() -> list[Check]:
    """Check how many cores this process may use: its affinity, and the limit of its control group."""
    total = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    quota = quota_of(CGROUP)
    values = {"machine": total, "affinity": allowed, "quota": quota}
    if quota is not None and quota < allowed:
        workers = max(1, int(quota))
        text = f"{allowed} of {total}, but the container may use {quota:g} at a time"
        return [
            Check("cores", NOTE, text, f"set loader.workers={workers} and OMP_NUM_THREADS={workers}", values)
        ]
    if allowed < total:
        text = f"{allowed} of {total}, the affinity of this process; loaders start as many"
        return [
            Check("cores", NOTE, text, "ask the scheduler for more if loading is slow (cornet plan)", values)
        ]
    return [Check("cores", OK, str(total), "", values)]


def quota_of(root: Path, groups: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return the cores that control groups allow at a time; None without a limit.

    root: where control groups are mounted. groups: the file that names those of this process.
    """
    found = []
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, kind, path = line.split(":", 2)
        base = root if kind == "" else root / "cpu" if "cpu" in kind.split(",") else None
        if base is None:
            continue
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):
            if base not in (folder, *folder.parents):
                break
            found += _quota(folder)
    return min(found, default=None)


def _quota(folder: Path) -> list[float]:
    try:
        if (folder / "cpu.max").is_file():
            limit, period = (folder / "cpu.max").read_text().split()
        else:
            limit, period = (
                (folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")
            )
        return [] if limit in ("max", "-1") else [int(limit) / int(period)]
    except (OSError, ValueError, ZeroDivisionError):
        return []


def memory() -> list[Check]:
    """Check the memory that is available to this process."""
    free = available_memory()
    values = {"available": free}
    text = f"{gibibytes(free)} available"
    if free < 2**30:
        return [Check("memory", PROBLEM, text, "close other programs, or ask the scheduler for more", values)]
    if free < 4 * 2**30:
        remedy = "for photographs, set loader.workers and recipe.batch_size lower"
        return [Check("memory", NOTE, text, remedy, values)]
    return [Check("memory", OK, text, "", values)]


def shared_memory(folder: Path = SHARED) -> list[Check]:
    """Check the file system through which loading processes pass batches."""
    if not folder.is_dir():
        return []
    usage = shutil.disk_usage(folder)
    values = {"total": usage.total, "free": usage.free}
    text = f"{gibibytes(usage.free)} of {gibibytes(usage.total)} free"
    if not os.access(folder, os.W_OK):
        return [
            Check(str(folder), PROBLEM, "cannot be written", "set loader.workers=0, or repair it", values)
        ]
    if usage.free < 2**30:
        remedy = (
            "enlarge it (docker run --shm-size=8g), or set loader.workers=0: loaders pass batches through it"
        )
        return [Check(str(folder), NOTE, text, remedy, values)]
    return [Check(str(folder), OK, text, "", values)]


def open_files() -> list[Check]:
    """Check how many files this process may open."""
    try:
        import resource
    except ImportError:  # not Unix
        return []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    values = {"soft": soft, "hard": hard}
    if soft == resource.RLIM_INFINITY:
        return [Check("open files", OK, "no limit", "", values)]
    remedy = (
        f"run ulimit -n {min(4096, hard) if hard != resource.RLIM_INFINITY else 4096} before the training"
    )
    state = PROBLEM if soft < 128 else NOTE if soft < 1024 else OK
    return [Check("open files", state, f"up to {soft:,}", "" if state == OK else remedy, values)]


def compiler() -> list[Check]:
    """Build a small library as torch.compile does on a CPU, and for the launchers of its GPU programs."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    found = shutil.which(name)
    remedy = "install a C++ compiler (apt-get install g++), or keep recipe.compile=false"
    if found is None:
        text = f"no {name}: recipe.compile=true (recipe=fast) would run uncompiled"
        return [Check("torch.compile", NOTE, text, remedy)]
    include = sysconfig.get_paths()["include"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "small.cpp"
        source.write_text(PROGRAM)
        options = ["-shared", "-fPIC", "-fopenmp", f"-I{include}", str(source), "-o", f"{folder}/small.so"]
        done = subprocess.run([found, *options], capture_output=True, text=True, timeout=60)
    if done.returncode == 0:
        return [Check("torch.compile", OK, f"{found} builds with OpenMP and Python's headers")]
    errors = (
        [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or [""]
    )
    missing = "Python.h" in errors[0]
    if missing:
        remedy = "install Python's headers (apt-get install python3-dev), or keep recipe.compile=false"
    text = f"{found} cannot build for it ({errors[0].rpartition('error: ')[2][:160]})"
    return [Check("torch.compile", NOTE, text, remedy)]
