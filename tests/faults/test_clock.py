"""A clock that jumps by days, forward and back, while runs train: nothing hangs, is lost, or wrongly removed.

The clock is really another one for these processes (libfaketime), and is set while they run.
"""

import glob
import time
from pathlib import Path

import pytest

from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.faults.killed_runs import has_begun
from tests.helpers.faults.run_results import alike, finished, run_of
from tests.helpers.faults.starter import Starter, until
from tests.helpers.training.small_runs import SMALL

pytestmark = pytest.mark.slow
LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketime*MT.so.1") + glob.glob(
    "/usr/lib/faketime/libfaketimeMT.so.1"
)


class Clock:
    """What the file says is what the processes' clock is ahead or behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set("+0d")

    def set(self, ahead: str) -> None:
        aside = self.path.with_suffix(".new")
        aside.write_text(ahead + "\n")
        aside.replace(self.path)


@pytest.fixture(scope="module", params=["wall clock", "both clocks"])
def started(request, tmp_path_factory):
    """Both clocks: the one that only ever goes forward jumps too, as where a machine was suspended."""
    if not LIBRARY:
        pytest.skip("libfaketime is not here (apt-get install faketime)")
    folder = tmp_path_factory.mktemp("clock")
    clock = Clock(folder / "clock")
    environment = {
        "CORNET_CACHE": str(folder / "cache"),
        "HOME": str(folder),
        "LD_PRELOAD": LIBRARY[0],
        "FAKETIME_TIMESTAMP_FILE": str(clock.path),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": str(int(request.param == "wall clock")),
    }
    with Starter(folder, environment) as starter:
        yield starter, clock, request.param == "wall clock"


def test_a_clock_that_jumps(started):
    starter, clock, back = started
    bundle = write(starter.folder / "mine", assembly(("V4",) * 4 + ("IT",) * 4))
    ours = [
        *SMALL,
        *("recipe.epochs=4", "data.train_images=256", "trainer.log_every_n_steps=1", "recipe.average=0.9"),
        *("brain=local", f"brain.benchmarks.local=[{bundle}]", "brain.metric=ridge", "brain.fractions=[0.5]"),
    ]
    clock.set("+0d")
    whole = finished(starter, *ours, root=starter.folder / "whole")
    root = starter.folder / "jumps"
    run = starter.start(*ours, f"root={root}")
    until(lambda: has_begun(root))
    for ahead in ("-3d", "+30d", "-400d") if back else ("+2d", "+30d"):
        clock.set(ahead)
        time.sleep(0.3)
    run.kill()  # with the last checkpoint from another day
    starter.wait()
    clock.set("-40d" if back else "+31d")
    alike(whole, finished(starter, *ours, root=root))
    assert "nothing was done" in again(starter, ours, root)
    clock.set("+1000d")
    assert "nothing was done" in again(starter, ours, root)
    assert (run_of(root) / "report.html").stat().st_size > 0
    assert not list(starter.folder.rglob("*.tmp"))


def again(starter: Starter, ours: list[str], root: Path) -> str:
    run = starter.start(*ours, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    return run.said.read_text()
