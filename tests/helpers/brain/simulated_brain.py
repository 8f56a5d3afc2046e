"""The default simulated brain, made afresh once for all tests."""

from collections.abc import Iterator
from functools import cache

import pytest

from cornet.brain.simulated import SimulatedBrain


@cache
def _made() -> SimulatedBrain:
    brain = SimulatedBrain()
    brain.bundle()
    return brain


def fresh_brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedBrain]:
    """The brain, in a cache folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield _made()
