"""`cornet export --to brainscore`: several networks, and every checkpoint of a run."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from cornet.cli import app
from cornet.errors import CornetError
from cornet.export.source import open_sources
from cornet.models import create_model
from tests.helpers.export.brainscore_plugin import THREE, a_config
from tests.helpers.training.recorded_runs import run_folder


@pytest.fixture
def run(tmp_path):
    """A run of three epochs with callbacks=every_epoch, of which the last is the best."""
    folder = run_folder(tmp_path / "seed7", a_config())
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    facts = {"model.name": "cornet_z", "model.width": 0.125, "model.num_classes": 8}
    for epoch in range(3):
        torch.manual_seed(epoch)
        net = create_model("cornet_z", width=0.125, num_classes=8)
        weights = {f"net.{key}": value for key, value in net.state_dict().items()}
        torch.save({"state_dict": weights, "cornet": facts}, checkpoints / f"epoch_{epoch:03}.ckpt")
    for name in ("best", "last"):
        shutil.copy(checkpoints / "epoch_002.ckpt", checkpoints / f"{name}.ckpt")
    shutil.copy(checkpoints / "epoch_000.ckpt", checkpoints / "previous.ckpt")
    return folder


def call(*words: object):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_every_checkpoint_of_a_run_goes_into_one_folder(run, tmp_path):
    out = tmp_path / "plugin"
    done = call(run, "--all-checkpoints", "--to", "brainscore", "--name", "mine", "--out", out)
    assert done.exit_code == 0, done.output
    names = list(json.loads((out / "networks.json").read_text()))
    assert [name.rpartition("-")[0] for name in names] == [
        f"mine-seed7-epoch_{epoch:03}" for epoch in range(3)
    ]
    assert [line.split()[0] for line in done.output.splitlines()[:3]] == names
    for epoch, name in enumerate(names):
        torch.manual_seed(epoch)
        wanted = create_model("cornet_z", width=0.125, num_classes=8).state_dict()
        found = torch.load(out / "weights" / f"{name}.pth", weights_only=True)
        assert all(torch.equal(found[key], value) for key, value in wanted.items())


def test_several_networks_are_named_by_the_user_and_their_weights(tmp_path):
    out = tmp_path / "plugin"
    done = call(*THREE[1:], "--to", "brainscore", "--name", "two", "--out", out)
    assert done.exit_code == 0, done.output
    names = [f"two-{source.weights_hash[:8]}" for source in open_sources(THREE[1:])]
    assert list(json.loads((out / "networks.json").read_text())) == names


@pytest.mark.parametrize("text", ["cornet_z?untrained", "checkpoint", "run?best"])
def test_all_checkpoints_takes_runs(text, run):
    named = {"checkpoint": str(run / "checkpoints" / "best.ckpt"), "run?best": f"{run}?best"}.get(text, text)
    with pytest.raises(CornetError, match="--all-checkpoints takes runs"):
        open_sources([named], all_checkpoints=True)


def test_a_run_without_checkpoints(run):
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    with pytest.raises(CornetError, match="has no checkpoints yet"):
        open_sources([str(run)], all_checkpoints=True)
