"""Arguments, configurations, checkpoints and runs with the names that an earlier version gave."""

import json
import logging
from pathlib import Path

import pytest
import torch
import yaml

import cornet
from cornet import old_names
from cornet.instantiate import make
from cornet.models import CORnet, create_model
from cornet.models.registry import NO_ARGUMENTS
from cornet.old_names import MODEL_ARGUMENTS, with_current_names, with_current_overrides
from cornet.report.seeds.seed_runs import open_runs
from cornet.runs.checkpoints import network_of_file
from cornet.runs.config import read_config
from cornet.runs.folder import RunFolder
from cornet.runs.path import find_run_path, identity_of
from cornet.training.build import network_arguments
from cornet.training.content import Content
from cornet.training.run import place_of, run
from tests.helpers.composed import composed
from tests.helpers.training.small_runs import SMALL

OPTIONS = {"simple": 2, "complex": 2, "kernel": 5, "noise": False, "mean": [0.5] * 3, "std": [0.5] * 3}
SMALL_NETWORK = {"num_classes": 3, "width": 0.05}
OLD = {**SMALL_NETWORK, "front": "gabor", "front_options": OPTIONS, "beyond": "refuse"}
NEW = {**SMALL_NETWORK, "v1": "gabor", "v1_options": OPTIONS, "later_steps": "refuse"}


@pytest.fixture(autouse=True)
def warnings_(caplog):
    """Each old name is logged once per process."""
    old_names._warn_once.cache_clear()
    caplog.set_level(logging.WARNING, "cornet")
    yield caplog
    old_names._warn_once.cache_clear()


def test_old_arguments_build_the_same_network_and_warn_once(warnings_):
    nets = []
    for arguments in (NEW, OLD, OLD):
        torch.manual_seed(0)
        nets.append(create_model("cornet_s", **arguments))
    first, *others = (net.state_dict() for net in nets)
    for other in others:
        assert list(other) == list(first)
        assert all(torch.equal(other[key], first[key]) for key in first)
    assert warnings_.messages == [
        f"{old} was renamed to {new}; use the new name, because only this version accepts the old one."
        for old, new in MODEL_ARGUMENTS.items()
    ]
    assert CORnet(front="gabor", front_options=OPTIONS, **SMALL_NETWORK).areas["V1"].simple == 2
    assert type(create_model("cornet_s", front=None, v1="gabor").areas["V1"]).__name__ == "GaborArea"


def test_keys_of_the_model_alone_are_renamed():
    config = {"model": {"name": "cornet_s", "front": "gabor", "v1": None}, "data": {"front": 1}, "front": 2}
    current = {"model": {"name": "cornet_s", "v1": "gabor"}, "data": {"front": 1}, "front": 2}
    assert with_current_names(config) == current
    assert with_current_names(current) == current
    own = {"model": {"_target_": "my_module.Net", "front": 3}}
    assert with_current_names(own) == own


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.front=gabor", "model.v1=gabor"),
        ("++model.front_options.noise=false", "++model.v1_options.noise=false"),
        ("+model.beyond=refuse,last", "+model.later_steps=refuse,last"),
        ("~model.front", "~model.v1"),
        ("name=model.front=1", "name=model.front=1"),
        ("data.model.front=1", "data.model.front=1"),
        ("model.frontal=1", "model.frontal=1"),
    ],
)
def test_overrides(old, new, warnings_):
    assert with_current_overrides(["seed=1", old, old]) == ["seed=1", new, new]
    assert len(warnings_.messages) == (old != new)
    own = ["model=own", "model._target_=my_module.Net", "+model.front=3"]
    assert with_current_overrides(own) == own


def old_content(folder: Path, network: str = "cornet_s") -> dict:
    """A run as an earlier version wrote it: config.yaml, identity.json and a checkpoint."""
    torch.manual_seed(1)
    net = create_model(network, **NEW)
    config = {"model": {"name": network, **OLD}, "data": {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 0, "run_folder": "."}))
    (folder / "identity.json").write_text(json.dumps(config))
    (folder / "finished.json").write_text("{}")
    (folder / "metrics.csv").write_text("epoch,step,val/top1\n0,1,0.5\n")
    facts = {"model.name": network, **{f"model.{key}": value for key, value in OLD.items()}}
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, "cornet": facts}, folder / "checkpoints" / "last.ckpt")
    return net.state_dict()


