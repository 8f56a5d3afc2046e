"""Starts train.py as real processes, each forked from one that has imported everything and computed nothing.

A start so takes tenths of a second instead of many seconds, and kills can be had by the dozen.
"""

import atexit
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from tests.helpers.faults.kill_moments import VARIABLE, die_at
from tests.helpers.paths import ROOT


class Run(NamedTuple):
    """A process of train.py: its number, and the file in which it says all."""

    pid: int
    said: Path

    def kill(self, signum: int = signal.SIGKILL) -> None:
        os.kill(self.pid, signum)

    @property
    def alive(self) -> bool:
        try:
            return b") Z" not in Path(f"/proc/{self.pid}/stat").read_bytes()
        except OSError:
            return False


class Starter:
    """The process that forks; a context manager."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.count = folder, 0
        self.ranks: list[Run] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.faults.starter"],
            cwd=ROOT,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.pipe(self.process.stdin).close()
        self.process.wait(60)
        self.pipe(self.process.stdout).close()

    @property
    def running(self) -> Run | None:
        """What was started last and not waited for."""
        return self.ranks[0] if self.ranks else None

    def start(self, *overrides: str, environment: Mapping[str, str] | None = None) -> Run:
        """One process. environment: what is added to that of the starter."""
        return self.fork(overrides, [dict(environment or {})])[0]

    def start_ranks(
        self, *overrides: str, ranks: int = 2, of_rank: Mapping[int, Mapping[str, str]] | None = None
    ) -> list[Run]:
        """The ranks of one training, as of torchrun: when one fails, the others are ended, as it does.

        of_rank: what is added to the environment of one.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        shared = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "MASTER_PORT": port}
        shared |= {"MASTER_ADDR": "127.0.0.1", "GROUP_RANK": "0"}
        own = [{**shared, "RANK": str(r), "LOCAL_RANK": str(r)} for r in range(ranks)]
        for rank, more in (of_rank or {}).items():
            own[rank].update(more)
        return self.fork(overrides, own)

    def fork(self, overrides: Sequence[str], environments: list[dict[str, str]]) -> list[Run]:
        self.end()  # of a test that failed
        self.count += 1
        said = [self.folder / f"said{self.count}{f'-{r}' if r else ''}.txt" for r in range(len(environments))]
        pipe = self.pipe(self.process.stdin)
        pipe.write(json.dumps([str(self.folder), list(map(str, said)), environments, overrides]) + "\n")
        pipe.flush()
        self.ranks = [Run(pid, path) for pid, path in zip(self.answer(), said, strict=True)]
        return self.ranks

    def wait(self) -> int:
        """Exit status of the process that was started last; minus the signal that ended it."""
        return self.wait_ranks()[0]

    def wait_ranks(self) -> list[int]:
        """As `wait`, of each rank."""
        codes = self.answer()
        self.ranks = []
        return codes

    def end(self) -> None:
        """Kill what still runs."""
        if self.ranks:
            for run in self.ranks:
                if run.alive:
                    run.kill()
            self.wait_ranks()

    def answer(self) -> list[int]:
        return json.loads(self.pipe(self.process.stdout).readline())

    @staticmethod
    def pipe(one: IO[str] | None) -> IO[str]:
        assert one is not None
        return one


def main() -> None:
    import pytorch_lightning  # noqa: F401 -- all that takes time

    import cornet.report.run.closing
    import cornet.training.run  # noqa: F401
    import train  # noqa: F401

    for line in sys.stdin:
        folder, said, environments, overrides = json.loads(line)
        pids = []
        for path, environment in zip(said, environments, strict=True):
            pid = os.fork()
            if not pid:
                become(folder, path, environment, overrides)
            pids.append(pid)
        print(json.dumps(pids), flush=True)
        print(json.dumps(codes_of(pids)), flush=True)


def become(folder: str, said: str, environment: dict[str, str], overrides: list[str]) -> NoReturn:
    """A process of train.py, as a shell would have started it."""
    import train

    os.chdir(folder)
    os.setsid()
    os.environ.update(environment)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["train.py", *overrides]
    if VARIABLE in os.environ:
        die_at(os.environ[VARIABLE])
    code = 0
    try:
        train.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking down all that was imported would take seconds


def codes_of(pids: list[int], patience: float = 15.0) -> list[int]:
    """Exit status of each. When one fails the others are asked to end, and after some seconds are ended."""
    codes: dict[int, int] = {}
    asked = math.inf
    while len(codes) < len(pids):
        for pid in set(pids) - set(codes):
            ended, status = os.waitpid(pid, os.WNOHANG if len(pids) > 1 else 0)
            if ended:
                codes[pid] = os.waitstatus_to_exitcode(status)
        if len(codes) < len(pids):
            left = set(pids) - set(codes)
            if any(codes.values()) and asked == math.inf:
                asked = time.monotonic()
                end_all(left, signal.SIGTERM)
            elif time.monotonic() - asked > patience:
                end_all(left, signal.SIGKILL)
            time.sleep(0.01)
    return [codes[pid] for pid in pids]


def end_all(pids: set[int], signum: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def until(condition, seconds: float = 120.0) -> None:
    """Wait, for so long at most."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


if __name__ == "__main__":
    main()
