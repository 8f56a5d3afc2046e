"""What a process and those below it hold, over time, from /proc: memory, open files, processes."""

import json
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import theilslopes

__all__ = ["Growth", "Sample", "Watcher", "below", "growth"]

PAGE = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """At a moment (s on the monotonic clock): resident memory of all processes in MB, their open files, how many.

    step: the last one that metrics.jsonl tells, -1 for none.
    """

    session: int
    time: float
    memory: float
    files: int
    processes: int
    step: int


class Growth(NamedTuple):
    """Per hour, by a robust line (Theil and Sen's) through medians, with its 95 % interval; NaN for too few."""

    per_hour: float
    low: float
    high: float
    median: float
    seconds: float


class Watcher(threading.Thread):
    """Takes a sample of the session that runs, every so many seconds, until it is told to stop.

    Set `pid`, `session` and `metrics` (the run's metrics.jsonl, or None) when a session begins; pid 0: none runs.
    `seen` holds every process that was below one, with its time of start, by which it is known again.
    """

    def __init__(self, every: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.every, self.pid, self.session = every, 0, 0
        self.metrics: Path | None = None
        self.samples: list[Sample] = []
        self.seen: dict[int, str] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(self.every):
            if pid := self.pid:
                self.look(pid)

    def look(self, pid: int) -> None:
        memory = files = count = 0
        for one in (pid, *below(pid)):
            try:
                memory += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
                files += len(os.listdir(f"/proc/{one}/fd"))
                self.seen.setdefault(one, started(one))
                count += 1
            except (OSError, IndexError):  # gone meanwhile
                if one == pid:
                    return
        step = last_step(self.metrics) if self.metrics else -1
        if memory:  # a process that has ended has none
            self.samples.append(Sample(self.session, time.monotonic(), memory / 1e6, files, count, step))

    def left_over(self, patience: float = 15.0) -> list[int]:
        """Processes of sessions that live yet, though their session has ended; they have some seconds to notice."""
        end = time.monotonic() + patience
        while True:
            left = [pid for pid, when in self.seen.items() if when and started(pid) == when]
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.2)


def below(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in path.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *below(child)]
    return found


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty for none, and for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def last_step(metrics: Path) -> int:
    """Of the last whole row; -1 where there is none."""
    try:
        with open(metrics, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            rows = file.read().split(b"\n")[1:-1]
        return int(json.loads(rows[-1])["step"])
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return -1


def growth(times: np.ndarray, values: np.ndarray, skip: float = 0.2, bins: int = 40) -> Growth:
    """Of values over seconds, without the first part of the time, in which all that is needed is fetched."""
    if len(times) < 10:
        return Growth(*(float("nan"),) * 5)
    keep = times >= times[0] + skip * (times[-1] - times[0])
    times, values = times[keep], values[keep]
    parts = np.array_split(np.arange(len(times)), min(bins, len(times)))
    x = np.array([np.median(times[part]) for part in parts]) / 3600
    y = np.array([np.median(values[part]) for part in parts])
    slope, _, low, high = theilslopes(y, x)
    return Growth(
        float(slope), float(low), float(high), float(np.median(values)), float(times[-1] - times[0])
    )
