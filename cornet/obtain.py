"""Bringing a published file to its place from a server or a folder; it gets its name only when found right."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cornet.download import DownloadError, download
from cornet.errors import CornetError
from cornet.files import NewFile, sync
from cornet.opening import locked_file, open_regular

__all__ = ["is_address", "locked", "obtain", "usable"]


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
