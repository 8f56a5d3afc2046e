"""One process writes into a run's folder; a second one is refused, with the first one's name."""

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

UNABLE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""Of a file system without locks."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `<folder>/.lock` while the block runs.

    The system's file lock, which ends with the process. On file systems without locks the owner named in the file
    counts, unless it is known to be gone. Raises CornetError, naming the owner, while another process holds it, and
    where the file cannot be written or is a symbolic link or no regular file.
    """
    path = folder / ".lock"
    try:
        descriptor = open_checked(path, os.O_RDWR | os.O_CREAT | SAFE, 0o644)
    except OSError as error:
        raise CornetError(
            f"{path} cannot be written: {error.strerror}; remove it, or choose another place for runs."
        ) from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in UNABLE:
                raise refusal(folder, owner_of(descriptor)) from None
            owner = owner_of(descriptor)
            if owner and not gone(owner):
                raise refusal(folder, owner, f", or remove {path} if that process is gone") from None
        content = {"host": socket.gethostname(), "pid": os.getpid(), "container": container()}
        content["since"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        os.ftruncate(descriptor, 0)
        try:
            os.pwrite(descriptor, json.dumps(content).encode(), 0)
        except OSError as error:
            raise CornetError(
                f"{path} cannot be written: {error.strerror}; make room, or choose another place for runs."
            ) from error
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def owner_of(descriptor: int) -> dict[str, Any]:
    """What the file says of who holds it; nothing where that is not known."""
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except (ValueError, RecursionError):
        return {}
    known = {"host": str, "pid": int, "since": str}
    sound = isinstance(content, dict) and all(type(content.get(key)) is kind for key, kind in known.items())
    return content if sound else {}


def container() -> str:
    """Where this process's number holds: it differs between machines, their starts, and containers."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{start} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def gone(owner: dict[str, Any]) -> bool:
    """Whether a process of this container has ended; of others that cannot be known."""
    if owner.get("container") != container():
        return False
    if not 0 < owner["pid"] < 2**31:
        return True
    try:
        os.kill(owner["pid"], 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def refusal(folder: Path, owner: dict[str, Any], remedy: str = "") -> CornetError:
    who = "another process"
    if owner:
        who = f"process {owner['pid']} on {owner['host'][:100]} (since {owner['since'][:100]})"
    return CornetError(
        f"{folder} is being written by {who}; wait for it, stop it, or give this run another name=...{remedy}"
    )
