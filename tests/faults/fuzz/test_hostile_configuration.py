"""Recorded configurations and checkpoints that would run a program, given to real processes: it must not have run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from cornet.models import create_model
from tests.helpers.paths import ROOT
from tests.helpers.training.recorded_runs import recorded, run_folder

ANSWERS = 2  # exit status of a refusal


@pytest.fixture
def marker(tmp_path) -> Path:
    """What a hostile configuration would make."""
    return tmp_path / "it-ran"


@pytest.fixture
def started(tmp_path, marker) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a program in a folder of its own; the marker must not be there after it."""

    def run(*command: str) -> subprocess.CompletedProcess:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not marker.exists(), done.stderr
        return done

    return run


def refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """One sentence, with these words."""
    assert done.returncode == ANSWERS, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def touching(marker: Path) -> dict:
    """A call that makes the marker, which is a callable that Hydra's own list of forbidden ones lets pass."""
    return {"_target_": "cornet.files.atomic_write", "path": str(marker), "data": "x"}


def test_the_call_itself_would_make_the_marker(marker) -> None:
    """Else the tests below could not fail."""
    from hydra.utils import instantiate

    instantiate(touching(marker))
    assert marker.exists()


def longest(*values):
    """Parameters that start a process each, for the longest tests."""
    return [pytest.param(value, marks=pytest.mark.longest) for value in values]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["callbacks.x", "model", *longest("data", "recipe", "brain.benchmarks.x")])
def test_by_a_rerun(started, tmp_path, marker, key) -> None:
    config = OmegaConf.create(recorded())
    OmegaConf.update(config, key, touching(marker), merge=False, force_add=True)
    folder = run_folder(tmp_path / "run", OmegaConf.to_container(config))
    done = started("-m", "cornet", "rerun", str(folder))
    refused(done, f"{key}._target_='cornet.files.atomic_write'", "--trust")
    assert not folder.with_name("run.rerun").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cornet.files.atomic_write", *longest("os.system", "cornet.stimuli.datasets.shards.os.system")]
)
def test_by_the_folder_of_a_run(started, tmp_path, marker, name) -> None:
    """`cornet score` reads a run's configuration for the size of its images, and calls nothing that it names."""
    network = {"model.name": "cornet_z", "model.num_classes": 8, "model.width": 0.1}
    net = create_model("cornet_z", num_classes=8, width=0.1)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    torch.save(
        {"state_dict": net.state_dict(), "cornet": network}, tmp_path / "run" / "checkpoints" / "best.ckpt"
    )
    data = {**touching(marker), "_target_": name, "command": f"touch {marker}", "size": 32}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump({"data": data, "callbacks": {"x": data}}))
    done = started("-m", "cornet", "score", "run", "--on", "nowhere")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_by_a_checkpoint(starter, tmp_path, marker) -> None:
    torch.save({"state_dict": Opens(marker)}, tmp_path / "x.ckpt")
    small = ("data.train_images=32", "data.val_images=8", "brain=none")
    run = starter.start(f"ckpt_path={tmp_path / 'x.ckpt'}", *small)
    assert starter.wait() == ANSWERS, run.said.read_text()
    (said,) = run.said.read_text().strip().splitlines()
    assert "could execute code" in said
    assert not marker.exists()


class Opens:
    """Unpickled it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")