def test_a_run_and_a_checkpoint_with_old_names_load(tmp_path, warnings_):
    folder = tmp_path / "mine" / "seed0"
    state = old_content(folder)
    assert {"v1", "v1_options", "later_steps"} <= set(read_config(folder / "config.yaml")["model"])
    for net in (
        network_of_file(folder / "checkpoints" / "last.ckpt").net,
        cornet.load_run(folder).model(),
    ):
        assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
        assert net.areas["V2"].norm3.later_steps == "refuse"
    assert not warnings_.messages


def test_a_run_with_old_names_is_the_same_run(tmp_path):
    folder = tmp_path / "mine" / "seed0"
    old_content(folder)
    model = {"name": "cornet_s", **NEW}
    config = {"model": model, "data": {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}}
    old = {**config, "model": {"name": "cornet_s", **OLD}}
    assert identity_of(old) == identity_of(config)
    for identity in (identity_of(old), identity_of(config)):
        assert find_run_path(tmp_path, "mine", 0, "x", identity) == folder
        RunFolder.open(folder, config, identity)
    other = {**config, "model": {**model, "v1": None}}
    with pytest.raises(cornet.errors.CornetError, match=r'model.v1 is "gabor" there and missing here'):
        RunFolder.open(folder, other, identity_of(other))
    (opened,), _ = open_runs([folder])
    assert opened.identity["model"] == model


@pytest.mark.slow  # trains
def test_a_training_with_old_names_goes_on(tmp_path, monkeypatch, warnings_):
    """In the same folder, from its last checkpoint; also where the user's own file still has the old names."""
    monkeypatch.chdir(tmp_path)
    options = "{simple:2,complex:2,kernel:5}"
    given = [*SMALL, "recipe.epochs=1", "name=mine", "trainer.accelerator=cpu"]
    overrides = [*given, "model.v1=gabor", f"model.v1_options={options}"]
    folder = run(composed(*overrides), overrides).folder
    for name, read, write in (
        ("config.yaml", yaml.safe_load, yaml.safe_dump),
        ("identity.json", json.loads, json.dumps),
    ):
        content = read((folder / name).read_text())
        model = content["model"]
        model["front"], model["front_options"] = model.pop("v1"), model.pop("v1_options")
        (folder / name).write_text(write(content))
    path = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    facts = checkpoint["cornet"]
    assert facts["model.v1_options"]["mean"]
    old = dict(facts)
    for key in ("front", "front_options"):
        old[f"model.{key}"] = old.pop(f"model.{MODEL_ARGUMENTS[key]}")
    torch.save({**checkpoint, "cornet": old}, path)
    (folder / "finished.json").unlink()
    outcome = run(composed(*overrides), overrides)
    assert outcome.folder == folder
    assert not outcome.already
    assert outcome.summary["epochs"] == 1
    assert not warnings_.messages
    config = composed(
        *given, "+model.front=gabor", f"+model.front_options={options}"
    )  # as in the user's own file
    assert place_of(config, given, Content())[0].absolute() == folder.absolute()
    built = network_arguments(config.model, make(config.data, "data"))
    assert {
        f"model.{key}": value for key, value in built.items() if key not in NO_ARGUMENTS
    }.items() <= facts.items()
    assert warnings_.messages[0].startswith("model.front was renamed to model.v1;")


def test_a_callback_that_only_measures_does_not_change_a_run():
    """Runs of versions without it are recognised; so are those that measure over time later."""
    config = {"seed": 0, "callbacks": {"finite_loss": {"_target_": "a.B"}}, "brain": {"every": 1}}
    later = {
        **config,
        "callbacks": {**config["callbacks"], "time_matrix": {"_target_": "c.TimeMatrix", "responses": None}},
        "brain": {"every": 1, "over_time": None},
    }
    assert identity_of(config) == identity_of(later)
    assert identity_of(config) != identity_of({**config, "brain": {"every": 2}})
