"""The default simulated brain, generated once for all tests and their worker processes."""

import os
from collections.abc import Iterator
from functools import cache

import pytest

from cornet.brain.simulated import SimulatedBrain
from cornet.opening import locked_file


@cache
def _generated() -> SimulatedBrain:
    brain = SimulatedBrain()
    brain.bundle()
    return brain


def fresh_brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedBrain]:
    """The brain, in a cache folder that the tests of this run share."""
    folder = tmp_path_factory.getbasetemp()
    cache = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "simulated"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(cache))
        with locked_file(cache / "lock"):
            brain = _generated()
        yield brain
