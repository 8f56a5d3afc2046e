"""Many tasks in several processes, one thread each, with the time that is left."""

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

__all__ = ["Pool", "default_processes", "locked", "pool", "shown", "spread"]

Task = TypeVar("Task")
Result = TypeVar("Result")

Pool = ProcessPoolExecutor | None

AHEAD = 512
"""Tasks handed out at a time: enough for as many processes, few enough to hold."""

LINE_EVERY = 30.0
"""Seconds between two lines where the output is no terminal."""


def default_processes() -> int:
    """One per core that this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def pool(processes: int) -> Iterator[Pool]:
    """Processes for `spread`; none where one is enough."""
    if processes <= 1:
        yield None
        return
    made = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_one_thread)
    try:
        yield made
    finally:
        made.shutdown(cancel_futures=True)


def spread(function: Callable[[Task], Result], tasks: Iterable[Task], made: Pool) -> Iterator[Result]:
    """Results in any order; without processes, made here. Raises CornetError where a process is killed."""
    if made is None:
        yield from map(function, tasks)
        return
    waiting = iter(tasks)
    running: set[Future[Result]] = set()
    while True:
        while len(running) < AHEAD and (task := next(waiting, None)) is not None:
            running.add(made.submit(function, task))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        try:
            yield from [future.result() for future in done]
        except BrokenExecutor as error:
            raise CornetError(
                "a process was killed, probably because memory ran out; give fewer --workers, and the same command "
                "goes on."
            ) from error


def _one_thread() -> None:
    torch.set_num_threads(1)


def shown(
    results: Iterator[Result], total: int, count: Callable[[Result], int], what: str
) -> Iterator[Result]:
    """The same results, with progress on standard error. count: of `total`, for a result. what: "images", "shards"."""
    began, done, told = time.monotonic(), 0, time.monotonic()
    live = sys.stderr.isatty()
    for result in results:
        done += count(result)
        now = time.monotonic()
        if now - told >= (0.2 if live else LINE_EVERY) or done >= total:
            left = (now - began) / done * (total - done) if done else 0.0
            line = f"{done:,} of {total:,} {what}, {duration(now - began)}, {duration(left)} left"
            print(f"\r\x1b[K{line}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)
            told = now
        yield result
    if live:
        print(file=sys.stderr)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a folder; the lock goes with this process, however it ends."""
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
