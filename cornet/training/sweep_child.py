"""One run of a sweep as a process of its own: its output, its log, and how it ended."""

import contextlib
import ctypes
import datetime
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from cornet.training.secrets import without_secrets
from cornet.training.sweep_jobs import Job

__all__ = ["PARENT", "Child", "follow_parent", "in_sweep"]

PARENT = "CORNET_SWEEP_PARENT"
"""The variable that tells a run which process goes through the sweep."""

_SET_DEATH_SIGNAL = 1  # of prctl: the signal that a process is sent when its parent ends
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_printing = threading.Lock()
_followed = False


def follow_parent() -> None:
    """In a run that a sweep has started: stop, with a checkpoint, when that sweep is killed (on Linux)."""
    global _followed
    parent = os.environ.pop(PARENT, "")  # not for processes that this one starts
    _followed = parent.isdecimal()
    if not _followed or not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(parent):  # it was gone before that
        os.kill(os.getpid(), signal.SIGTERM)


def in_sweep() -> bool:
    """Whether this process is a run that a sweep has started."""
    return _followed


class Child:
    """A started run, in a session of its own: a signal of the terminal comes to it through the sweep alone.

    program: what is called. prefix: put before every line that is shown. live: the output is this process's own, so
    that what is drawn on a terminal is; only errors then pass through here. slot: its place among those at once.
    """

    def __init__(
        self,
        job: Job,
        program: Sequence[str],
        environment: Mapping[str, str],
        prefix: str = "",
        live: bool = False,
        slot: int = 0,
    ) -> None:
        self.job, self.prefix, self.slot = job, prefix, slot
        self.sent = 0  # signals
        self.began, self.began_at = time.monotonic(), time.time_ns()
        self.log = RunLog(job.folder / "sweep.log", self.began_at)
        self.log.add(f"--- {datetime.datetime.now():%Y-%m-%d %H:%M:%S}  {shown(program)}\n")
        self.last = {"out": "", "error": ""}
        self.process = subprocess.Popen(
            list(program),
            env={**os.environ, "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid()), **environment},
            stdin=subprocess.DEVNULL,
            stdout=None if live else subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        pairs = (("out", self.process.stdout), ("error", self.process.stderr))
        self.pumps = [
            threading.Thread(target=self.pump, args=(name, pipe), daemon=True) for name, pipe in pairs if pipe
        ]
        for pump in self.pumps:
            pump.start()

    def pump(self, name: str, pipe: IO[bytes]) -> None:
        """Show each line and keep it, to the end."""
        with pipe:
            for raw in pipe:
                self.take(name, raw.decode(errors="replace"))

    def take(self, name: str, line: str) -> None:
        with _printing:
            stream = sys.stdout if name == "out" else sys.stderr
            with contextlib.suppress(OSError, ValueError):  # a pipe that nobody reads any longer
                print(f"{self.prefix}{line}", end="", file=stream, flush=True)
        self.log.add(line)
        if words := _ESCAPES.sub("", line).strip():
            self.last[name] = words

    def send(self, signum: int) -> None:
        """To the run alone: it tells its own processes."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signum)
        self.sent += 1

    def ended(self) -> bool:
        """Whether it has; then its log is written, and what it has left running is ended."""
        code = self.process.poll()
        if code is None:
            return False
        if code:  # loading processes of a killed run
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for pump in self.pumps:
            pump.join(10)  # not for ever: what has left the run's session may hold the pipe
        self.log.close()
        return True

    @property
    def code(self) -> int:
        return self.process.returncode

    @property
    def how(self) -> str:
        """How it ended: "killed by SIGKILL", "stopped by SIGTERM", "exit code 2"."""
        if self.code < 0:
            return f"killed by {signal_name(-self.code)}"
        if self.code - 128 in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            return f"stopped by {signal_name(self.code - 128)}"
        return f"exit code {self.code}"

    @property
    def said(self) -> str:
        """The last line of its errors, or of its output where there was none."""
        return self.last["error"] or self.last["out"]


class RunLog:
    """What a run said, in a file of its folder; kept back until the run has made that, or has moved an old one aside.

    The folder counts as the run's when the configuration there is not older than the run.
    """

    def __init__(self, path: Path, since: int) -> None:
        self.path, self.since = path, since
        self.held: list[str] = []
        self.lock = threading.Lock()

    def add(self, line: str) -> None:
        with self.lock:
            self.held.append(line)
            with contextlib.suppress(OSError):
                if (self.path.parent / "config.yaml").stat().st_mtime_ns >= self.since:
                    self.write()

    def close(self) -> None:
        """Write what is held, where there is a folder: a run that could not begin leaves none."""
        with self.lock, contextlib.suppress(OSError):
            if (self.path.parent / "identity.json").exists():
                self.write()

    def write(self) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(self.held)
        self.held.clear()


def signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def shown(program: Sequence[str]) -> str:
    """The overrides of a command, without secrets."""
    return " ".join(without_secrets([word for word in program if "=" in word]))
