"""Run tasks in several single-threaded processes, and report progress."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch

from cornet.errors import CornetError
from cornet.opening import locked_file
from cornet.terminal import duration

__all__ = ["Pool", "default_processes", "locked", "pool", "run_parallel", "with_progress"]

Task = TypeVar("Task")
Result = TypeVar("Result")

Pool = ProcessPoolExecutor | None

AHEAD = 512
"""Maximum number of submitted tasks: enough for as many processes, few enough for memory."""

LINE_EVERY = 30.0
"""Seconds between progress lines if the output is not a terminal."""


def default_processes() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def pool(processes: int) -> Iterator[Pool]:
    """Worker processes for `run_parallel`; None for a single process."""
    if processes <= 1:
        yield None
        return
    workers = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_one_thread)
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


def run_parallel(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: Pool
) -> Iterator[Result]:
    """Yield results in any order; without workers, run here. Raises CornetError if a worker is killed."""
    if workers is None:
        yield from map(function, tasks)
        return
    waiting = iter(tasks)
    running: set[Future[Result]] = set()
    while True:
        while len(running) < AHEAD and (task := next(waiting, None)) is not None:
            running.add(workers.submit(function, task))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        try:
            yield from [future.result() for future in done]
        except BrokenExecutor as error:
            raise CornetError(
                "a worker process was killed, probably because memory ran out; run the same command with fewer "
                "--workers to resume."
            ) from error


def _one_thread() -> None:
    torch.set_num_threads(1)


def with_progress(
    results: Iterator[Result], total: int, count: Callable[[Result], int], what: str
) -> Iterator[Result]:
    """Yield the results and print progress on stderr. count: items per result. what: such as "images written"."""
    began, done, last_printed = time.monotonic(), 0, time.monotonic()
    live = sys.stderr.isatty()
    for result in results:
        done += count(result)
        now = time.monotonic()
        if now - last_printed >= (0.2 if live else LINE_EVERY) or done >= total:
            left = (now - began) / done * (total - done) if done else 0.0
            line = f"{done:,} of {total:,} {what}, {duration(now - began)}, {duration(left)} left"
            print(f"\r\x1b[K{line}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)
            last_printed = now
        yield result
    if live:
        print(file=sys.stderr)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other `cornet prepare` processes; the lock ends with this process."""
    path = folder / ".cornet-prepare.lock"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked_file(path, wait=False))
        except BlockingIOError:
            raise CornetError(
                f"another `cornet prepare` is writing to {folder}; wait for it, or choose another folder."
            ) from None
        except OSError as error:
            raise CornetError(
                f"{path} cannot be used ({error.strerror}); remove it, or choose another folder."
            ) from None
        yield
