"""Run the jobs of a sweep on this machine, each in its own process, one or several at a time.

A failed or killed run does not stop the others. Signals that stop the sweep are forwarded to its runs.
"""

import asyncio
import ctypes
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from cornet.errors import CornetError
from cornet.runs.folder import RunFolder
from cornet.training.secrets import without_secrets
from cornet.training.stop_signals import SIGNALS
from cornet.training.sweeps.jobs import Job, count_jobs, unique

__all__ = ["LocalSweep", "follow_parent", "in_sweep", "saved_epochs"]

PARENT = "CORNET_SWEEP_PARENT"  # environment variable with the process id of the sweep
LONGEST_LINE = 2**24  # bytes
_in_sweep = False


class LocalSweep:
    """The unfinished runs. jobs: of several with the same folder, the first is run. command: trains one run, given its
    overrides. at_once: runs at the same time."""

    def __init__(self, jobs: Sequence[Job], command: Sequence[str], at_once: int = 1) -> None:
        self.jobs = unique(jobs)
        self.repeated, self.command = len(jobs) - len(self.jobs), command
        numbered = [(f"{k}/{len(self.jobs)}", job) for k, job in enumerate(self.jobs, 1)]
        self.runs = [Run(job, number) for number, job in numbered if not job.finished]
        self.at_once = max(1, min(at_once, len(self.runs)))
        self.signals: list[int] = []
        self.start = time.monotonic()

    def run(self) -> int:
        """Run the unfinished runs and return the exit status.

        0: all runs are finished. 1: some failed; a table at the end lists them. 128 plus a signal's number: the signal
        stopped the sweep after its runs had written their checkpoints; a second signal stops them at once.
        """
        many = f", {self.at_once} at once" if self.at_once > 1 else ""
        more = f", {self.repeated} repeated ones are left out" if self.repeated else ""
        write(f"{count_jobs(self.jobs)}{many}{more}\n")
        handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
        try:
            asyncio.run(self.run_all())
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        return self.report()

    async def run_all(self) -> None:
        for signum in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(signum, self.forward, signum)
        waiting = iter(self.runs)
        shares = [environment(slot, self.at_once) for slot in range(self.at_once)]
        await asyncio.gather(*(self.work(waiting, share) for share in shares))

    async def work(self, waiting: Iterator["Run"], share: dict[str, str]) -> None:
        """Execute one run after the other in the environment `share`."""
        for run in waiting:
            if self.signals:
                return
            title = f"[{run.number} {run.job.label}] " if self.at_once > 1 else ""
            write("" if title else f"[{run.number}] {run.job.label}\n")
            await run.execute([*self.command, *run.job.overrides], share, title, self.signals)
            if not run.stopped:
                self.report_progress(run)

    def forward(self, signum: int) -> None:
        self.signals.append(signum)
        for run in self.runs:
            run.send(signum)

    def report_progress(self, run: "Run") -> None:
        ended = [one for one in self.runs if one.code is not None and not one.stopped]
        failed = sum(bool(one.code) for one in ended)
        left, seconds = len(self.runs) - len(ended), time.monotonic() - self.start
        clock = timedelta(seconds=round(seconds / len(ended) * left if left else seconds))  # 0:00:42
        done = len(self.jobs) - len(self.runs) + len(ended) - failed
        write(f"[{run.job.label}] failed: {run.how}\n" if run.code else "")
        write(f"sweep: {done} of {len(self.jobs)} done, {failed} failed, {left} left, ")
        write(f"about {clock} to go\n" if left else f"in {clock}\n")

    def report(self) -> int:
        """Print the failed and remaining runs; return the exit status."""
        failed = [run for run in self.runs if run.code and not run.stopped]
        left = sum(run.code is None or run.stopped for run in self.runs)
        write(f"\n{len(failed)} of {len(self.jobs)} runs failed:\n" if failed else "")
        widths = [
            max(map(len, column))
            for column in zip(*((run.job.label, run.how) for run in failed), strict=True)
        ]
        for run in failed:
            last = run.last.get("stderr") or run.last.get("stdout", "")
            write(f"  {run.job.label:{widths[0]}}  {run.how:{widths[1]}}  {last[:500]}\n")
            write(f"  {run.log}\n" if run.log.exists() else "")
        if self.signals and left:
            name = signal.Signals(self.signals[0]).name
            write(f"\nStopped by {name} with {left} runs left. Repeat the command to resume.\n")
            return 128 + self.signals[0]
        write("Repeat the command to run only what is missing.\n" if failed else "")
        return 1 if failed else 0


