"""Fetch a published file from a server or a folder, resume broken downloads, and verify the file before renaming it."""

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
from cornet.terminal import download_bar

__all__ = ["DownloadError", "download", "fetch_file", "fetch_lock", "is_address", "translate_os_errors"]

CHUNK = 1 << 18  # bytes
ATTEMPTS = 3  # each resumes the previous one
MIN_SPEED = 100  # bytes per second; a slower server, measured over two timeouts, counts as stalled
RESPONSE_TIMEOUTS = 10  # maximum wait for the headers, in timeouts: a server may send them byte by byte


class DownloadError(Exception):
    """What the server did, as words that follow its address. broken: the connection broke and a retry can resume."""

    def __init__(self, message: str, broken: bool = False):
        super().__init__(message)
        self.broken = broken


def download(url: str, part: Path, timeout: float, max_bytes: int) -> bool:
    """Download `url` to the file `part`, resuming at the end of its present content.

    timeout: seconds without a byte after which the server counts as stalled. max_bytes: larger files are refused.
    Returns whether the file was joined from several responses: the parts may then be of two versions of the file.
    Raises DownloadError if the download is incomplete (`part` is kept for a retry) or too large (`part` is removed).
    Raises CornetError if the disk has too little space, and OSError if `part` cannot be written, is a symbolic link,
    is not a regular file, or belongs to another user.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return download_rest(url, part, timeout, max_bytes)
        except DownloadError as error:
            if attempt == ATTEMPTS or not error.broken:
                raise
    raise AssertionError("the last attempt returns or raises")


def download_rest(url: str, part: Path, timeout: float, max_bytes: int) -> bool:
    """Request the missing rest of `part` once and append it. Return whether `part` had content before."""
    have = size_of(part)
    with translate_network_errors(timeout):
        response = request(url, have, timeout)
    with response:
        if response.status == 416:  # no bytes after `have`: the file is complete, or a different one
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return True
            part.unlink()
            raise DownloadError("has a smaller file than the partial download", broken=True)
        start, total = content_range(response)
        if start not in (0, have):
            part.unlink()
            raise DownloadError("sent a different byte range than requested", broken=True)
        if total is not None:  # also if it starts again: the new file replaces the bytes of `part`
            check_disk_space(url, part, total - have)
        limit = max_bytes if total is None else min(total, max_bytes)
        size = start
        with open_at(part, start) as file, download_bar(part.stem, start, total) as advance:
            for block in read_blocks(response, timeout):
                size += len(block)
                if size > limit:
                    part.unlink()
                    raise DownloadError(f"sent more than {limit:,} bytes, the maximum for this file")
                file.write(block)
                advance(len(block))
    if total is not None and size < total:
        raise DownloadError(f"broke off after {size:,} of {total:,} bytes", broken=True)
    return start > 0


def size_of(part: Path) -> int:
    """Return the bytes of a partial download, 0 if missing. Raises OSError for a file that must not be written."""
    try:
        with open_entry(part) as file:
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0


def open_at(part: Path, start: int) -> BinaryIO:
    """Open a file for writing, truncated to `start` bytes."""
    file = os.fdopen(open_checked(part, os.O_RDWR | os.O_CREAT | SAFE), "r+b")
    try:
        check_ours(part, os.fstat(file.fileno()))
        file.truncate(start)
        file.seek(start)
    except BaseException:
        file.close()
        raise
    return file


def check_disk_space(url: str, part: Path, needed: int) -> None:
    """Raise CornetError if the disk has fewer than `needed` bytes free."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise CornetError(
            f"{url} needs {needed:,} bytes and {free:,} are free in {part.parent}; make room or choose another folder."
        )


class HttpOnly(urllib.request.HTTPRedirectHandler):
    """Refuses redirects to other schemes than http and https, such as a local file."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(
                newurl, code, f"and redirected to {newurl}, which is not http", headers, fp
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def request(url: str, start: int, timeout: float) -> Any:
    """Request a file from the byte `start` on and return the response. Raises DownloadError for an error status."""
    ranged = urllib.request.Request(url, headers={"User-Agent": "cornet"})
    if start:
        ranged.add_header("Range", f"bytes={start}-")
    response: Future[Any] = Future()

    def wait() -> None:
        try:
            response.set_result(urllib.request.build_opener(HttpOnly).open(ranged, timeout=timeout))
        except BaseException as error:
            response.set_exception(error)

    # A server that sends its headers byte by byte never triggers the socket's own timeout.
    threading.Thread(target=wait, daemon=True).start()
    try:
        return response.result(RESPONSE_TIMEOUTS * timeout)
    except urllib.error.HTTPError as error:
        if start and error.code == 416:
            return error
        error.close()
        raise DownloadError(f"answered {error.code} {one_line(error.reason)}") from None


def content_range(response: Any) -> tuple[int, int | None]:
    """Return the position of the first byte of a response in the file, and the file's size (None if unknown)."""
    if response.status == 206:
        match = re.fullmatch(
            r"bytes (\d{1,20})-\d{1,20}/(\d{1,20}|\*)", response.headers.get("Content-Range", "")
        )
        if match is None:
            return -1, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    lengths = set(response.headers.get_all("Content-Length", []))
    if not lengths or "Transfer-Encoding" in response.headers:
        return 0, None
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,20}", length):
        raise DownloadError(
            f"sent {'several values' if lengths else f'the value {one_line(length)!r}'} of Content-Length"
        )
    return 0, int(length)


