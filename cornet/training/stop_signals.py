"""Handle signals that ask a training to stop: Ctrl-C, a cluster's preemption, a time limit.

The first signal sets a flag, so that the current step ends with a checkpoint. A second signal stops at once. The
previous handler (submitit's requeues the job) is called after the checkpoint.
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
    """Raised when a signal stopped a training, which can be resumed. signum: the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def code(self) -> int:
        """The exit code: 128 plus the signal's number, as in shells."""
        return 128 + self.signum


class StopSignals:
    """Records the first stop signal in `received`. Create it before Lightning sets its handlers, install it after."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self.installed = False

    def install(self) -> None:
        """Install the handlers. Does nothing outside the main thread, where Python does not allow it."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self.handle)
            self.installed = True

    def restore(self) -> None:
        """Restore the previous handlers."""
        if self.installed and threading.current_thread() is threading.main_thread():
            for signum, handler in self.previous.items():
                signal.signal(signum, signal.SIG_DFL if handler is None else handler)
            self.installed = False

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Record the first signal; pass a second one to the default handler."""
        if self.received is not None:
            signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        self.received = signum
        if is_first_rank():
            name = signal.Signals(signum).name
            notice = f"\n{name}: writing a checkpoint after this step; send it again to stop at once.\n"
            os.write(2, notice.encode())  # not by the log, which the signal may have interrupted

    def stop(self) -> None:
        """Call the previous handler, after a checkpoint. Raises Stopped unless that handler exists and returns."""
        signum = self.received
        assert signum is not None
        handler = self.previous.get(signum)
        if not callable(handler) or handler is signal.default_int_handler:  # a default handler
            raise Stopped(signum)
        handler(signum, None)
        self.received = None
