"""Signals that ask a training to stop: Ctrl-C, a cluster's preemption, a time limit.

The first raises a flag, so that the step ends with a checkpoint; a second one is obeyed at once. An earlier handler
(submitit's requeues the job) is called after the checkpoint.
"""

import os
import signal
import threading
from types import FrameType
from typing import Any

from cornet.training.ranks.processes import is_first_rank

__all__ = ["StopSignals", "Stopped"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stopped(Exception):
    """A training that was asked to stop has stopped, and can go on. signum: by which signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def code(self) -> int:
        """What the process ends with: 128 and the signal's number, as shells have it."""
        return 128 + self.signum


class StopSignals:
    """Which stop signal has come, if any (`asked`). Made before Lightning has handlers, installed after."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self.before: dict[int, Any] = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self.installed = False

    def install(self) -> None:
        """Take the signals over. Does nothing outside the main thread, where Python allows none."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self.hear)
            self.installed = True

    def restore(self) -> None:
        """Give them back."""
        if self.installed and threading.current_thread() is threading.main_thread():
            for signum, handler in self.before.items():
                signal.signal(signum, signal.SIG_DFL if handler is None else handler)
            self.installed = False

    def hear(self, signum: int, frame: FrameType | None) -> None:
        """The handler."""
        if self.asked is not None:
            signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        self.asked = signum
        if is_first_rank():
            name = signal.Signals(signum).name
            said = f"\n{name}: a checkpoint is written after this step; a second one stops at once.\n"
            os.write(2, said.encode())  # the log may be in the middle of a line

    def obey(self) -> None:
        """Now that a checkpoint is written: raise Stopped, unless another's handler returns, who wants to go on."""
        signum = self.asked
        assert signum is not None
        handler = self.before.get(signum)
        if not callable(handler) or handler is signal.default_int_handler:  # Python's or the system's own
            raise Stopped(signum)
        handler(signum, None)
        self.asked = None
