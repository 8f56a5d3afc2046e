"""The `cornet` command in this process."""

import logging
import sys
from collections.abc import Callable

import pytest
from hydra.core.global_hydra import GlobalHydra

from cornet.cli import main, program

__all__ = ["command"]


def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that calls `cornet` with words: (exit status, standard output, standard error)."""
    handlers, level = logging.root.handlers[:], logging.root.level

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(program, "_subcommand", ())
        monkeypatch.setattr(sys, "argv", ["/usr/bin/cornet", *words])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            GlobalHydra.instance().clear()
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)
        program._subcommand = ()
        return code, *capfd.readouterr()

    return call
