"""Killed at any moment, and started again with the same command, a run ends as one that nothing has disturbed."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.faults.kill_moments import MOMENTS
from tests.helpers.faults.killed_runs import has_begun, same
from tests.helpers.faults.starter import Run, Starter, until
from tests.helpers.training.small_runs import SMALL

KILLS = 8

pytestmark = pytest.mark.slow  # a run takes five seconds or more, and each is begun again several times


def kill_at_random(starter: Starter, run: Run, root: Path, most: float) -> str:
    """Some time after the training has begun; when, for the message of a failure."""
    until(lambda: has_begun(root) or not run.alive)
    wait = random.SystemRandom().uniform(0, most)
    time.sleep(wait)
    if run.alive:
        run.kill()
    return f"{wait:.3f} s: {starter.wait()}"


def test_killed_at_random_moments(starter, overrides, whole):
    root = starter.folder / "killed"
    waits = []
    for _ in range(KILLS):
        run = starter.start(*overrides, f"root={root}")
        waits.append(kill_at_random(starter, run, root, 1.5))
    run = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    same(whole, ours)
    assert "0" not in [wait.split(": ")[1] for wait in waits[:1]], waits


def test_killed_at_moments_that_are_sure(starter, overrides, whole):
    """One run, and a death in each of its sessions but the last; more of them in test_kill_moments.py."""
    root = starter.folder / "sure"
    for name in (
        "scores: first recording",
        "checkpoint: between previous.ckpt and the new last.ckpt",
        "scores: comparison in mid-epoch",
        "epoch: its checkpoint is written, its metrics are not",
        "end: the summary",
    ):
        run = starter.start(*overrides, f"root={root}", environment=MOMENTS[name])
        assert starter.wait() == -signal.SIGKILL, name + run.said.read_text()
    run = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    same(whole, ours)


@pytest.mark.longest  # a minute
def test_killed_with_accumulated_batches_and_workers(starter, overrides):
    """A checkpoint comes between two steps, never between the parts of one; and workers go on where they were."""
    more = [*overrides, "recipe.accumulate=2", "loader.workers=1"]
    run = starter.start(*more, "root=accumulated")
    assert starter.wait() == 0, run.said.read_text()
    root = starter.folder / "accumulated-killed"
    for _ in range(5):
        kill_at_random(starter, starter.start(*more, f"root={root}"), root, 2.5)
    run = starter.start(*more, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    whole, ours = (
        next(path.parent for path in one.glob("**/seed*/config.yaml"))
        for one in (starter.folder / "accumulated", root)
    )
    same(whole, ours)


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGTERM,
        signal.SIGINT,
        pytest.param(signal.SIGUSR1, marks=pytest.mark.longest),
        pytest.param(signal.SIGUSR2, marks=pytest.mark.longest),
    ],
)
def test_a_signal_ends_a_step_and_leaves_a_checkpoint_of_it(starter, overrides, whole, signum):
    root = starter.folder / f"signal{signum}"
    late = [given for given in overrides if "minutes" not in given]
    run = starter.start(*late, f"root={root}")
    until(lambda: has_begun(root))
    run.kill(signum)
    assert starter.wait() == 128 + signum, run.said.read_text()
    said = run.said.read_text()
    assert f"{signal.Signals(signum).name}: writing a checkpoint after this step" in said
    assert f"Stopped by {signal.Signals(signum).name}. Repeat the command to resume." in said
    assert "Traceback" not in said
    again = starter.start(*late, f"root={root}")
    assert starter.wait() == 0, again.said.read_text()
    assert "resuming from" in again.said.read_text()
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    same(whole, ours)


def test_a_second_process_is_refused_with_the_owner_named(starter, tmp_path):
    root = starter.folder / "shared"
    endless = [*SMALL, "recipe.epochs=1000", f"root={root}"]
    run = starter.start(*endless)
    until(lambda: has_begun(root))
    with Starter(tmp_path, {"CORNET_CACHE": str(starter.folder / "cache")}) as other:
        second = other.start(*endless)
        assert other.wait() == 2
        said = second.said.read_text()
        assert f"is being written by process {run.pid} on" in said
        assert "give this run another name=" in said
        assert "Traceback" not in said
        run.kill()
        assert starter.wait() == -signal.SIGKILL
        third = other.start(*endless)  # what the first has left is no lock
        until(lambda: third.said.exists() and "resuming from" in third.said.read_text())
        time.sleep(0.5)
        third.kill(signal.SIGTERM)
        assert other.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("damage", ["cut off", "one bit"])
def test_a_damaged_checkpoint_is_told_of_and_the_one_before_it_taken(starter, overrides, whole, damage):
    root = starter.folder / damage.replace(" ", "-")
    run = starter.start(*overrides, f"root={root}")
    until(lambda: any(root.glob("**/seed*/checkpoints/previous.ckpt")))
    run.kill()
    starter.wait()
    (path,) = root.glob("**/seed*/checkpoints/last.ckpt")
    content = bytearray(path.read_bytes())
    if damage == "cut off":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 1
    path.unlink()  # in case that it was not yet another file than the one before
    path.write_bytes(content)
    run = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    assert "the run resumes from the previous checkpoint" in run.said.read_text()
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    same(whole, ours)
    assert not (ours / "checkpoints/previous.ckpt").exists()
    assert (ours / "checkpoints/damaged.ckpt").read_bytes() == content


def test_both_checkpoints_damaged(starter, overrides):
    root = starter.folder / "both"
    run = starter.start(*overrides, f"root={root}")
    until(lambda: any(root.glob("**/seed*/checkpoints/previous.ckpt")))
    run.kill()
    starter.wait()
    for path in root.glob("**/seed*/checkpoints/*.ckpt"):
        path.write_bytes(path.read_bytes()[:1000])
    run = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 2
    said = run.said.read_text()
    assert "is truncated, damaged or not a checkpoint" in said
    assert "Traceback" not in said
