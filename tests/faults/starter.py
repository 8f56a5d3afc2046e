"""Starts train.py as real processes, each forked from one that has imported everything and computed nothing.

A start so takes tenths of a second instead of many seconds, and kills can be had by the dozen.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).parents[2]


class Run(NamedTuple):
    """A process of train.py: its number, and the file in which it says all."""

    pid: int
    said: Path

    def kill(self, signum: int = signal.SIGKILL) -> None:
        os.kill(self.pid, signum)

    @property
    def alive(self) -> bool:
        return (
            Path(f"/proc/{self.pid}/stat").exists()
            and b") Z" not in Path(f"/proc/{self.pid}/stat").read_bytes()
        )


class Starter:
    """The process that forks; a context manager."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.count = folder, 0
        self.running: Run | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starter"],
            cwd=ROOT,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe(self.process.stdin).close()
        self.process.wait(60)
        self.pipe(self.process.stdout).close()

    def start(self, *overrides: str) -> Run:
        if self.running is not None:  # of a test that failed
            if self.running.alive:
                self.running.kill()
            self.wait()
        self.count += 1
        said = self.folder / f"said{self.count}.txt"
        self.ask([str(self.folder), str(said), *overrides])
        self.running = Run(int(self.answer()), said)
        return self.running

    def wait(self) -> int:
        """Exit status of the process that was started last; minus the signal that ended it."""
        code = int(self.answer())
        self.running = None
        return code

    def ask(self, what: list[str]) -> None:
        pipe = self.pipe(self.process.stdin)
        pipe.write(json.dumps(what) + "\n")
        pipe.flush()

    def answer(self) -> str:
        return self.pipe(self.process.stdout).readline()

    @staticmethod
    def pipe(one: IO[str] | None) -> IO[str]:
        assert one is not None
        return one


def main() -> None:
    import pytorch_lightning  # noqa: F401 -- all that takes time

    import cornet.report.closing
    import cornet.training.run  # noqa: F401
    import train

    for line in sys.stdin:
        folder, said, *overrides = json.loads(line)
        pid = os.fork()
        if not pid:
            os.chdir(folder)
            os.setsid()
            output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.argv = ["train.py", *overrides]
            train.main()
            sys.stdout.flush()
            os._exit(0)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def until(condition, seconds: float = 120.0) -> None:
    """Wait, for so long at most."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


if __name__ == "__main__":
    main()
