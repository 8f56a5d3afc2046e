"""docs/wandb_sweep.yaml, its runs started by the agent of Weights & Biases itself, without a server."""

import itertools
import os
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from wandb.wandb_agent import Agent

from tests.helpers.paths import ROOT
from tests.helpers.training.small_runs import SMALL_WITH_BRAIN
from tests.helpers.training.wandb_records import finished, rows, run_of

pytestmark = pytest.mark.usefixtures("no_account")


SWEEP = yaml.safe_load((ROOT / "docs" / "wandb_sweep.yaml").read_text())
GRID = [
    dict(zip(SWEEP["parameters"], values, strict=True))
    for values in itertools.product(*(one["values"] for one in SWEEP["parameters"].values()))
]


@pytest.mark.slow
def test_every_point_composes():
    assert len(GRID) == 36
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for point in GRID[::7]:
            config = compose("config", ["logger=wandb", *(f"{key}={value}" for key, value in point.items())])
            assert point["model.times.V4"] == config.model.times.V4
            assert config.monitor == SWEEP["metric"]["name"]


@pytest.mark.longest
def test_the_agent_s_run_is_the_sweep_s(monkeypatch, tmp_path):
    """It has the name that the agent gave it and knows its sweep; the values are those of the grid."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SWEEP_ID", "s123")
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    for word in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):  # the agent sets them, and leaves them
        monkeypatch.setenv(word, "")
    more = [*SMALL_WITH_BRAIN, "recipe.epochs=1", "brain=none", f"root={tmp_path}"]
    agent = Agent(None, None, sweep_id="s123")
    agent._sweep_command = [*SWEEP["command"], *more]  # which the server would tell it
    point = {key: {"value": value} for key, value in GRID[-1].items()}
    agent._command_run({"run_id": "r456", "program": SWEEP["program"], "args": point})
    assert agent._run_processes["r456"].wait() == 0
    (file,) = tmp_path.glob("**/offline-run-*/run-*.wandb")
    found = finished(file)
    assert (run_of(found).run_id, run_of(found).sweep_id) == ("r456", "s123")
    assert any("val/top1" in row for row in rows(found))
    (written,) = tmp_path.glob("objects-cornet_s/**/seed2/config.yaml")
    assert yaml.safe_load(written.read_text())["model"]["times"]["V4"] == 8
