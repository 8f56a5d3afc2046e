"""The wheel of this checkout."""

from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built in this process: needs no network."""
    builders = pytest.importorskip(
        "hatchling.builders.wheel", reason="hatchling is in the group dev; run uv sync"
    )
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = builders.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(path)