class Run:
    """A run. code: exit status when it has ended, negative for a signal. stopped: ended by a signal to the sweep."""

    def __init__(self, job: Job, number: str) -> None:
        self.job, self.number, self.log = job, number, job.folder / "sweep.log"
        self.code: int | None = None
        self.process: Process | None = None
        self.stopped, self.began = False, 0
        self.last: dict[str, str] = {}  # last line of each stream
        self.unwritten: list[str] = []

    async def execute(
        self, command: Sequence[str], share: dict[str, str], title: str, signals: list[int]
    ) -> None:
        """Start the process, copy its output, and wait for its end.

        The process has its own session, so signals of the terminal reach it only through the sweep. title: prefix of
        its lines; without one, it writes to the terminal itself, so that it can show a progress bar.
        """
        self.began = time.time_ns()
        shown = " ".join(without_secrets([word for word in command if "=" in word]))
        self.unwritten = [f"--- {datetime.now():%Y-%m-%d %H:%M:%S}  {shown}\n"]
        self.process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid()), **share},
            stdin=DEVNULL,
            stdout=None if not title and sys.stdout.isatty() else PIPE,
            stderr=PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        for signum in signals:  # received while the process was starting
            self.send(signum)
        pipes = {"stdout": self.process.stdout, "stderr": self.process.stderr}
        copies = [asyncio.create_task(self.copy(pipe, name, title)) for name, pipe in pipes.items() if pipe]
        while self.process.returncode is None:  # Process.wait waits for every process that holds the pipes
            await asyncio.sleep(0.05)
        if self.process.returncode:
            with suppress(ProcessLookupError, PermissionError):  # the loading processes of a killed run
                os.killpg(self.process.pid, signal.SIGKILL)
        await asyncio.wait(copies, timeout=10)  # a process outside the session may hold the pipe
        self.began = 0
        self.record()
        self.code = self.process.returncode
        self.stopped = bool(self.code and signals)

    def send(self, signum: int) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signum)

    async def copy(self, pipe: asyncio.StreamReader, name: str, title: str) -> None:
        """Print and record each line."""
        async for raw in pipe:
            line = raw.decode(errors="replace")
            write(f"{title}{line}", getattr(sys, name))
            self.record(line)
            self.last[name] = line.strip() or self.last.get(name, "")

    def record(self, *lines: str) -> None:
        """Append lines to sweep.log, once the run has created its folder (or renamed an older one)."""
        self.unwritten += lines
        with suppress(OSError):
            if (self.job.folder / "config.yaml").stat().st_mtime_ns >= self.began:
                with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as file:
                    file.writelines(self.unwritten)
                self.unwritten.clear()

    @property
    def how(self) -> str:
        """Return how the run ended: "killed by SIGKILL", "stopped by SIGTERM", "exit code 2"."""
        code, names = self.code or 0, {int(one): one.name for one in signal.Signals}
        if code < 0:
            return f"killed by {names.get(-code, f'signal {-code}')}"
        return f"stopped by {names[code - 128]}" if code - 128 in SIGNALS else f"exit code {code}"


def environment(slot: int, at_once: int) -> dict[str, str]:
    """Return environment variables that give a run its share of the cores, and one of several GPUs in turn."""
    if at_once == 1:
        return {}
    import torch

    from cornet.stimuli.prepare.work import default_processes

    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    gpus = [name.strip() for name in visible.split(",") if name.strip()]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, default_processes() // at_once))
    own = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if len(gpus) > 1 else {}
    return {"OMP_NUM_THREADS": threads, **own}


def write(text: str, stream: IO[str] | None = None) -> None:
    with suppress(OSError, ValueError):  # if the reader has gone, the runs continue
        print(text, end="", file=stream or sys.stdout, flush=True)


def follow_parent() -> None:
    """In a run of a sweep: stop with a checkpoint if the sweep is killed (Linux only)."""
    global _in_sweep
    parent = os.environ.pop(PARENT, "")  # child processes must not see it
    _in_sweep = parent.isdecimal()
    if _in_sweep and sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != int(parent):  # the sweep has already ended
            os.kill(os.getpid(), signal.SIGTERM)


def in_sweep() -> bool:
    """Return whether this process is a run of a sweep."""
    return _in_sweep


def saved_epochs(folders: Iterable[Path]) -> str:
    """Return a sentence on the epochs that successive halving saved in these runs, or ""."""
    total = saved = stopped = 0
    for folder in folders:
        with suppress(CornetError, KeyError, TypeError):
            summary = RunFolder(folder).finished or {}
            total += summary["epochs"]
            saved += summary["epochs"] - summary["stopped_early"]
            stopped += 1
    runs = f"{stopped} run{'s' * (stopped > 1)} early and saved {saved} of {total} epochs"
    return f"Successive halving stopped {runs}." if stopped else ""
