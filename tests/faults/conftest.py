"""One process that forks runs, for all tests here that need no other."""

import pytest

from tests.helpers.faults.starter import Starter


@pytest.fixture(scope="session")
def starter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    with Starter(folder, {"CORNET_CACHE": str(folder / "cache"), "HOME": str(folder)}) as started:
        yield started
