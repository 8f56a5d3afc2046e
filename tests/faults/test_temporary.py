"""The folder for temporary files, when a run is killed."""

import os

import pytest

from tests.helpers.faults.starter import Starter, until
from tests.helpers.training.small_runs import SMALL

pytestmark = pytest.mark.slow


def test_a_killed_run_leaves_nothing_among_temporary_files(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    own = {"CORNET_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path), "TMPDIR": str(temporary)}
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"):
        own[name] = ""  # as where nobody has set them
    with Starter(tmp_path, own) as starter:
        ours = [*SMALL, "recipe.epochs=100", "loader.workers=0", f"root={tmp_path / 'runs'}"]
        run = starter.start(*ours)
        until(lambda: any(tmp_path.glob("runs/**/seed*/checkpoints/last.ckpt")) or not run.alive)
        run.kill()
        assert starter.wait() == -9, run.said.read_text()
        until(lambda: not os.listdir(temporary), 30)
