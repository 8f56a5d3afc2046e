"""Runs the jobs of a sweep on this machine, each in a process of its own, some at the same time.

A failed or killed run does not stop the others. A signal that asks to stop is forwarded to the runs.
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO

from cornet.training.secrets import without_secrets
from cornet.training.stop_signals import SIGNALS
from cornet.training.sweeps.jobs import Job, count_jobs
from cornet.training.sweeps.parent import PARENT

__all__ = ["LocalSweep"]

LONGEST_LINE = 2**24  # bytes


class LocalSweep:
    """The jobs of a sweep and the processes that run them.

    jobs: may name a folder twice, which then has one run. command: trains one run; its overrides are added.
    """

    def __init__(self, jobs: Sequence[Job], command: Sequence[str], at_once: int = 1) -> None:
        self.jobs = list({job.folder: job for job in reversed(jobs)}.values())[::-1]
        self.repeated, self.command = len(jobs) - len(self.jobs), command
        self.at_once = max(1, min(at_once, sum(not job.finished for job in self.jobs)))
        self.runs: list[Run] = []
        for number, job in enumerate(self.jobs, 1):
            if not job.finished:
                title = f"[{number}/{len(self.jobs)} {job.words}] " if self.at_once > 1 else ""
                self.runs.append(Run(job, title))
        self.signals: list[int] = []
        self.start = time.monotonic()

    def run(self) -> int:
        """Run what is not finished, and return the status with which to exit.

        0: all runs are finished. 1: some failed, which a table at the end lists. 128 plus a signal's number: the signal
        stopped the sweep, after its runs had written their checkpoints; a second signal stops them at once.
        """
        message = count_jobs(self.jobs) + (f", {self.at_once} at once" if self.at_once > 1 else "")
        message += f", {self.repeated} more would be the same runs and are left out" if self.repeated else ""
        write(f"{message}\n")
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
        await asyncio.gather(
            *(self.work(waiting, environment(slot, self.at_once)) for slot in range(self.at_once))
        )

    async def work(self, waiting: Iterator["Run"], share: dict[str, str]) -> None:
        """Run one after the other, with a share of the machine."""
        for run in waiting:
            if self.signals:
                return
            if self.at_once == 1:
                write(f"[{self.jobs.index(run.job) + 1}/{len(self.jobs)}] {run.job.words}\n")
            await run.start([*self.command, *run.job.overrides], share)
            for signum in self.signals:  # that came meanwhile
                run.send(signum)
            await run.end()
            run.stopped = bool(run.code and self.signals)
            if not run.stopped:
                self.report_progress(run)

    def forward(self, signum: int) -> None:
        """Send a signal to all processes."""
        self.signals.append(signum)
        for run in self.runs:
            run.send(signum)

    def report_progress(self, run: "Run") -> None:
        ended = [one for one in self.runs if one.code is not None and not one.stopped]
        failed = sum(bool(one.code) for one in ended)
        left, seconds = len(self.runs) - len(ended), time.monotonic() - self.start
        clock = timedelta(seconds=round(seconds / len(ended) * left if left else seconds))  # 0:00:42
        done = len(self.jobs) - len(self.runs) + len(ended) - failed
        write(f"[{run.job.words}] failed: {run.how}\n" if run.code else "")
        write(f"sweep: {done} of {len(self.jobs)} done, {failed} failed, {left} left, ")
        write(f"about {clock} to go\n" if left else f"in {clock}\n")

    def report(self) -> int:
        """Print what came of the sweep; return the status with which to exit."""
        failed = [run for run in self.runs if run.code and not run.stopped]
        left = sum(run.code is None or run.stopped for run in self.runs)
        if failed:
            write(f"\n{len(failed)} of {len(self.jobs)} runs failed:\n")
            widths = max(len(run.job.words) for run in failed), max(len(run.how) for run in failed)
            for run in failed:
                last = run.last.get("stderr") or run.last.get("stdout", "")
                write(f"  {run.job.words:{widths[0]}}  {run.how:{widths[1]}}  {last[:500]}\n")
                write(f"  {run.log}\n" if run.log.exists() else "")
        if self.signals and left:
            name = signal.Signals(self.signals[0]).name
            write(f"\nStopped by {name} with {left} runs left. The same command goes on from where it was.\n")
            return 128 + self.signals[0]
        write("The same command runs only what is missing.\n" if failed else "")
        return 1 if failed else 0


class Run:
    """The process of one job, its log, and how it ended.

    title: before each line that is printed. code: exit status, once it has ended; negative for a signal. stopped: it
    ended because the sweep was asked to stop. last: line of each stream.
    """

    def __init__(self, job: Job, title: str) -> None:
        self.job, self.title, self.log = job, title, job.folder / "sweep.log"
        self.code: int | None = None
        self.stopped = False
        self.last: dict[str, str] = {}
        self.began = 0
        self.unwritten: list[str] = []
        self.process: Process | None = None

    async def start(self, command: Sequence[str], share: dict[str, str]) -> None:
        """Start the process, in a session of its own: it gets signals of the terminal only through the sweep.

        Without a title its standard output is this process's own on a terminal, for progress bars.
        """
        self.began = time.time_ns()
        shown = " ".join(without_secrets([word for word in command if "=" in word]))
        self.unwritten = [f"--- {datetime.now():%Y-%m-%d %H:%M:%S}  {shown}\n"]
        self.process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid()), **share},
            stdin=DEVNULL,
            stdout=None if not self.title and sys.stdout.isatty() else PIPE,
            stderr=PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )

    def send(self, signum: int) -> None:
        if self.process is not None and self.code is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signum)

    async def end(self) -> None:
        """Copy what the process prints until its end."""
        assert self.process is not None
        pipes = {"stdout": self.process.stdout, "stderr": self.process.stderr}
        copies = [asyncio.create_task(self.copy(pipe, name)) for name, pipe in pipes.items() if pipe]
        while self.process.returncode is None:  # Process.wait would wait for all who hold the pipes
            await asyncio.sleep(0.05)
        self.code = self.process.returncode
        if self.code:
            with suppress(ProcessLookupError, PermissionError):  # loading processes of a killed run
                os.killpg(self.process.pid, signal.SIGKILL)
        if copies:
            await asyncio.wait(copies, timeout=10)  # a process that has left the session may hold the pipe
        self.began = 0
        self.record()

    async def copy(self, pipe: asyncio.StreamReader, name: str) -> None:
        """Print and record each line."""
        async for raw in pipe:
            line = raw.decode(errors="replace")
            write(f"{self.title}{line}", getattr(sys, name))
            self.record(line)
            self.last[name] = line.strip() or self.last.get(name, "")

    def record(self, *lines: str) -> None:
        """Append lines to sweep.log. They wait until the run has made its folder, or has moved an older one aside."""
        self.unwritten += lines
        with suppress(OSError):
            if (self.job.folder / "config.yaml").stat().st_mtime_ns >= self.began:
                with open(self.log, "a", encoding="utf-8") as file:
                    file.writelines(self.unwritten)
                self.unwritten.clear()

    @property
    def how(self) -> str:
        """How it ended: "killed by SIGKILL", "stopped by SIGTERM", "exit code 2"."""
        code, names = self.code or 0, {int(one): one.name for one in signal.Signals}
        if code < 0:
            return f"killed by {names.get(-code, f'signal {-code}')}"
        return f"stopped by {names[code - 128]}" if code - 128 in SIGNALS else f"exit code {code}"


def environment(slot: int, at_once: int) -> dict[str, str]:
    """The variables that give a run its share of the cores, and one of several GPUs in turn."""
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
    with suppress(OSError, ValueError):  # the reader is gone: the runs continue
        print(text, end="", file=stream or sys.stdout, flush=True)
