"""Writing files so that at every moment either the old content is there or the new one, never a part of it.

A file being written has a random name, which tells the kernel, and a lock (flock) that ends with its process. Without
the lock it was abandoned; one of another kernel, or on a file system without locks, is when it is a day old by the file
system's clock. A process removes its user's orphans from each folder before it first writes there.
"""

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any, BinaryIO

from cornet.errors import CornetError
from cornet.opening import SAFE, open_checked, take_lock

__all__ = ["NewFile", "atomic_write", "cache_folder", "file_error", "sync", "write_error"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DAY = 86_400.0
_UNKNOWN = "00000000"
_ASIDE = re.compile(r"\..*\.([0-9a-f]{8})-[0-9a-f]{16}\.tmp", re.DOTALL)

_swept: set[Path] = set()


def cache_folder() -> Path:
    """CORNET_CACHE, or else the user's cache folder: XDG_CACHE_HOME or ~/.cache, then cornet."""
    if folder := os.environ.get("CORNET_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cornet"


class NewFile:
    """A file that is written beside `path` and takes its place by `commit`, or is removed. A context manager.

    file: to write to. aside: its path until then. Mode and group of a replaced file are kept. Methods raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._old = path, _regular(path)
        descriptor = -1
        while descriptor < 0:
            self.aside = _aside(path)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE
            descriptor = os.open(self.aside, flags, 0o666 if self._old is None else 0o600)
            if not _taken(descriptor):  # by who looks for orphans: it was not locked yet
                os.close(descriptor)
                self.aside.unlink(missing_ok=True)
                descriptor = -1
        self.file: BinaryIO = os.fdopen(descriptor, "wb")
        if path.parent not in _swept:
            _swept.add(path.parent)
            _remove_orphans(path.parent, os.fstat(descriptor).st_mtime)

    def commit(self, previous: Path | None = None, synced: bool = True) -> None:
        """Give it its name. previous: the name that the replaced file then has. synced: bring it to the disk first."""
        self.file.flush()
        descriptor = self.file.fileno()
        if self._old is not None:
            with contextlib.suppress(OSError):  # then only this user may read it
                os.fchown(descriptor, -1, self._old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(self._old.st_mode) & 0o777)
        if synced:
            os.fsync(descriptor)
        if previous is not None and self.path.exists():
            _keep(self.path, previous)
        os.replace(self.aside, self.path)
        if synced:
            sync(self.path.parent)
        self.file.close()

    def discard(self) -> None:
        """Leave nothing behind; after `commit` it does nothing."""
        with contextlib.suppress(OSError):
            self.aside.unlink()
        with contextlib.suppress(OSError):
            self.file.close()

    def __enter__(self) -> "NewFile":
        return self

    def __exit__(self, *_: Any) -> None:
        self.discard()


def atomic_write(
    path: Path | str, data: bytes | memoryview | str, hint: str = "", previous: Path | None = None
) -> None:
    """Write `data` aside in the same folder, sync it, and put it in the place of `path` (as `NewFile`).

    Text becomes UTF-8; bytes of names that are not UTF-8 become escapes, such as \\udce9. hint: added to an error's
    message. previous: the name under which the old file is kept. Raises CornetError with the path, the bytes needed
    and those free; the old file is then untouched.
    """
    path = Path(path)
    content = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    try:
        with NewFile(path) as new:
            new.file.write(content)
            new.commit(previous)
    except OSError as error:
        raise write_error(path, len(content), error, hint) from error


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk, as far as the file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
    aside = _aside(name)
    try:
        os.link(path, aside)
    except OSError:  # no hard links on this file system
        shutil.copyfile(path, aside)
    os.replace(aside, name)
    aside.unlink(missing_ok=True)  # renaming does nothing where both are the same file


def _aside(path: Path) -> Path:
    """A free name in the same folder: a part of the file's own, the kernel, and a random part."""
    return path.with_name(f".{path.name[:50]}.{_kernel()}-{secrets.token_hex(8)}.tmp")


@functools.cache
def _kernel() -> str:
    """The running kernel, by 8 hexadecimal digits; the same in all its containers."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return _UNKNOWN


def _regular(path: Path) -> os.stat_result | None:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        return status if stat.S_ISREG(status.st_mode) else None
    return None


def _taken(descriptor: int) -> bool:
    """Whether a new file is ours: locked, as far as the file system has locks, and not removed before that."""
    try:
        take_lock(descriptor)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _remove_orphans(folder: Path, now: float) -> None:
    """Remove what killed processes left half-written: with checkpoints or recordings it soon fills a disk."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (found := _ASIDE.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):  # another process was quicker, or it is locked
                    _remove_orphan(entry.path, found[1], now)


def _remove_orphan(path: str, kernel: str, now: float) -> None:
    descriptor = open_checked(path, os.O_RDWR | SAFE)  # NFS locks only what can be written
    try:
        status, locked = os.fstat(descriptor), take_lock(descriptor)
        here = locked and kernel == _kernel() != _UNKNOWN
        if status.st_uid == os.geteuid() and (here or now - status.st_mtime > _DAY):
            os.unlink(path)
    finally:
        os.close(descriptor)


def write_error(path: Path, needed: int, error: OSError, hint: str = "") -> CornetError:
    """The error for a file of `needed` bytes that could not be written: the reason, and what helps."""
    return CornetError(_sentence(path, needed, error) + (f" {hint}" if hint else ""))


def _sentence(path: Path, needed: int, error: OSError) -> str:
    if error.errno in _FULL:
        free = "the free space is unknown"
        with contextlib.suppress(OSError):
            free = f"{shutil.disk_usage(path.parent).free:,} are free"
        full = error.errno == errno.ENOSPC
        why = "disk full" if full else "the limit on a file's size or a user's space is reached"
        return f"Could not write {path} ({why}): {needed:,} bytes are needed and {free}; make room and run again."
    if not path.parent.is_dir():
        return f"Could not write {path}: there is no folder {path.parent}; create it first."
    reason, remedy = error.strerror, "choose another folder or mend this one"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason, remedy = f"no permission to write in {path.parent}", "choose a folder of your own"
    return f"Could not write {path}, {needed:,} bytes: {reason}; {remedy}."
