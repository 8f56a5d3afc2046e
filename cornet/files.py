"""Write files atomically: a reader sees the old content or the new content, never a part.

A temporary file has a random name that includes an id of the running kernel, and a lock (flock) that ends with its
process. A temporary file of this kernel without a lock is an orphan. A file of another kernel, or on a file system
without locks, counts as an orphan after one day by the file system's clock. Before its first write to a folder, a
process removes its user's orphans there.
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
_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{8})-[0-9a-f]{16}\.tmp", re.DOTALL)

_swept: set[Path] = set()


def cache_folder() -> Path:
    """Return CORNET_CACHE if set, else the folder cornet in XDG_CACHE_HOME or ~/.cache."""
    if folder := os.environ.get("CORNET_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cornet"


class NewFile:
    """Context manager of a temporary file beside `path`: `commit` renames it to `path`; otherwise it is removed.

    file: the open file to write to. temporary: its path before `commit`. The new file takes the mode and group of
    the file that it replaces. Methods raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._old = path, _regular(path)
        descriptor = -1
        while descriptor < 0:
            self.temporary = _temporary_path(path)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE
            descriptor = os.open(self.temporary, flags, 0o666 if self._old is None else 0o600)
            if not _lock_new(descriptor):  # another process took it for an orphan before it was locked
                os.close(descriptor)
                self.temporary.unlink(missing_ok=True)
                descriptor = -1
        self.file: BinaryIO = os.fdopen(descriptor, "wb")
        if path.parent not in _swept:
            _swept.add(path.parent)
            _remove_orphans(path.parent, os.fstat(descriptor).st_mtime)

    def commit(self, previous: Path | None = None, synced: bool = True) -> None:
        """Rename the temporary file to `path`.

        previous: new name of the replaced file. synced: flush the file and the folder to disk.
        """
        self.file.flush()
        descriptor = self.file.fileno()
        if self._old is not None:
            with contextlib.suppress(OSError):  # on failure the file stays readable by this user only
                os.fchown(descriptor, -1, self._old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(self._old.st_mode) & 0o777)
        if synced:
            os.fsync(descriptor)
        if previous is not None and self.path.exists():
            _link(self.path, previous)
        os.replace(self.temporary, self.path)
        if synced:
            sync(self.path.parent)
        self.file.close()

    def discard(self) -> None:
        """Close and remove the temporary file. Does nothing after `commit`."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()
        with contextlib.suppress(OSError):
            self.file.close()

    def __enter__(self) -> "NewFile":
        return self

    def __exit__(self, *_: Any) -> None:
        self.discard()


def atomic_write(
    path: Path | str, data: bytes | memoryview | str, hint: str = "", previous: Path | None = None
) -> None:
    """Write `data` to `path` atomically (see `NewFile`) and sync it to disk.

    Text is written as UTF-8, with escapes such as \\udce9 for bytes of names that are not UTF-8. hint: text appended to
    error messages. previous: new name of the old file. Raises CornetError with the path, the bytes needed and the bytes
    free; the old file is then unchanged.
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
    """Flush a file, or the entries of a folder, to disk. Does nothing where the file system does not support it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def file_error(error: OSError) -> CornetError:
    """Convert an OSError to a CornetError of one sentence: the file, the reason, the remedy."""
    if error.errno in _FULL:
        where = f" to write {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        return CornetError(
            f"the disk is full: no space{where}; free some and repeat the command to continue."
        )
    reason = error.strerror or str(error) or type(error).__name__
    if not isinstance(error.filename, str | bytes):
        return CornetError(f"{reason}; check the files and folders that you named, and run again.")
    name = os.fsdecode(error.filename)
    shown = name if len(name) <= 200 else f"{name[:100]} ... ({len(name):,} characters)"
    denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    remedy = "choose one that you have permission for" if denied else "check the name, or give another"
    return CornetError(f"{shown}: {reason}; {remedy}.")


def _link(path: Path, name: Path) -> None:
    """Give a file a second name, replacing the file that has this name."""
    temporary = _temporary_path(name)
    try:
        os.link(path, temporary)
    except OSError:  # the file system does not support hard links
        shutil.copyfile(path, temporary)
    os.replace(temporary, name)
    temporary.unlink(missing_ok=True)  # os.replace does nothing if both names are the same file


def _temporary_path(path: Path) -> Path:
    """Return a new name in the same folder: the start of the file's name, the kernel id, and a random part."""
    return path.with_name(f".{path.name[:50]}.{_kernel()}-{secrets.token_hex(8)}.tmp")


@functools.cache
def _kernel() -> str:
    """Return 8 hexadecimal digits that identify the running kernel, equal in all its containers."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return _UNKNOWN


def _regular(path: Path) -> os.stat_result | None:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        return status if stat.S_ISREG(status.st_mode) else None
    return None


def _lock_new(descriptor: int) -> bool:
    """Lock a new file if the file system has locks. Return False if another process locked or removed it first."""
    try:
        take_lock(descriptor)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _remove_orphans(folder: Path, now: float) -> None:
    """Remove temporary files of killed processes: those of checkpoints and recordings soon fill a disk."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (match := _TEMPORARY.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):  # locked, or already removed by another process
                    _remove_orphan(entry.path, match[1], now)


def _remove_orphan(path: str, kernel: str, now: float) -> None:
    descriptor = open_checked(path, os.O_RDWR | SAFE)  # NFS locks only files that are open for writing
    try:
        status, locked = os.fstat(descriptor), take_lock(descriptor)
        here = locked and kernel == _kernel() != _UNKNOWN
        if status.st_uid == os.geteuid() and (here or now - status.st_mtime > _DAY):
            os.unlink(path)
    finally:
        os.close(descriptor)


def write_error(path: Path, needed: int, error: OSError, hint: str = "") -> CornetError:
    """Return the CornetError for a file of `needed` bytes that could not be written, with reason and remedy."""
    return CornetError(_sentence(path, needed, error) + (f" {hint}" if hint else ""))


def _sentence(path: Path, needed: int, error: OSError) -> str:
    if error.errno in _FULL:
        free = "the free space is unknown"
        with contextlib.suppress(OSError):
            free = f"{shutil.disk_usage(path.parent).free:,} are free"
        full = error.errno == errno.ENOSPC
        why = "disk full" if full else "the limit on file size or disk quota is reached"
        return f"Could not write {path} ({why}): {needed:,} bytes are needed and {free}; make room and run again."
    if not path.parent.is_dir():
        return f"Could not write {path}: there is no folder {path.parent}; create it first."
    reason, remedy = error.strerror, "choose another folder or repair this one"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason, remedy = f"no permission to write in {path.parent}", "choose a folder of your own"
    return f"Could not write {path}, {needed:,} bytes: {reason}; {remedy}."
