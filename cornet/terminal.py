"""Print to a terminal: escape control characters, and keep running when a stream is closed."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from cornet.errors import printable

__all__ = ["Terminal", "cell", "counting_bar", "download_bar", "duration", "steady_streams", "work_bar"]


class Terminal(Console):
    """A rich console that escapes control characters in all text, so that no file can overwrite the screen."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text, keep="\n\t"), **options)


def cell(text: object) -> str:
    """Escape control characters and rich markup in text from a file."""
    return escape(printable(str(text)))


def duration(seconds: float) -> str:
    """Format a duration: 0.35 s, 45 s, 12:05 min, 3:20 h, 4.2 days."""
    seconds = max(0.0, seconds)
    if round(seconds) < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours}:{minutes:02} h"
    return f"{seconds / 86400:,.1f} days"


@contextlib.contextmanager
def download_bar(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Draw a progress bar with rate and remaining time if standard error is a terminal.

    start: bytes that are already there. total: bytes of the whole file, None if unknown. Yields a function to call
    with the number of bytes of each block.
    """
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, completed=start, total=total)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def work_bar(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """Draw a progress bar with the remaining time if standard error is a terminal.

    total: units of work. Yields two functions: one names what is being done, the other counts finished units.
    """
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda text: None, lambda count: None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(None),
        progress.MofNCompleteColumn(),
        progress.TextColumn("time left"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield (
            lambda text: bar.update(task, description=printable(text)),
            lambda count: bar.advance(task, count),
        )


@contextlib.contextmanager
def counting_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A `work_bar` for one kind of work; none without a label.

    Yields a function to call with the number of items that are done.
    """
    done = 0

    def count(now: int) -> None:
        nonlocal done
        advance(now - done)
        done = now

    if not label:
        yield lambda now: None
        return
    with work_bar(total) as (name, advance):
        name(label)
        yield count


def steady_streams() -> None:
    """Make standard output and error robust. Call this at the start of a program.

    Characters that the encoding lacks are written as "?". Output to a stream that is or gets closed (`| head`) is
    discarded.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            try:
                os.fstat(number)
            except OSError:
                # Otherwise the next file that is opened would get the number 1 or 2.
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open until exit)
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            options = {"encoding": stream.encoding, "line_buffering": stream.line_buffering}
            setattr(sys, name, _Steady(stream.detach(), errors="replace", **options))  # type: ignore[arg-type]


class _Steady(io.TextIOWrapper):
    """A standard stream that discards its output once it cannot be written."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._silence(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._silence(error)

    def _silence(self, error: OSError) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        if error.errno != errno.EPIPE and self is sys.stdout:  # a closed pipe is intended
            print(
                f"standard output cannot be written ({error.strerror}); further output is discarded",
                file=sys.stderr,
            )
