"""Shared by tests of brains."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def caches(tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Uses a cache of this name from now on; at first "kept"."""

    def use(name: str) -> Path:
        monkeypatch.setenv("CORNET_CACHE", str(tmp_path / name))
        return tmp_path / name

    use("kept")
    return use
