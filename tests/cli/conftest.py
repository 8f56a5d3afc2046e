"""The `cornet` command in this process."""

import pytest

from tests.helpers.command import command


@pytest.fixture
def cornet(monkeypatch, capfd):
    """Calls `cornet` in this process: (exit status, standard output, standard error)."""
    return command(monkeypatch, capfd)
