"""A run that a sweep has started ends when its sweep is killed."""

import ctypes
import os
import signal
import sys
from contextlib import suppress

__all__ = ["PARENT", "follow_parent", "in_sweep"]

PARENT = "CORNET_SWEEP_PARENT"
"""The variable that gives a run the process number of its sweep."""

_in_sweep = False


def follow_parent() -> None:
    """In a run that a sweep has started: stop, with a checkpoint, when that sweep is killed (on Linux)."""
    global _in_sweep
    parent = os.environ.pop(PARENT, "")  # not for processes that this one starts
    _in_sweep = parent.isdecimal()
    if _in_sweep and sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != int(parent):  # it ended before that
            os.kill(os.getpid(), signal.SIGTERM)


def in_sweep() -> bool:
    """Whether this process is a run that a sweep has started."""
    return _in_sweep
