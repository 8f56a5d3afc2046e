"""Lock a run's folder, so that only one process writes to it."""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.opening import SAFE, open_checked

__all__ = ["locked"]

UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""Error numbers of file systems without locks."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock `<folder>/.lock` while the block runs.

    It is a file lock of the system, which ends with the process. On file systems without locks, the process named in
    the file counts as the owner unless it is known to have ended. Raises CornetError, naming the owner, if another
    process holds the lock, and if the file cannot be written, is a symbolic link, or is not a regular file.
    """
    path = folder / ".lock"
    try:
        descriptor = open_checked(path, os.O_RDWR | os.O_CREAT | SAFE, 0o644)
    except OSError as error:
        raise CornetError(
            f"{path} cannot be written: {error.strerror}; remove it, or choose another folder for runs."
        ) from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise lock_error(folder, read_owner(descriptor)) from None
            owner = read_owner(descriptor)
            if owner and not has_ended(owner):
                raise lock_error(folder, owner, f", or remove {path} if that process has ended") from None
        content = {"host": socket.gethostname(), "pid": os.getpid(), "container": pid_namespace()}
        content["since"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        os.ftruncate(descriptor, 0)
        try:
            os.pwrite(descriptor, json.dumps(content).encode(), 0)
        except OSError as error:
            raise CornetError(
                f"{path} cannot be written: {error.strerror}; make room, or choose another folder for runs."
            ) from error
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def read_owner(descriptor: int) -> dict[str, Any]:
    """Read the owner (host, pid, since, container) from the lock file. Return {} if it is empty or damaged."""
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except (ValueError, RecursionError):
        return {}
    types = {"host": str, "pid": int, "since": str}
    valid = isinstance(content, dict) and all(type(content.get(key)) is kind for key, kind in types.items())
    return content if valid else {}


def pid_namespace() -> str:
    """Return an id of the namespace in which process ids are unique: the machine, its boot, and the container."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{start} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def has_ended(owner: dict[str, Any]) -> bool:
    """Return whether the owner has ended. False for processes of other machines or containers: this is unknown."""
    if owner.get("container") != pid_namespace():
        return False
    if not 0 < owner["pid"] < 2**31:
        return True
    try:
        os.kill(owner["pid"], 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def lock_error(folder: Path, owner: dict[str, Any], remedy: str = "") -> CornetError:
    process = "another process"
    if owner:
        process = f"process {owner['pid']} on {owner['host'][:100]} (since {owner['since'][:100]})"
    return CornetError(
        f"{folder} is being written by {process}; wait for it, stop it, or give this run another name=...{remedy}"
    )
