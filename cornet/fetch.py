"""Fetching a published file from a server or a folder: resumed after a break, named only when verified."""

import contextlib
import http.client
import os
import re
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

from cornet.errors import CornetError
from cornet.files import NewFile, sync
from cornet.opening import SAFE, check_ours, locked_file, open_checked, open_entry, open_regular

__all__ = ["DownloadError", "download", "is_address", "locked", "obtain", "usable"]

CHUNK = 1 << 18  # bytes
ATTEMPTS = 3  # each goes on where the one before broke off
SLOWEST = 100  # bytes per second; a server that sends less over twice the timeout counts as stalled
ANSWER = 10  # timeouts until the answer begins, whatever comes bit by bit before it


class DownloadError(Exception):
    """What the server did, as words that follow its address. `broken`: it broke off, and may be asked to go on."""

    def __init__(self, message: str, broken: bool = False):
        super().__init__(message)
        self.broken = broken


def download(url: str, part: Path, timeout: float, most: int) -> bool:
    """Bring what is at `url` to the file `part`, going on at the end of what the file holds already.

    timeout: seconds without a byte after which the server counts as stalled. most: bytes; a larger file is not taken.
    Returns whether the file was joined from more than one answer: the halves of two files may then have met.
    Raises DownloadError where the file does not come whole; what came of it stays in `part`, unless there was too much.
    Raises CornetError where it has no room on the disk. OSErrors are those of writing, also for a `part` that is a
    symbolic link, no regular file, or another user's.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return transfer(url, part, timeout, most)
        except DownloadError as error:
            if attempt == ATTEMPTS or not error.broken:
                raise
    raise AssertionError("the last attempt returns or raises")


def transfer(url: str, part: Path, timeout: float, most: int) -> bool:
    """Ask once for what `part` lacks and append it. Returns whether there was something to append to."""
    have = size_of(part)
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
        limit = most if total is None else min(total, most)
        size = start
        with opened(part, start) as file, progress(part.stem, start, total) as advance:
            for block in blocks(response, timeout):
                size += len(block)
                if size > limit:
                    part.unlink()
                    raise DownloadError(f"sent more than {limit:,} bytes, the most that this file may have")
                file.write(block)
                advance(len(block))
    if total is not None and size < total:
        raise DownloadError(f"broke off after {size:,} of {total:,} bytes", broken=True)
    return start > 0


def size_of(part: Path) -> int:
    """Bytes of what has come before. Raises OSError for a file that must not be written to."""
    try:
        with open_entry(part) as file:
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0


def opened(part: Path, start: int) -> BinaryIO:
    """A file to write to from the byte `start` on, where it ends."""
    file = os.fdopen(open_checked(part, os.O_RDWR | os.O_CREAT | SAFE), "r+b")
    try:
        check_ours(part, os.fstat(file.fileno()))
        file.truncate(start)
        file.seek(start)
    except BaseException:
        file.close()
        raise
    return file


def check_room(url: str, part: Path, needed: int) -> None:
    """Raise CornetError where the disk has less room than a file still needs."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise CornetError(
            f"{url} needs {needed:,} bytes and {free:,} are free in {part.parent}; make room or choose another folder."
        )


class HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows no redirection to another kind of address, such as a file of this machine."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(
                newurl, code, f"and sent on to {newurl}, which is not http", headers, fp
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def ask(url: str, start: int, timeout: float) -> Any:
    """The server's answer when it is asked for a file from the byte `start` on; one that refuses raises."""
    request = urllib.request.Request(url, headers={"User-Agent": "cornet"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    answer: Future[Any] = Future()

    def wait() -> None:
        try:
            answer.set_result(urllib.request.build_opener(HttpOnly).open(request, timeout=timeout))
        except BaseException as error:
            answer.set_exception(error)

    # A server that sends its headers bit by bit is never silent for long.
    threading.Thread(target=wait, daemon=True).start()
    try:
        return answer.result(ANSWER * timeout)
    except urllib.error.HTTPError as error:
        if start and error.code == 416:
            return error
        error.close()
        raise DownloadError(f"answered {error.code} {plain(error.reason)}") from None


def extent(response: Any) -> tuple[int, int | None]:
    """Where the bytes of an answer begin in the file, and how many the whole file has (None: not told)."""
    if response.status == 206:
        told = re.fullmatch(
            r"bytes (\d{1,20})-\d{1,20}/(\d{1,20}|\*)", response.headers.get("Content-Range", "")
        )
        if told is None:
            return -1, None
        return int(told[1]), None if told[2] == "*" else int(told[2])
    lengths = set(response.headers.get_all("Content-Length", []))
    if not lengths or "Transfer-Encoding" in response.headers:
        return 0, None
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,20}", length):
        raise DownloadError(
            f"told {'several lengths' if lengths else f'the length {plain(length)!r}'} of the file"
        )
    return 0, int(length)


def blocks(response: Any, timeout: float) -> Iterator[bytes]:
    """The bytes of an answer as they come."""
    began, came = time.monotonic(), 0
    while True:
        with failures(timeout, broken=True):
            block = response.read1(CHUNK)
        if not block:
            return
        yield block
        came += len(block)
        seconds = time.monotonic() - began
        if seconds > 2 * timeout:
            if came < SLOWEST * seconds:
                raise DownloadError(f"sent only {came:,} bytes in {seconds:.1f} s", broken=True)
            began, came = time.monotonic(), 0


def plain(words: Any) -> str:
    """A server's words on one line."""
    line = " ".join(str(words).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:200]


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
        raise DownloadError(f"cannot be reached ({plain(reason) or type(error).__name__})") from None


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


def obtain(
    source: str,
    path: Path,
    problem: Callable[[Path, bool], str],
    remedy: str,
    timeout: float = 30.0,
    most: int = 20 * 10**9,
) -> None:
    """Bring a file to `path`, whole and found right.

    source: http or https address, or folder, below which it has the name of `path`; or the path of the file itself.
    problem: (file, whether it was joined from two answers) -> what is wrong and what to do, as words that follow its
        address; "" where it is right. remedy: what else to do where the file cannot be had.
    timeout: seconds without a byte after which a server counts as stalled. most: bytes that are downloaded at most.

    A broken download is kept in <path>.part and continued by the next call; a wrong file is removed. Raises
    CornetError, and OSError for writing.
    """
    if not is_address(source):
        given = Path(source).expanduser()
        original = given if given.is_file() else given / path.name
        with NewFile(path) as new:
            _copy(original, new, remedy)
            if wrong := problem(new.aside, False):
                raise CornetError(f"{original} {wrong}, or {remedy}.")
            new.commit()
        return
    part, address = path.with_name(f"{path.name}.part"), f"{source.rstrip('/')}/{path.name}"
    try:
        wrong = _downloaded(address, part, problem, timeout, most)
    except DownloadError as error:
        kept = " (what came of it is kept, and the next try goes on from there)" if part.exists() else ""
        raise CornetError(f"{address} {error}{kept}; {remedy}.") from None
    if wrong:
        part.unlink()
        raise CornetError(f"{address} {wrong}, or {remedy}.")
    sync(part)
    os.replace(part, path)


def is_address(source: str) -> bool:
    """Whether a source is an http or https address, and not a folder. Raises CornetError for other schemes."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", source)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise CornetError(
            f"the address {source!r} begins with {scheme[1]}; give one with http or https, or a folder."
        )
    return scheme is not None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds this file's lock, and hold it. It goes with the process."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked_file(path, wait=False))
        except BlockingIOError:
            if sys.stderr.isatty():
                print(f"waiting for another process that fetches into {path.parent}", file=sys.stderr)
            held.enter_context(locked_file(path))
        yield


@contextlib.contextmanager
def usable(path: Path, remedy: str) -> Iterator[None]:
    """Turn an OSError of reading and writing at `path` into a CornetError that ends with the remedy."""
    try:
        yield
    except OSError as error:
        raise CornetError(
            f"{error.filename or path} cannot be used ({error.strerror or error}); {remedy}."
        ) from None


def _downloaded(
    address: str, part: Path, problem: Callable[[Path, bool], str], timeout: float, most: int
) -> str:
    """Download to `part`, from the start where its two halves do not fit; what is wrong with the outcome."""
    joined = download(address, part, timeout, most)
    wrong = problem(part, joined)
    if wrong and joined:  # the file may have changed between its two halves
        part.unlink()
        wrong = problem(part, download(address, part, timeout, most))
    return wrong


def _copy(original: Path, new: NewFile, remedy: str) -> None:
    try:
        source = open_regular(original)
    except OSError as error:
        raise CornetError(f"{original} cannot be read ({error.strerror}); {remedy}.") from None
    with source:
        shutil.copyfileobj(source, new.file, 1 << 20)
    new.file.flush()
