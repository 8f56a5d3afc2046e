"""Readers run in a process of their own, where a hang is ended, a crash is seen, and memory has a limit.

The process is forked from the tests', so that nothing is imported again. It is asked by name to run a function on a
folder; what does not answer in time is told to say where it is, and killed.
"""

import faulthandler
import importlib
import json
import os
import resource
import select
import signal
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cornet.errors import CornetError

SECONDS = 60.0
"""That a reader may take on a machine which others use, too; with our small files it takes hundredths."""

PEAK = 192 * 2**20
"""Bytes by which a reader's memory may grow: all files here are smaller than 1 MB."""

HEADROOM = 2 * 2**30
"""Bytes of address space that the process may still ask for: what a header claims is so refused at once."""

LONGEST = 2000
"""Characters of a message that a person would read."""


class Outcome(NamedTuple):
    """kind: "read", "refused" (our own error), "wrong" (any other), "crashed" or "hung". told: message or traceback.
    seconds, peak (bytes): that it took."""

    kind: str
    told: str
    seconds: float
    peak: int

    def check(self, about: str = "") -> None:
        """Fails unless it was read, or refused in one readable line, in bounded memory."""
        assert self.kind in ("read", "refused"), f"{self.kind}: {self.told}\n{about}"
        assert self.peak < PEAK, f"memory grew by {self.peak / 2**20:.0f} MB\n{about}"
        if self.kind == "refused":
            assert self.told.strip(), f"an empty message\n{about}"
            assert len(self.told) < LONGEST, f"{len(self.told)} characters: {self.told[:300]!r}\n{about}"
            odd = [c for c in self.told if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
            assert not odd, f"not one plain line, for {odd[0]!r}: {self.told!r}\n{about}"


class Watched:
    """The process; `read` runs functions in it. tally: how many examples were run, the longest and the largest."""

    def __init__(self) -> None:
        self.pid = 0
        self.examples, self.refused, self.longest, self.largest = 0, 0, 0.0, 0

    def read(self, reader: Callable[[Path], Any], folder: Path) -> Outcome:
        """What comes of `reader(folder)`, a function of a module that is imported."""
        if not self.pid:
            self._start()
        start = time.monotonic()
        os.write(self.ask, json.dumps([reader.__module__, reader.__name__, str(folder)]).encode() + b"\n")
        answer = self._answer(start + SECONDS)
        if answer is None:
            outcome = self._lost(time.monotonic() - start)
        else:
            kind, told, peak = answer
            outcome = Outcome(kind, told, time.monotonic() - start, peak)
        self.examples += 1
        self.refused += outcome.kind == "refused"
        self.longest, self.largest = max(self.longest, outcome.seconds), max(self.largest, outcome.peak)
        return outcome

    def stop(self) -> None:
        """End the process, and say what was run (shown by pytest -s)."""
        if self.pid:
            self._end()
        print(
            f"\n{self.examples} examples, {self.refused} refused; longest {self.longest:.2f} s, "
            f"largest growth of memory {self.largest / 2**20:.0f} MB"
        )

    def _start(self) -> None:
        question, self.ask = os.pipe()
        self.hear, answer = os.pipe()
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as the process
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
            self.pid = os.fork()
        if not self.pid:
            try:
                os.close(self.ask)
                os.close(self.hear)
                _serve(question, answer, self.said.fileno())
            finally:
                os._exit(0)
        os.close(question)
        os.close(answer)

    def _answer(self, until: float) -> list[Any] | None:
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.hear], [], [], max(0.0, until - time.monotonic()))
            more = os.read(self.hear, 2**16) if ready else b""
            if not more:
                return None
            text += more
        return json.loads(text)

    def _lost(self, seconds: float) -> Outcome:
        """It hangs, or is gone."""
        hung = seconds >= SECONDS
        if hung:
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(0.5)
        with os.fdopen(os.dup(self.said.fileno()), "rb") as file:
            status = self._end()
            file.seek(0)
            told = file.read().decode(errors="replace")
        told = told[max(0, told.rfind("Current thread")) :][:3000]
        return Outcome("hung" if hung else "crashed", f"status {status}\n{told}", seconds, 0)

    def _end(self) -> int:
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.ask)
        os.close(self.hear)
        self.said.close()
        self.pid = 0
        return status


def _serve(question: int, answer: int, said: int) -> None:
    import torch

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.enable(said)
    faulthandler.register(signal.SIGUSR1, said)
    limit = _status("VmSize") + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(question, "rb") as questions:
        for line in questions:
            module, name, folder = json.loads(line)
            reader = getattr(importlib.import_module(module), name)
            before = _begin()
            kind, told = _run(reader, Path(folder))
            told = told.encode("utf-8", "backslashreplace").decode()
            peak = max(0, _status("VmHWM") - before)
            os.write(answer, json.dumps([kind, told[-20000:], peak]).encode() + b"\n")


def _run(reader: Callable[[Path], Any], folder: Path) -> tuple[str, str]:
    try:
        reader(folder)
    except CornetError as error:
        return "refused", str(error)
    except BaseException:
        return "wrong", traceback.format_exc()
    return "read", ""


def _begin() -> int:
    """Memory held now, from where the highest is measured anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    """Bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
