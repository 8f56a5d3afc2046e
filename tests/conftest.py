"""Shared by all tests."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # as many tests at once as there are cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings

# Times say nothing about the code on a machine that others use too.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

ROOT = Path(__file__).parents[1]
SHARED_DATA = Path(os.environ.get("CORNET_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data for development; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data for development is not here")
    return SHARED_DATA


@pytest.fixture
def golden_path() -> Path:
    return ROOT / "tests" / "golden"


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")  # a training before may have left it otherwise
