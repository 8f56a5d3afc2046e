"""Downloading one file over HTTP: progress on a terminal, and going on after a break."""

import contextlib
import http.client
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cornet.errors import CornetError

__all__ = ["DownloadError", "download"]

CHUNK = 1 << 18  # bytes
ATTEMPTS = 3  # each goes on where the one before broke off


class DownloadError(Exception):
    """What the server did, as words that follow its address. `broken`: it broke off, and may be asked to go on."""

    def __init__(self, message: str, broken: bool = False):
        super().__init__(message)
        self.broken = broken


def download(url: str, part: Path, timeout: float) -> bool:
    """Bring what is at `url` to the file `part`, going on at the end of what the file holds already.

    timeout: seconds without a byte after which the server counts as stalled.
    Returns whether the file was joined from more than one answer: the halves of two files may then have met.
    Raises DownloadError where the file does not come whole; what came of it stays in `part`. Raises CornetError
    where it has no room on the disk. OSErrors are those of writing.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return transfer(url, part, timeout)
        except DownloadError as error:
            if attempt == ATTEMPTS or not error.broken:
                raise
    raise AssertionError("the last attempt returns or raises")


def transfer(url: str, part: Path, timeout: float) -> bool:
    """Ask once for what `part` lacks and append it. Returns whether there was something to append to."""
    have = part.stat().st_size if part.exists() else 0
    with failures(timeout):
        response = ask(url, have, timeout)
    with response:
        if response.status == 416:  # nothing comes after what is here: it is whole, or of another file
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return True
            part.unlink()
            raise DownloadError("has less than what is here already", broken=True)
        start, total = extent(response)
        if start not in (0, have):
            part.unlink()
            raise DownloadError("sent another part than it was asked for", broken=True)
        if total is not None:  # whether it goes on or begins again: what is here gives its room to the new
            check_room(url, part, total - have)
        size = start
        with part.open("r+b" if start else "wb") as file, progress(part.stem, start, total) as advance:
            file.seek(start)
            for block in blocks(response, timeout):
                file.write(block)
                size += len(block)
                advance(len(block))
    if total is not None and size < total:
        raise DownloadError(f"broke off after {size:,} of {total:,} bytes", broken=True)
    return start > 0


def check_room(url: str, part: Path, needed: int) -> None:
    """Raise CornetError where the disk has less room than a file still needs."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise CornetError(
            f"{url} needs {needed:,} bytes and {free:,} are free in {part.parent}; make room or choose another folder."
        )


def ask(url: str, start: int, timeout: float) -> Any:
    """The server's answer when it is asked for a file from the byte `start` on; one that refuses raises."""
    request = urllib.request.Request(url, headers={"User-Agent": "cornet"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if start and error.code == 416:
            return error
        error.close()
        raise DownloadError(f"answered {error.code} {error.reason}") from None


def extent(response: Any) -> tuple[int, int | None]:
    """Where the bytes of an answer begin in the file, and how many the whole file has (None: not told)."""
    if response.status == 206:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if told is None:
            return -1, None
        return int(told[1]), None if told[2] == "*" else int(told[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None


def blocks(response: Any, timeout: float) -> Iterator[bytes]:
    """The bytes of an answer as they come."""
    while True:
        with failures(timeout, broken=True):
            block = response.read1(CHUNK)
        if not block:
            return
        yield block


@contextlib.contextmanager
def failures(timeout: float, broken: bool = False) -> Iterator[None]:
    """Turn what the network raises into DownloadError; broken: some of the file has come."""
    try:
        yield
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise DownloadError(f"sent nothing for {timeout:g} s") from None
        if broken:
            raise DownloadError("broke off", broken=True) from None
        words = " ".join(str(reason).split()) or type(error).__name__
        raise DownloadError(f"cannot be reached ({words})") from None


@contextlib.contextmanager
def progress(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function to tell how many bytes have come; on a terminal it draws a bar with the rate and the time left."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True)) as drawn:
        task = drawn.add_task(name, completed=start, total=total)
        yield lambda count: drawn.advance(task, count)
