"""What is printed: text from files without control characters, and streams that never end a command."""

import errno
import io
import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from cornet.errors import printable

__all__ = ["Terminal", "cell", "duration", "steady_streams"]


class Terminal(Console):
    """rich's console; control characters in any text are shown as escapes: no file can write over the screen."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text, keep="\n\t"), **options)


def cell(text: object) -> str:
    """Text from a file for a table or a line: control characters and rich's markup mean nothing in it."""
    return escape(printable(str(text)))


def duration(seconds: float) -> str:
    """0.35 s, 45 s, 12:05 min, 3:20 h, 4.2 days."""
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


def steady_streams() -> None:
    """Make standard output and error safe, at the start of a program.

    Characters outside their encoding become "?"; a stream that is closed, at once or later (`| head`), is replaced by
    nothing.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            try:
                os.fstat(number)
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)  # no file of ours may become number 1 or 2
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open to the end)
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            options = {"encoding": stream.encoding, "line_buffering": stream.line_buffering}
            setattr(sys, name, _Steady(stream.detach(), errors="replace", **options))  # type: ignore[arg-type]


class _Steady(io.TextIOWrapper):
    """A standard stream that goes silent where it cannot be written."""

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
        if error.errno != errno.EPIPE and self is sys.stdout:  # whoever closes a pipe knows it
            print(
                f"standard output cannot be written ({error.strerror}); the rest is not shown",
                file=sys.stderr,
            )
