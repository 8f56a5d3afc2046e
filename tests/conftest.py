"""Shared by all tests."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # as many tests at once as there are cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import logging
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, settings
from PIL import Image

from cornet.brain import simulated

pytest.register_assert_rewrite("tests.helpers")  # what a failed assertion compared is then shown

from tests.helpers.paths import GOLDEN, ROOT  # noqa: E402
from tests.helpers.training.small_runs import SMALL  # noqa: E402

# Times say nothing about the code on a machine that others use too.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

SHARED_DATA = Path(os.environ.get("CORNET_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.hookimpl(trylast=True)  # after the selection by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest, so that all workers end at about the same time."""
    tests = Counter(item.path for item in items)
    long = {item.path for item in items if (one := item.get_closest_marker("timeout")) and one.args[0] > 600}
    items.sort(key=lambda item: (item.path not in long, -tests[item.path]))


def pytest_collection_finish() -> None:
    """No collection of garbage need go through the 800,000 objects that were imported, and stay to the end."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # what ends with the interpreter is to be found then


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data for development; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data for development is not here")
    return SHARED_DATA


@pytest.fixture
def golden_path() -> Path:
    return GOLDEN


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")  # a training before may have left it otherwise


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> None:
    """A folder of the user's own, with an empty cache and no account."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def train(monkeypatch, capfd):
    """Calls train.py's main in this process: (exit status, standard output, standard error)."""
    import train as program

    handlers, level = logging.root.handlers[:], logging.root.level

    def call(*overrides: str, small: bool = True) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *(SMALL if small else []), *overrides])
        code = 0
        try:
            program.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            GlobalHydra.instance().clear()
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Two classes of 12 training and 4 validation images, 32 px."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name in ("cat", "dog"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k:02}.png")
    return tmp_path / "images"


@pytest.fixture(scope="module")
def small_brain(tmp_path_factory):
    """A simulated brain of 128 stimuli, and a cache of its own."""
    brain = simulated.SimulatedBrain(images=128, size=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(simulated, "brain", lambda: brain)
        yield
