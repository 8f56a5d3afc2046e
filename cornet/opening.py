"""Open files safely in folders where other users or killed processes may have created files.

Pipes, devices and sockets are refused. Cache entries, downloads and locks are never opened through a symbolic link,
and must belong to this user or root; files of other users are not read, replaced or removed. CORNET_CACHE_SHARED=1
trusts all users who can write to the cache.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from cornet.errors import CornetError

try:
    import fcntl
except ImportError:  # Windows has neither file locks nor named pipes in folders
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "SAFE",
    "is_foreign",
    "locked_file",
    "open_checked",
    "open_entry",
    "open_regular",
    "ours",
    "read_bytes",
    "take_lock",
]

log = logging.getLogger("cornet")

SHARED = "CORNET_CACHE_SHARED"
# Without O_NONBLOCK, opening a pipe would wait for its writer.
NONBLOCK = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
SAFE = NONBLOCK | getattr(os, "O_NOFOLLOW", 0)

_logged = False


def open_checked(path: Path | str, flags: int, mode: int = 0o666) -> int:
    """Open a regular file and return its descriptor. flags: as for `os.open`. Raises OSError for any other file."""
    try:
        descriptor = os.open(path, flags | NONBLOCK, mode)
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise OSError(errno.ELOOP, "it is a symbolic link", os.fspath(path)) from None
        raise
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def open_regular(path: Path | str) -> BufferedReader:
    """Open a file for reading, following symbolic links. Raises OSError for a folder, pipe, device or socket."""
    return os.fdopen(open_checked(path, os.O_RDONLY), "rb")


def read_bytes(path: Path | str) -> bytes:
    """Read a file, opened by `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def open_entry(path: Path | str) -> BufferedReader:
    """Open a cache entry for reading. Raises OSError, also for a symbolic link or a file of an untrusted user."""
    file = os.fdopen(open_checked(path, os.O_RDONLY | SAFE), "rb")
    try:
        check_ours(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def check_ours(path: Path | str, status: os.stat_result) -> None:
    """Raise PermissionError for a file of an untrusted user."""
    if not ours(status):
        why = f"it belongs to another user; set {SHARED}=1 if you trust all users who can write there"
        raise PermissionError(errno.EPERM, why, os.fspath(path))


def ours(status: os.stat_result) -> bool:
    """Return whether a file belongs to this user or root, or CORNET_CACHE_SHARED=1. Raises CornetError."""
    shared = os.environ.get(SHARED) or "0"
    if shared not in ("0", "1"):
        raise CornetError(
            f"{SHARED}={shared!r} must be 0 or 1; set 1 if you trust all users who can write to the cache."
        )
    return shared == "1" or not hasattr(os, "geteuid") or status.st_uid in (0, os.geteuid())


def is_foreign(path: Path | str) -> bool:
    """Return whether a file belongs to an untrusted user and must not be used, replaced or removed. Logged once."""
    global _logged
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    if ours(status):
        return False
    if not _logged:
        _logged = True
        log.warning(
            "%s belongs to another user (uid %d): this and similar files are ignored; set %s=1 if you trust all users "
            "who can write to that folder, or CORNET_CACHE to a folder of your own",
            path,
            status.st_uid,
            SHARED,
        )
    return True


def take_lock(descriptor: int, wait: bool = False) -> bool:
    """Lock a file until its descriptor is closed. Return False if the file system has no locks.

    Raises BlockingIOError if another process holds the lock and `wait` is False.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked_file(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file, which is created if missing and never written. The lock ends with the process.

    Raises BlockingIOError if another process holds it and `wait` is False; OSError if it cannot be opened.
    """
    try:
        descriptor = open_checked(path, os.O_RDWR | os.O_CREAT | SAFE)
    except PermissionError:  # created by another user of a shared folder
        descriptor = open_checked(path, os.O_RDONLY | SAFE)
    try:
        take_lock(descriptor, wait)
        yield
    finally:
        os.close(descriptor)
