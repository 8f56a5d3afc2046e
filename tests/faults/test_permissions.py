"""Folders whose permission is gone, at the start and in mid-run.

Root may do anything, so the processes here have lost the capabilities with which it may read and write what its
permissions forbid.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.faults.killed_runs import has_begun
from tests.helpers.faults.run_results import alike, finished, refused
from tests.helpers.faults.starter import Starter, until
from tests.helpers.training.small_runs import SMALL

pytestmark = pytest.mark.slow
LONG = [*SMALL, "data.train_images=256", "recipe.epochs=4", "trainer.log_every_n_steps=1"]


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    """Starts processes that permissions hold for."""
    folder = tmp_path_factory.mktemp("permissions")
    own = sys.executable
    try:
        if os.geteuid() == 0:
            without = "--bounding-set=-dac_override,-dac_read_search"
            if (
                not shutil.which("setpriv")
                or subprocess.run(["setpriv", without, "true"], check=False).returncode
            ):
                pytest.skip("root may do anything here")
            script = folder / "python"
            script.write_text(f'#!/bin/sh\nexec setpriv {without} {own} "$@"\n')
            script.chmod(0o755)
            sys.executable = str(script)
        started = Starter(folder, {"CORNET_CACHE": str(folder / "cache"), "HOME": str(folder)})
    finally:
        sys.executable = own
    with started:
        yield started


@pytest.fixture(scope="module")
def photographs(bound) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", 64), ("val", 8)):
        for name in ("cat", "dog"):
            folder = bound.folder / "photographs" / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k:02}.png")
    return bound.folder / "photographs"


@pytest.fixture
def ours(photographs) -> list[str]:
    return [
        *("data=imagefolder", f"data.folder={photographs}", "data.size=32", "model.width=0.1", "brain=none"),
        *("recipe.batch_size=8", "recipe.epochs=3", "trainer.log_every_n_steps=1"),
        "callbacks.last_checkpoint.minutes=0.001",
    ]


def test_images_that_may_not_be_read_at_the_start(bound, photographs, ours):
    cats = photographs / "train" / "cat"
    cats.chmod(0)
    run = bound.start(*ours, f"root={bound.folder / 'start'}")
    said = refused(bound, run)
    cats.chmod(0o755)
    assert said == f"{cats} cannot be read (Permission denied); fix that, and start again."


def test_images_that_may_not_be_read_any_more(bound, photographs, ours):
    root, cats = bound.folder / "mid", photographs / "train" / "cat"
    run = bound.start(*ours, f"root={root}")
    until(lambda: has_begun(root))
    cats.chmod(0)
    said = refused(bound, run)
    cats.chmod(0o755)
    assert said.startswith(f"none of the 64 images in {cats} can be read")
    whole = finished(bound, *ours, root=bound.folder / "mid-whole")
    alike(whole, finished(bound, *ours, root=root))


def test_a_run_that_may_not_be_written_any_more(bound):
    ours = [*LONG, "callbacks.last_checkpoint.minutes=0.001"]
    root = bound.folder / "run"
    run = bound.start(*ours, f"root={root}")
    until(lambda: any(root.glob("**/seed*/checkpoints/previous.ckpt")))
    (folder,) = root.glob("**/seed*/checkpoints")
    folder.chmod(0o500)
    said = refused(bound, run)
    folder.chmod(0o755)
    assert "no permission to write in" in said
    assert "repeat the command to resume" in said
    whole = finished(bound, *ours, root=bound.folder / "run-whole")
    alike(whole, finished(bound, *ours, root=root))


@pytest.mark.parametrize("mode", [0, 0o500])
def test_a_cache_that_may_not_be_used(bound, mode):
    cache = bound.folder / f"cache{mode}"
    cache.mkdir(mode=mode)
    run = bound.start(
        *LONG, f"root={bound.folder / f'cached{mode}'}", environment={"CORNET_CACHE": str(cache)}
    )
    assert bound.wait() == 0, run.said.read_text()
    assert run.said.read_text().count("Rendered images cannot be cached") == 1
    cache.chmod(0o755)
    assert not any(cache.iterdir())