def read_blocks(response: Any, timeout: float) -> Iterator[bytes]:
    """Yield the bytes of a response as they arrive. Raises DownloadError for a stalled or broken connection."""
    began, received = time.monotonic(), 0
    while True:
        with translate_network_errors(timeout, broken=True):
            block = response.read1(CHUNK)
        if not block:
            return
        yield block
        received += len(block)
        seconds = time.monotonic() - began
        if seconds > 2 * timeout:
            if received < MIN_SPEED * seconds:
                raise DownloadError(f"sent only {received:,} bytes in {seconds:.1f} s", broken=True)
            began, received = time.monotonic(), 0


def one_line(text: Any) -> str:
    """Return text from a server on one line, with unprintable characters replaced, in at most 200 characters."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:200]


@contextlib.contextmanager
def translate_network_errors(timeout: float, broken: bool = False) -> Iterator[None]:
    """Convert network exceptions to DownloadError. broken: part of the file has arrived."""
    try:
        yield
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise DownloadError(f"sent nothing for {timeout:g} s") from None
        if broken:
            raise DownloadError("broke off", broken=True) from None
        raise DownloadError(f"cannot be reached ({one_line(reason) or type(error).__name__})") from None


def fetch_file(
    source: str,
    path: Path,
    problem: Callable[[Path, bool], str],
    remedy: str,
    timeout: float = 30.0,
    max_bytes: int = 20 * 10**9,
) -> None:
    """Download or copy a file to `path` and verify it before it gets this name.

    source: an http or https address or a folder, which has a file named as `path`; or the path of the file itself.
    problem: (file, whether it was joined from several responses) -> what is wrong and how to fix it, as words that
        follow its address; "" if the file is correct. remedy: what else to do if the file cannot be fetched.
    timeout: seconds without a byte after which a server counts as stalled. max_bytes: maximum size of a download.

    A broken download stays in <path>.part and the next call resumes it; a wrong file is removed. Raises CornetError,
    and OSError if a file cannot be written.
    """
    if not is_address(source):
        local = Path(source).expanduser()
        original = local if local.is_file() else local / path.name
        with NewFile(path) as new:
            _copy(original, new, remedy)
            if wrong := problem(new.temporary, False):
                raise CornetError(f"{original} {wrong}, or {remedy}.")
            new.commit()
        return
    part, address = path.with_name(f"{path.name}.part"), f"{source.rstrip('/')}/{path.name}"
    try:
        wrong = _download_checked(address, part, problem, timeout, max_bytes)
    except DownloadError as error:
        partial = " (the partial download is kept and the next try resumes it)" if part.exists() else ""
        raise CornetError(f"{address} {error}{partial}; {remedy}.") from None
    if wrong:
        part.unlink()
        raise CornetError(f"{address} {wrong}, or {remedy}.")
    sync(part)
    os.replace(part, path)


def is_address(source: str) -> bool:
    """Return whether a source is an http or https address. Raises CornetError for other schemes."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", source)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise CornetError(
            f"the address {source!r} has the scheme {scheme[1]}; give an http or https address, or a folder."
        )
    return scheme is not None


@contextlib.contextmanager
def fetch_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, waiting while another process holds it. The lock ends with the process."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked_file(path, wait=False))
        except BlockingIOError:
            if sys.stderr.isatty():
                print(f"waiting for another process that fetches into {path.parent}", file=sys.stderr)
            stack.enter_context(locked_file(path))
        yield


@contextlib.contextmanager
def translate_os_errors(path: Path, remedy: str) -> Iterator[None]:
    """Convert an OSError of reading or writing at `path` to a CornetError that ends with the remedy."""
    try:
        yield
    except OSError as error:
        raise CornetError(
            f"{error.filename or path} cannot be used ({error.strerror or error}); {remedy}."
        ) from None


def _download_checked(
    address: str, part: Path, problem: Callable[[Path, bool], str], timeout: float, max_bytes: int
) -> str:
    """Download to `part` and return what is wrong with it. A wrong file that was resumed is downloaded once more."""
    joined = download(address, part, timeout, max_bytes)
    wrong = problem(part, joined)
    if wrong and joined:  # the file on the server may have changed between the two responses
        part.unlink()
        wrong = problem(part, download(address, part, timeout, max_bytes))
    return wrong


def _copy(original: Path, new: NewFile, remedy: str) -> None:
    try:
        source = open_regular(original)
    except OSError as error:
        raise CornetError(f"{original} cannot be read ({error.strerror}); {remedy}.") from None
    with source:
        shutil.copyfileobj(source, new.file, 1 << 20)
    new.file.flush()
