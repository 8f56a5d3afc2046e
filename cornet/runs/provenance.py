"""Collect a run's provenance: configuration, packages, commit, machine, images and seed."""

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import cornet

__all__ = ["COLUMNS", "Provenance", "versions"]

COLUMNS = ("seed", "images", "commit", "versions", "config")
"""Keys of `Provenance.columns`."""


@dataclass(frozen=True)
class Provenance:
    """The provenance of a run, stored in every checkpoint and every row of scores.csv.

    config: resolved configuration. identity: the part of it that can change a result. versions: from `versions`.
    images: fingerprint of the training images.
    """

    seed: int = 0
    images: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {
            "seed": self.seed,
            "images": self.images,
            "versions": dict(self.versions),
            "config": dict(self.config),
        }

    def columns(self) -> dict[str, Any]:
        """Return the COLUMNS of a table row, complete enough to stand alone: versions and identity are JSON. A + after
        the commit means uncommitted changes."""
        commit = self.versions.get("commit") or ""
        return {
            "seed": self.seed,
            "images": self.images,
            "commit": commit + ("+" if self.versions.get("dirty") else ""),
            "versions": compact(self.versions),
            "config": compact(self.identity),
        }


def compact(node: Mapping[str, Any]) -> str:
    """Return JSON on one line with sorted keys."""
    return json.dumps(node, default=str, sort_keys=True, separators=(",", ":"))


_PACKAGES = (
    *("torch", "torchvision", "pytorch-lightning", "numpy", "scipy", "scikit-learn", "xarray", "pillow"),
    *("simplejpeg", "cornet-ventral"),
)


def versions(ranks: int = 1) -> dict[str, Any]:
    """Return Python, packages, commit (None outside a checkout), dirty, platform, CPU, GPUs, threads and ranks."""
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
        "ranks": ranks,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout that tracks this package; None for an installed copy."""
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
    """Return the lines that a program prints, None if it is missing or fails.

    A separate process is used because a query in this process would initialise CUDA.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [line for line in done.stdout.splitlines() if line.strip()]
