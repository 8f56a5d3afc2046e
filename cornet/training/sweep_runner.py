"""Goes through the runs of a local sweep, each a process of its own, one after the other or some at a time.

A run that fails or is killed is told of, and the others go on. The same command, given again, starts only those that
are not finished, and these go on from their checkpoints. A signal that asks to stop is handed on to the runs.
"""

import datetime
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from cornet.errors import CornetError
from cornet.training.run_folder import RunFolder
from cornet.training.stop_signals import SIGNALS
from cornet.training.sweep import Sweep
from cornet.training.sweep_child import Child
from cornet.training.sweep_jobs import Job

__all__ = ["run_sweep"]

_POLL = 0.05  # seconds
_WIDEST = 500  # characters of a last line that are shown: a sentence, with paths


def run_sweep(sweep: Sweep, program: Sequence[str]) -> int:
    """Run what is not finished, and return the status with which to exit.

    program: the command that trains one run, to which its overrides are added. 0: all runs are finished. 1: some
    failed, which a table at the end shows. 128 and a signal's number: the sweep was stopped by it, when its runs had
    written their checkpoints; a second signal is handed on, too, and is obeyed by them at once.
    """
    runner = Runner(sweep, program)
    with heard(runner.signals):
        runner.go_through()
    return runner.conclude()


class Runner:
    """A sweep on its way."""

    def __init__(self, sweep: Sweep, program: Sequence[str]) -> None:
        self.sweep, self.program = sweep, [*program, *sweep.common]
        self.waiting = deque((n, job) for n, job in enumerate(sweep.jobs, 1) if not job.finished)
        self.before = len(sweep.jobs) - len(self.waiting)
        self.at_once = max(1, min(sweep.at_once, len(self.waiting)))
        self.running: list[Child] = []
        self.done: list[Child] = []
        self.failed: list[Child] = []
        self.stopped: list[Child] = []
        self.signals: list[int] = []
        self.live = self.at_once == 1 and sys.stdout.isatty()
        self.began = time.monotonic()

    def go_through(self) -> None:
        self.tell_start()
        while self.running or (self.waiting and not self.signals):
            while self.waiting and len(self.running) < self.at_once and not self.signals:
                self.start(*self.waiting.popleft())
            for child in self.running:
                while child.sent < len(self.signals):
                    child.send(self.signals[child.sent])
            for child in [one for one in self.running if one.ended()]:
                self.running.remove(child)
                self.judge(child)
            time.sleep(_POLL)

    def start(self, number: int, job: Job) -> None:
        taken = {child.slot for child in self.running}
        slot = min(set(range(self.at_once)) - taken)
        if self.at_once > 1:
            prefix = f"[{number}/{len(self.sweep.jobs)} {job.words}] "
        else:
            prefix = ""
            say(f"[{number}/{len(self.sweep.jobs)}] {job.words}")
        self.running.append(
            Child(job, [*self.program, *job.overrides], self.share(slot), prefix, self.live, slot)
        )

    def share(self, slot: int) -> dict[str, str]:
        """The environment that gives a run its part of the cores, and one of several GPUs in turn.

        The latter was tried only as far as the variable goes: no machine with several was at hand.
        """
        if self.at_once == 1:
            return {}
        own = {}
        if not os.environ.get("OMP_NUM_THREADS"):
            own["OMP_NUM_THREADS"] = str(max(1, cores() // self.at_once))
        if len(devices := gpus()) > 1:
            own["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
        return own

    def judge(self, child: Child) -> None:
        if child.code == 0:
            self.done.append(child)
        elif self.signals:
            self.stopped.append(child)
            return
        else:
            self.failed.append(child)
            say(f"[{child.job.words}] failed: {child.how}")
        left = len(self.waiting) + len(self.running)
        seconds = (time.monotonic() - self.began) / (len(self.done) + len(self.failed)) * left
        rest = f", about {clock(seconds)} to go" if left else f", in {clock(time.monotonic() - self.began)}"
        say(
            f"sweep: {self.before + len(self.done)} of {len(self.sweep.jobs)} done, {len(self.failed)} failed, "
            f"{left} left{rest}"
        )

    def tell_start(self) -> None:
        jobs, repeated = len(self.sweep.jobs), self.sweep.repeated
        parts = [f"sweep: {jobs} run{'s' if jobs > 1 else ''}"]
        parts += [f"{self.before} finished before"] if self.before else []
        parts += [f"{self.at_once} at once"] if self.at_once > 1 else []
        parts += [f"{repeated} more would be the same runs and are left out"] if repeated else []
        say(", ".join(parts))

    def conclude(self) -> int:
        """Say what came of it; the status to exit with."""
        if told := saved(self.sweep.jobs):
            say(told)
        if self.failed:
            say(f"\n{len(self.failed)} of {len(self.sweep.jobs)} runs failed:")
            for line in table_of(self.failed):
                say(line)
        left = len(self.waiting) + len(self.stopped)
        if self.signals and left:
            name = signal.Signals(self.signals[0]).name
            say(f"\nStopped by {name} with {left} runs left. The same command goes on from where it was.")
            return 128 + self.signals[0]
        if self.failed:
            say("The same command runs only what is missing.")
        return 1 if self.failed else 0


@contextmanager
def heard(signals: list[int]) -> Iterator[None]:
    """Let every signal that asks to stop be noted while the block runs."""

    def hear(signum: int, frame: FrameType | None) -> None:
        signals.append(signum)

    before = {signum: signal.signal(signum, hear) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


def table_of(failed: Sequence[Child]) -> list[str]:
    """A line for each: the run, how it ended, its last words; and where more can be read."""
    words = max(len(child.job.words) for child in failed)
    ends = max(len(child.how) for child in failed)
    lines = []
    for child in failed:
        said = child.said if len(child.said) <= _WIDEST else f"{child.said[: _WIDEST - 3]}..."
        lines.append(f"  {child.job.words:{words}}  {child.how:{ends}}  {said}".rstrip())
        if child.log.path.exists():
            lines.append(f"  {'':{words}}  {'':{ends}}  {child.log.path}")
    return lines


def saved(jobs: Sequence[Job]) -> str:
    """How many epochs successive halving has spared, where it has stopped runs."""
    trained = whole = stopped = 0
    for job in jobs:
        try:
            summary = RunFolder(job.folder).finished or {}
        except CornetError:
            continue
        epochs, after = summary.get("epochs"), summary.get("stopped_early")
        if isinstance(epochs, int):
            whole += epochs
            trained += after if isinstance(after, int) else epochs
            stopped += isinstance(after, int)
    if not stopped:
        return ""
    runs = f"{stopped} run{'s' if stopped > 1 else ''}"
    return f"Successive halving stopped {runs} early and saved {whole - trained} of {whole} epochs."


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """As CUDA_VISIBLE_DEVICES names them."""
    if given := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return [name.strip() for name in given.split(",") if name.strip()]
    import torch

    return [str(k) for k in range(torch.cuda.device_count())]


def clock(seconds: float) -> str:
    """0:00:42"""
    return str(datetime.timedelta(seconds=round(seconds)))


def say(line: str) -> None:
    with suppress(OSError):  # nobody reads any longer: the runs go on
        print(line, flush=True)
