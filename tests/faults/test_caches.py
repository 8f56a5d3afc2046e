"""What is kept from run to run: half-written entries, a full disk, and two runs that share it at once."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.faults.full_disk import disk_of, fill
from tests.helpers.faults.run_results import alike, finished, run_of
from tests.helpers.faults.starter import Starter, until
from tests.helpers.training.small_runs import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ours(starter) -> list[str]:
    """A run that keeps rendered images, responses, splits and ceilings."""
    bundle = write(starter.folder / "kept", assembly(("V4",) * 4 + ("IT",) * 4))
    return [
        *SMALL,
        *("data.train_images=512", "recipe.epochs=2", "trainer.log_every_n_steps=1"),
        *("brain=local", f"brain.benchmarks.local=[{bundle}]", "brain.metric=ridge"),
    ]


@pytest.fixture(scope="module")
def whole(starter, ours) -> Path:
    """A run with a cache of its own."""
    run = starter.start(
        *ours, f"root={starter.folder / 'kept-whole'}", environment={"CORNET_CACHE": str(entries(starter))}
    )
    assert starter.wait() == 0, run.said.read_text()
    return run_of(starter.folder / "kept-whole")


def entries(starter: Starter) -> Path:
    return starter.folder / "kept-cache"


def test_entries_that_a_killed_process_left_half_written(starter, ours, whole):
    cache = starter.folder / "half"
    shutil.copytree(entries(starter), cache)
    kept = sorted(path for path in cache.rglob("*") if path.is_file())
    assert {path.parent.name for path in kept} >= {"objects", "responses", "ceilings"}
    for path in kept:  # as a file system leaves them that loses its power
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    root = starter.folder / "half-run"
    run = starter.start(*ours, f"root={root}", environment={"CORNET_CACHE": str(cache)})
    assert starter.wait() == 0, run.said.read_text()
    alike(whole, run_of(root))
    for path in kept:  # made again, whole
        assert path.stat().st_size == (entries(starter) / path.relative_to(cache)).stat().st_size


@pytest.mark.parametrize("moment", ["objects", "responses"])
def test_killed_while_an_entry_is_written(starter, ours, whole, moment):
    from tests.helpers.faults.kill_moments import moment as dies

    cache, root = starter.folder / f"killed-{moment}", starter.folder / f"killed-{moment}-run"
    where = {"CORNET_CACHE": str(cache)}
    first = starter.start(
        *ours, f"root={root}", environment=where | dies("open", rf"{moment}/\..*\.tmp$", then="fsync")
    )
    assert starter.wait() == -9, first.said.read_text()
    assert any((cache / moment).glob(".*.tmp"))
    assert not any((cache / moment).glob("*.npz"))
    run = starter.start(*ours, f"root={root}", environment=where)
    assert starter.wait() == 0, run.said.read_text()
    alike(whole, run_of(root))
    assert not any((cache / moment).glob(".*.tmp"))


def test_a_cache_on_a_full_disk_costs_only_time(starter, ours, whole):
    with disk_of(starter.folder / "full-cache", "1m") as cache:
        fill(cache, left=4096)
        root = starter.folder / "full-cache-run"
        run = starter.start(*ours, f"root={root}", environment={"CORNET_CACHE": str(cache)})
        assert starter.wait() == 0, run.said.read_text()
        assert "Rendered images cannot be cached" in run.said.read_text()
        alike(whole, run_of(root))
        kept = [path for path in cache.rglob("*") if path.is_file() and path.name != "ballast"]
        assert {path.suffix for path in kept} <= {".npz"}, "something was left aside"
        assert all(np.load(path).files for path in kept), (
            "what is there is whole: there was room for small ones"
        )


def test_two_runs_at_once_share_a_cache(starter, ours, whole, tmp_path):
    cache = starter.folder / "shared-cache"
    with Starter(tmp_path, {"CORNET_CACHE": str(cache), "HOME": str(tmp_path)}) as other:
        other.start("--cfg", "job")  # when it has said so, it is ready
        other.wait()
        until(lambda: True)
        roots = [starter.folder / "shared-one", starter.folder / "shared-two"]
        where = {"CORNET_CACHE": str(cache)}
        runs = [
            one.start(*ours, f"root={root}", environment=where)
            for one, root in zip((starter, other), roots, strict=True)
        ]
        codes = [one.wait() for one in (starter, other)]
        assert codes == [0, 0], [run.said.read_text() for run in runs]
    for root in roots:
        alike(whole, run_of(root))
    assert not any(cache.rglob("*.tmp"))
    assert {path.relative_to(cache) for path in cache.rglob("*.npz")} == {
        path.relative_to(entries(starter)) for path in entries(starter).rglob("*.npz")
    }
    assert finished(starter, *ours, root=roots[0])
