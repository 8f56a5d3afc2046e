"""The folders that cornet writes to: runs and caches. Their disks, and what is in the caches."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cornet.cli.health.check import NOTE, OK, PROBLEM, Check, gibibytes
from cornet.files import cache_folder

__all__ = ["caches", "folder_size", "runs_folder"]

CONTENTS = {
    "data": "public brain data (cornet fetch)",
    "weights": "published weights",
    "recordings": "features of networks for benchmarks",
    "layer-choices": "chosen layers",
    "shards": "shards of images from object storage",
    "plan": "of cornet plan",
}
"""What is in a folder of the cache; others hold rendered images and computed arrays."""

FEW, TOO_FEW = 10 * 2**30, 2**29
SECONDS = 2.0
"""Time for measuring a cache, in which there can be millions of files."""


def runs_folder(root: Path) -> Callable[[], list[Check]]:
    """Return a check of the folder of runs, which need not exist yet."""

    def check() -> list[Check]:
        folder = _nearest(root.expanduser().absolute())
        name, free = "runs", shutil.disk_usage(folder).free
        values = {"folder": str(root.absolute()), "free": free}
        if reason := not_writable(folder):
            remedy = "train in another folder, or set root=FOLDER; cornet doctor --root FOLDER checks it"
            return [Check(name, PROBLEM, f"{folder} cannot be written ({reason})", remedy, values)]
        text = f"{root}: {gibibytes(free)} free" + (
            "" if folder == root.absolute() else f" in {folder}; it does not exist yet"
        )
        if free < FEW:
            state = PROBLEM if free < TOO_FEW else NOTE
            return [
                Check(
                    name,
                    state,
                    text,
                    "make room, or set root=FOLDER: checkpoints have up to 0.5 GB each",
                    values,
                )
            ]
        return [Check(name, OK, text, "", values)]

    return check


def caches() -> list[Check]:
    """Check the cache folder, its disk, and the size of its parts."""
    cache = cache_folder()
    folder = _nearest(cache.absolute())
    free = shutil.disk_usage(folder).free
    parts, total, complete = _parts(cache)
    values = {"folder": str(cache), "free": free, "bytes": total, "parts": parts, "complete": complete}
    remedy = "set the environment variable CORNET_CACHE to a folder of your own"
    if reason := not_writable(folder):
        text = f"{cache} cannot be written ({reason}): works, but computes everything again"
        return [Check("cache", NOTE, text, remedy, values)]
    size = f"{gibibytes(total)}{'' if complete else ' or more'}" if parts else "empty"
    text = f"{cache}: {size}, {gibibytes(free)} free"
    state = NOTE if free < FEW else OK
    checks = [
        Check(
            "cache",
            state,
            text,
            "make room: remove parts of it, or set CORNET_CACHE" if state == NOTE else "",
            values,
        )
    ]
    for name, count in sorted(parts.items(), key=lambda part: -part[1]):
        checks.append(Check(f"  {name}", OK, f"{gibibytes(count)}, {contents(name)}"))
    return checks


def contents(name: str) -> str:
    """Return what is in a folder of the cache."""
    if name.startswith("compiled-"):
        return "programs of torch.compile"
    return CONTENTS.get(name, "rendered images or computed arrays")


def folder_size(folder: Path, until: float) -> tuple[int, bool]:
    """Return the bytes of all files below a folder, and whether all were counted before `until` (monotonic seconds)."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except OSError:
                continue
        if time.monotonic() > until:
            return total, False
    return total, True


def not_writable(folder: Path) -> str:
    """Return why no file can be made in a folder; "" if one was, which is gone again."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _parts(cache: Path) -> tuple[dict[str, int], int, bool]:
    try:
        folders = sorted(entry.name for entry in os.scandir(cache) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return {}, 0, True
    until, complete, parts = time.monotonic() + SECONDS, True, {}
    for name in folders:
        parts[name], whole = folder_size(cache / name, until)
        complete &= whole
    return parts, sum(parts.values()), complete


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
