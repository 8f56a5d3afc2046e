"""Shared by tests of public data."""

import numpy as np
import pytest

from tests.helpers.brain.kar2019_file import lines, write
from tests.helpers.brain.public_data import CONTENT
from tests.helpers.file_server import serving


@pytest.fixture
def server():
    with serving() as server:
        server.content = dict(CONTENT)
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the data set goes."""
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("CORNET_DATA_URL", raising=False)
    return tmp_path / "cache" / "data" / "some2020"


@pytest.fixture
def dataset(tmp_path):
    return write(tmp_path / "my dataset.h5", lines(np.random.default_rng(0)))
