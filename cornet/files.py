"""Writing files so that at every moment either the old content is there or the new one, never a part of it."""

import contextlib
import errno
import os
import shutil
import socket
from pathlib import Path

from cornet.errors import CornetError

__all__ = ["alive", "atomic_write", "cache_folder", "file_error"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_folder() -> Path:
    """CORNET_CACHE, or else the user's cache folder: XDG_CACHE_HOME or ~/.cache, then cornet."""
    if folder := os.environ.get("CORNET_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cornet"


def atomic_write(
    path: Path | str, data: bytes | memoryview | str, hint: str = "", previous: Path | None = None
) -> None:
    """Write `data` aside in the same folder, bring it to the disk, and put it in the place of `path`.

    A killed process leaves the old file as it was; what it wrote aside goes with the next write. `hint` is added to
    the message of an error. previous: the name under which the old file is kept. Raises CornetError with the path, the
    bytes needed and those free when it cannot be written; the old file is then untouched and nothing is left aside.
    """
    path, content = Path(path), data.encode() if isinstance(data, str) else data
    host = socket.gethostname()
    aside = path.with_name(f".{path.name}.{host}-{os.getpid()}.tmp")
    _remove_orphans(path, host)
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            _keep(path, previous)
        os.replace(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise CornetError(_sentence(path, len(content), error) + (f" {hint}" if hint else "")) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def file_error(error: OSError) -> CornetError:
    """An error of the operating system as one sentence: the file, the reason, the remedy."""
    if error.errno in _FULL:
        where = f" for {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        return CornetError(f"the disk is full: no room{where}; make some, and the same command goes on.")
    reason = error.strerror or str(error) or type(error).__name__
    if not isinstance(error.filename, str | bytes):
        return CornetError(f"{reason}; check the files and folders that are named, and run again.")
    name = os.fsdecode(error.filename)
    shown = name if len(name) <= 200 else f"{name[:100]} ... ({len(name):,} characters)"
    denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    remedy = "choose one that you may use" if denied else "check the name, or give another"
    return CornetError(f"{shown}: {reason}; {remedy}.")


def _keep(path: Path, name: Path) -> None:
    """Give a file a second name, in the place of what has it."""
    aside = name.with_name(f".{name.name}.tmp")
    aside.unlink(missing_ok=True)
    try:
        os.link(path, aside)
    except OSError:  # no hard links on this file system
        shutil.copyfile(path, aside)
    os.replace(aside, name)
    aside.unlink(missing_ok=True)  # renaming does nothing where both are the same file


def _sync_folder(folder: Path) -> None:
    """Bring the new name itself to the disk; file systems that cannot do that are left to their own ways."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_orphans(path: Path, host: str) -> None:
    """Remove what killed processes of this machine left aside for this file: with checkpoints it soon fills a disk."""
    for orphan in path.parent.glob(f".{_escaped(path.name)}.{_escaped(host)}-*.tmp"):
        owner = orphan.name.removesuffix(".tmp").rpartition("-")[2]
        if owner.isdigit() and not alive(int(owner)):
            with contextlib.suppress(OSError):
                orphan.unlink()


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sentence(path: Path, needed: int, error: OSError) -> str:
    if error.errno in _FULL:
        try:
            free = f"{shutil.disk_usage(path.parent).free:,} are free"
        except OSError:
            free = "the free space is unknown"
        why = (
            "disk full"
            if error.errno == errno.ENOSPC
            else "the limit on a file's size or a user's space is reached"
        )
        return f"Could not write {path} ({why}): {needed:,} bytes are needed and {free}; make room and run again."
    if not path.parent.is_dir():
        return f"Could not write {path}: there is no folder {path.parent}; create it first."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"Could not write {path}, {needed:,} bytes: no permission to write in {path.parent}; "
            "choose a folder of your own."
        )
    return (
        f"Could not write {path}, {needed:,} bytes: {error.strerror}; choose another folder or mend this one."
    )
