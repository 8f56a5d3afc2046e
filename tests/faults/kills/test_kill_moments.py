"""Killed at the moments that are the worst, each met for sure, a run ends as one that nothing has disturbed."""

import signal
from pathlib import Path

import pytest

from tests.helpers.faults.kill_moments import MOMENTS, moment
from tests.helpers.faults.killed_runs import same
from tests.helpers.faults.starter import Starter

pytestmark = pytest.mark.longest


def killed_and_continued(starter: Starter, overrides: list[str], root: Path, when: dict[str, str]) -> Path:
    """The folder of a run that was killed at a moment, and then started again."""
    run = starter.start(*overrides, f"root={root}", environment=when)
    assert starter.wait() == -signal.SIGKILL, "that moment did not come: " + run.said.read_text()[-2000:]
    again = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 0, again.said.read_text()
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    return ours


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_at(name, starter, overrides, whole):
    root = starter.folder / "-".join("".join(c if c.isalnum() else " " for c in name).split())
    ours = killed_and_continued(starter, overrides, root, MOMENTS[name])
    same(whole, ours)
    left = {path.name for path in ours.rglob("*") if path.is_file()}
    assert not [name for name in left if name.endswith(".tmp") or name.startswith(".run_id")], left
    assert left >= {path.name for path in whole.rglob("*") if path.is_file()}
    assert "previous.ckpt" not in left


def test_a_signal_in_a_validation_of_a_session_that_had_gone_on_from_within_an_epoch(
    starter, overrides, whole
):
    """Found by benchmarks/endurance.py: the steps logged after it were one too high."""
    root = starter.folder / "gone-on-then-signal"
    within = moment("call", "cornet.training.learner:Learner.training_step", 6)
    starter.start(*overrides, f"root={root}", environment=within)
    assert starter.wait() == -signal.SIGKILL
    name = "cornet.training.learner:Learner.validation_step"
    run = starter.start(*overrides, f"root={root}", environment=moment("call", name, signum=signal.SIGTERM))
    assert starter.wait() == 128 + signal.SIGTERM, run.said.read_text()
    run = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    same(whole, ours)


def test_weights_and_biases_go_on_with_one_run(starter, overrides):
    """Without a network: however often a run is killed, all of its sessions are of one and the same id."""
    root = starter.folder / "wandb-killed"
    given = [*overrides, "logger=wandb", "logger.wandb.offline=true", "recipe.epochs=2", f"root={root}"]
    for when in (MOMENTS["epoch: before a step"], MOMENTS["epoch: in the validation"]):
        run = starter.start(*given, environment={**when, "WANDB_MODE": "offline"})
        assert starter.wait() == -signal.SIGKILL, run.said.read_text()[-2000:]
    run = starter.start(*given, environment={"WANDB_MODE": "offline"})
    assert starter.wait() == 0, run.said.read_text()[-2000:]
    (ours,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    sessions = [path.name for path in ours.glob("wandb/offline-run-*")]
    assert len(sessions) == 3  # each has a folder of its own, by the time
    assert {name.rpartition("-")[2] for name in sessions} == {(ours / "run_id").read_text().strip()}
