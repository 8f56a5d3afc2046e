"""The sweep that a command line of train.py asks for, without its processes."""

import sys

import pytest

from cornet.training.config_errors import config_error
from cornet.training.sweeps.local import LocalSweep
from train import CONF, train

__all__ = ["swept"]


def swept(*argv: str) -> LocalSweep:
    """The sweep, up to the start of its processes. Raises CornetError for a mistake."""
    found: list[LocalSweep] = []

    def record(sweep: LocalSweep) -> int:
        found.append(sweep)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *argv])
        patch.setattr(LocalSweep, "run", record)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        try:
            train()
        except Exception as error:
            raise config_error(error, CONF, argv) or error from None
    (sweep,) = found
    return sweep
