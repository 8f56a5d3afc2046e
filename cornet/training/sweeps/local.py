"""Runs a sweep on this machine, each run in a process of its own, `sweep.at_once` at the same time.

A failed or killed run does not stop the others. The same command, given again, starts only the unfinished runs, and
these continue from their checkpoints. A signal that asks to stop is forwarded to the runs.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO

from cornet.errors import CornetError
from cornet.runs.folder import RunFolder
from cornet.training.secrets import without_secrets
from cornet.training.stop_signals import SIGNALS
from cornet.training.sweeps.sweep import Job, Sweep

__all__ = ["follow_parent", "in_sweep", "run_sweep"]

_PARENT = "CORNET_SWEEP_PARENT"  # gives a run the process number of its sweep
_followed = False
_output = Lock()


def follow_parent() -> None:
    """In a run that a sweep has started: stop, with a checkpoint, when that sweep is killed (on Linux)."""
    global _followed
    parent = os.environ.pop(_PARENT, "")  # not for processes that this one starts
    _followed = parent.isdecimal()
    if _followed and sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != int(parent):  # it ended before that
            os.kill(os.getpid(), signal.SIGTERM)


def in_sweep() -> bool:
    """Whether this process is a run that a sweep has started."""
    return _followed


class Run:
    """One run: its process, its log, and how it ended. code: exit status, once it has ended; negative for a signal."""

    def __init__(self, job: Job) -> None:
        self.job, self.log = job, job.folder / "sweep.log"
        self.code: int | None = None
        self.stopped = False  # ended because the sweep was asked to stop
        self.prefix, self.began = "", 0
        self.unwritten: list[str] = []
        self.last: dict[IO[str], str] = {}  # line of each stream

    def run(self, command: list[str], environment: dict[str, str], prefix: str, signals: list[int]) -> None:
        """Start the process, forward `signals` as they arrive, and wait for its end.

        It has a session of its own, so that it gets signals of the terminal only through the sweep. Without a prefix
        its standard output is this process's own on a terminal, for progress bars.
        """
        self.prefix, self.began = prefix, time.time_ns()
        shown = " ".join(without_secrets([word for word in command if "=" in word]))
        self.unwritten = [f"--- {datetime.now():%Y-%m-%d %H:%M:%S}  {shown}\n"]
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", _PARENT: str(os.getpid()), **environment},
            stdin=subprocess.DEVNULL,
            stdout=None if not prefix and sys.stdout.isatty() else subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        pipes = ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        pumps = [Thread(target=self.pump, args=both, daemon=True) for both in pipes if both[0]]
        for pump in pumps:
            pump.start()
        sent = 0
        while process.poll() is None:
            while sent < len(signals):
                process.send_signal(signals[sent])
                sent += 1
            time.sleep(0.05)
        if process.returncode:
            with suppress(ProcessLookupError, PermissionError):  # loading processes of a killed run
                os.killpg(process.pid, signal.SIGKILL)
        for pump in pumps:
            pump.join(10)  # not longer: a process that has left the session may hold the pipe
        with _output:
            self.began = 0
            self.record()
        self.stopped = bool(process.returncode and signals)
        self.code = process.returncode

    def pump(self, pipe: IO[bytes], stream: IO[str]) -> None:
        """Print and record each line."""
        with pipe:
            for raw in pipe:
                line = raw.decode(errors="replace")
                with _output:
                    say(f"{self.prefix}{line}", stream)
                    self.record(line)
                    self.last[stream] = line.strip() or self.last.get(stream, "")

    def record(self, *lines: str) -> None:
        """Append lines to sweep.log. They wait until the run has made its folder, or has moved an older one aside."""
        self.unwritten += lines
        with suppress(OSError):
            if (self.job.folder / "config.yaml").stat().st_mtime_ns >= self.began:
                with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as file:
                    file.writelines(self.unwritten)
                self.unwritten.clear()

    @property
    def how(self) -> str:
        """How it ended: "killed by SIGKILL", "stopped by SIGTERM", "exit code 2"."""
        code, names = self.code or 0, {int(one): one.name for one in signal.Signals}
        if code < 0:
            return f"killed by {names.get(-code, f'signal {-code}')}"
        return f"stopped by {names[code - 128]}" if code - 128 in SIGNALS else f"exit code {code}"


def run_sweep(sweep: Sweep, program: Sequence[str]) -> int:
    """Run what is not finished, and return the status with which to exit.

    program: the command that trains one run, to which its overrides are added. 0: all runs are finished. 1: some
    failed, which a table at the end lists. 128 plus a signal's number: the signal stopped the sweep, after its runs had
    written their checkpoints; a second signal is forwarded, too, and stops them at once.
    """
    total, began = len(sweep.jobs), time.monotonic()
    runs = {number: Run(job) for number, job in enumerate(sweep.jobs, 1) if not job.finished}
    finished, at_once = total - len(runs), max(1, min(sweep.at_once, len(runs)))
    message = f"sweep: {total} run{'s' * (total > 1)}"
    message += f", {finished} finished before" if finished else ""
    message += f", {at_once} at once" if at_once > 1 else ""
    message += f", {sweep.repeated} more would be the same runs and are left out" if sweep.repeated else ""
    say(f"{message}\n")
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(at_once):
        slots.put(slot)

    def go(number: int, run: Run) -> None:
        if signals:
            return
        prefix = f"[{number}/{total} {run.job.words}] " if at_once > 1 else ""
        if not prefix:
            say(f"[{number}/{total}] {run.job.words}\n")
        slot = slots.get()
        run.run([*program, *sweep.common, *run.job.overrides], share(slot, at_once), prefix, signals)
        slots.put(slot)
        if run.stopped:
            return
        with _output:
            ended = [one for one in runs.values() if one.code is not None and not one.stopped]
            failed = sum(bool(one.code) for one in ended)
            left, seconds = len(runs) - len(ended), time.monotonic() - began
            clock = timedelta(seconds=round(seconds / len(ended) * left if left else seconds))  # 0:00:42
            done = finished + len(ended) - failed
            message = f"sweep: {done} of {total} done, {failed} failed, {left} left, "
            message += f"about {clock} to go\n" if left else f"in {clock}\n"
            say(f"[{run.job.words}] failed: {run.how}\n{message}" if run.code else message)

    with caught() as signals, ThreadPoolExecutor(at_once) as pool:
        list(pool.map(go, runs.keys(), runs.values()))
    return conclude(sweep, list(runs.values()), signals)


def conclude(sweep: Sweep, runs: Sequence[Run], signals: Sequence[int]) -> int:
    """Print what came of the sweep; return the status with which to exit."""
    say(saved_by_halving(sweep))
    failed = [run for run in runs if run.code and not run.stopped]
    left = sum(run.code is None or run.stopped for run in runs)
    if failed:
        say(f"\n{len(failed)} of {len(sweep.jobs)} runs failed:\n")
        widths = max(len(run.job.words) for run in failed), max(len(run.how) for run in failed)
        for run in failed:
            last = run.last.get(sys.stderr) or run.last.get(sys.stdout, "")
            say(f"  {run.job.words:{widths[0]}}  {run.how:{widths[1]}}  {last[:500]}\n")
            say(f"  {run.log}\n" if run.log.exists() else "")
    if signals and left:
        name = signal.Signals(signals[0]).name
        say(f"\nStopped by {name} with {left} runs left. The same command goes on from where it was.\n")
        return 128 + signals[0]
    say("The same command runs only what is missing.\n" if failed else "")
    return 1 if failed else 0


@contextmanager
def caught() -> Iterator[list[int]]:
    """The signals that ask to stop, in a list that grows while the block runs."""
    signals: list[int] = []
    before = {one: signal.signal(one, lambda signum, _: signals.append(signum)) for one in SIGNALS}
    try:
        yield signals
    finally:
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


def share(slot: int, at_once: int) -> dict[str, str]:
    """The environment that gives a run its share of the cores, and one of several GPUs in turn."""
    if at_once == 1:
        return {}
    import torch

    from cornet.stimuli.prepare.work import default_processes

    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    gpus = [name.strip() for name in visible.split(",") if name.strip()]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, default_processes() // at_once))
    own = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if len(gpus) > 1 else {}
    return {"OMP_NUM_THREADS": threads, **own}


def saved_by_halving(sweep: Sweep) -> str:
    """How many epochs successive halving has saved, where it has stopped runs."""
    whole = saved = stopped = 0
    for job in sweep.jobs:
        with suppress(CornetError, KeyError, TypeError):
            summary = RunFolder(job.folder).finished or {}
            whole += summary["epochs"]
            saved += summary["epochs"] - summary["stopped_early"]
            stopped += 1
    runs = f"{stopped} run{'s' * (stopped > 1)} early and saved {saved} of {whole} epochs"
    return f"Successive halving stopped {runs}.\n" if stopped else ""


def say(text: str, stream: IO[str] | None = None) -> None:
    with suppress(OSError, ValueError):  # the reader is gone: the runs continue
        print(text, end="", file=stream or sys.stdout, flush=True)
