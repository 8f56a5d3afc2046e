"""What a run was made with: packages, the commit, the machine."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import cornet
from cornet.training.ranks import find_ranks

__all__ = ["versions"]

_PACKAGES = (
    *("torch", "torchvision", "pytorch-lightning", "numpy", "scipy", "scikit-learn", "xarray", "pillow"),
    *("simplejpeg", "cornet-ventral"),
)


def versions() -> dict[str, Any]:
    """Python, packages, commit (None outside a checkout) and whether dirty, platform, CPU, GPUs, threads and ranks."""
    return {
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "cuda": torch.version.cuda,
        **_commit(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "gpus": _lines("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or [],
        "threads": torch.get_num_threads(),
        "ranks": find_ranks().world,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """Of the checkout that tracks this package; an installed copy inside somebody's checkout is not tracked there."""
    git = ("git", "-C", str(Path(cornet.__file__).parent))
    if not _lines(*git, "ls-files", "--error-unmatch", "__init__.py"):
        return {"commit": None, "dirty": None}
    commit = _lines(*git, "rev-parse", "HEAD")
    changes = _lines(*git, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit[0] if commit else None, "dirty": None if changes is None else bool(changes)}


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _lines(*command: str) -> list[str] | None:
    """What a program prints, None when it is not there or fails. Asking it does not initialise CUDA in this process."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [line for line in done.stdout.splitlines() if line.strip()]
