"""What a recorded configuration may not do: build what cornet does not provide, write elsewhere, contact a server."""

import copy
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.runs.config import EXACT, check_recorded, entries, moved_to_new_folder, read_config
from cornet.training.callbacks.brain_checkpoint import BestCheckpoint
from cornet.training.rerun import rerun
from tests.helpers.paths import ROOT
from tests.helpers.training.recorded_runs import SMALL, recorded, run_folder


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    return recorded()


@pytest.fixture
def config(sound) -> dict[str, Any]:
    return copy.deepcopy(sound)


def put(config: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


@pytest.mark.parametrize("given", [(), ("+logger=wandb",), ("trainer=ddp",), ("data=cifar10",)])
def test_what_our_own_configuration_records_is_allowed(given):
    given = ("logger=wandb",) if given == ("+logger=wandb",) else given
    small = [one for one in SMALL if "data=" not in " ".join(given) or not one.startswith("data.")]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*small[:-5], *given, "run_folder=x"])
    plain = OmegaConf.to_container(config, resolve=True)
    if "strategy" in plain["trainer"]:
        assert plain["trainer"]["strategy"]["_target_"] == EXACT["trainer.strategy"]
    check_recorded(plain, "config.yaml")


EVIL = (
    "os.system",
    "builtins.eval",
    "torch.load",
    "functools.partial",
    "hydra.utils.call",
    "cornet.files.atomic_write",
    "cornet.training.run.run",
    "cornet.training.loggers.uploads.wandb",
    "cornet.training.loggers.wandb_run.ForgivingWandbLogger",
    "cornet.training.loggers.csv.CsvLogger",
    "cornet.training.callbacks.brain_score.Path",
    "cornet.training.callbacks.brain_score.pl.Callback",
    "cornet.training.callbacks.brain_score.SharedSubject",
    "cornet.training.callbacks.missing.Callback",
    "cornet.stimuli.datasets.shards.subprocess",
    "cornet.stimuli.datasets.shard_store.RemoteStore",
    "pytorch_lightning.callbacks.LambdaCallback",
    "cornet.training.recipe.Recipe.__init__.__globals__",
    "",
    None,
    3,
)


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("key", ["callbacks.x", "data", "recipe", "trainer", "trainer.strategy"])
def test_other_names_are_not_built(config, name, key):
    put(config, f"{key}._target_", name)
    with pytest.raises(CornetError, match=r"^c\.yaml has .*_target_=.* for this key; give --trust .*\.$"):
        check_recorded(config, "c.yaml")
    check_recorded(config, "c.yaml", trust=True)


@pytest.mark.parametrize(
    "key",
    [
        *("model", "loader", "brain", "brain.benchmarks.x", "data.size", "callbacks.brain_score.benchmarks"),
        *("callbacks", "recipe.sizes", "callbacks.brain_score.size", "monitor", "seed.x"),
    ],
)
@pytest.mark.parametrize("name", ["cornet.stimuli.objects.RenderedObjects", EXACT["recipe"], "os.system"])
def test_nothing_is_built_elsewhere(config, key, name):
    """Not even what cornet provides, which has side effects where it is not expected."""
    put(config, key.removesuffix(".x"), {"_target_": name})
    with pytest.raises(CornetError):
        check_recorded(config, "config.yaml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.folder", "s3://bucket/x"),
        ("data.storage_options", {"endpoint_url": "http://host"}),
        ("brain.benchmarks", {"local": ["https://host/bundle"]}),
        ("callbacks.brain_score.benchmarks", [{"x": "hf://x"}]),
        ("ckpt_path", "http://host/x.ckpt"),
        ("model.pretrained", "https://host/x.pth"),
        ("model.pretrained", True),
        ("model.weights_url", "/x"),
        ("model.accept_hash", True),
        ("trainer.profiler", "pytorch"),
        ("trainer.strategy", "deepspeed"),
        ("trainer.strategy.process_group_backend", "x"),
        ("trainer.default_root_dir", "/x"),
        ("callbacks.checkpoint.filename", "../../../x"),
        ("callbacks.checkpoint._partial_", True),
        ("recipe._args_", [1]),
        ("data.size", "${oc.env:HOME}"),
        ("data.name", r"\${oc.env:HOME}"),
        ("name", "${cornet.draw:1,width}"),
        ("data.${oc.env:HOME}", 1),
    ],
)
def test_other_ways_out(config, key, value):
    if key.startswith("trainer.strategy."):
        config["trainer"]["strategy"] = {"_target_": EXACT["trainer.strategy"]}
    put(config, key, value) if "${" not in key else config["data"].update({key[5:]: value})
    with pytest.raises(CornetError) as told:
        check_recorded(config, "config.yaml")
    assert "\n" not in str(told.value)
    if "${" in f"{key}{value}":  # a program of the user's own would not record these either
        with pytest.raises(CornetError, match="a reference"):
            check_recorded(config, "config.yaml", trust=True)


@pytest.mark.parametrize("part", ["model", "data", "recipe", "trainer", "loader", "brain", "callbacks"])
@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_a_part_that_is_none(config, part, value):
    config[part] = value
    with pytest.raises(CornetError, match=f"has no part '{part}'"):
        check_recorded(config, "config.yaml", trust=True)


def test_all_outputs_go_to_the_new_folder(config):
    config["data"]["cache"] = "/elsewhere"
    config["callbacks"]["checkpoint"]["dirpath"] = "/elsewhere/../up"
    config["callbacks"]["brain_score"]["folder"] = "../../up"
    config["callbacks"]["halving"]["halving"] = True
    config["logger"] = {
        "wandb": {"_target_": "cornet.training.loggers.uploads.wandb", "folder": "/elsewhere"}
    }
    config |= {"root": "/elsewhere", "hydra": {"run": {"dir": "/elsewhere"}}, "fresh": True}
    moved = moved_to_new_folder(config)
    assert not [key for key, value in entries(moved) if "elsewhere" in str(value) or str(value)[-2:] == "up"]
    assert list(moved["logger"]) == ["csv"]
    assert moved["callbacks"]["checkpoint"]["dirpath"] == "${run_folder}/checkpoints"
    assert moved["callbacks"]["halving"]["halving"] is False
    assert moved["fresh"] is False
    places = [value for key, value in entries(moved) if key.endswith((".folder", ".dirpath"))]
    assert len(places) > 5
    assert all(place.startswith("${run_folder}") for place in places)


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_hostile_run_is_repeated_in_its_own_place(tmp_path, config, monkeypatch):
    """Trained for real, with every place that it records elsewhere and with no network."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a server was contacted"))
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for callback in config["callbacks"].values():
        for key in ("folder", "dirpath"):
            if callback and key in callback:
                callback[key] = str(tmp_path / "elsewhere")
    config["data"]["cache"] = str(tmp_path / "elsewhere")
    config["logger"]["wandb"] = {
        "_target_": "cornet.training.loggers.uploads.wandb",
        "folder": str(tmp_path / "elsewhere"),
        "run_id": "x",
        "offline": False,
    }
    config |= {"root": str(tmp_path / "elsewhere"), "fresh": True, "run_folder": str(tmp_path / "elsewhere")}
    config["hydra"] = {"run": {"dir": str(tmp_path / "elsewhere")}}
    folder = run_folder(tmp_path / "theirs" / "seed0", config, versions={"threads": 10**12})
    before = everything_in(tmp_path)
    with pytest.raises(CornetError, match=r"last\.ckpt does not exist"):  # there is none to compare with
        rerun(folder)
    new = {path for path in everything_in(tmp_path) - before if not path.startswith("cache")}
    assert "theirs/seed0.rerun/finished.json" in new
    assert all(path.startswith("theirs/seed0.rerun") for path in new), new


def test_links_in_the_new_folder(tmp_path, config):
    folder = run_folder(tmp_path / "seed0", config)
    (tmp_path / "outside").mkdir()
    (tmp_path / "seed0.rerun").mkdir()
    (tmp_path / "seed0.rerun" / "checkpoints").symlink_to(tmp_path / "outside")
    with pytest.raises(CornetError, match=r"seed0\.rerun/checkpoints is a symbolic link"):
        rerun(folder)
    shutil.rmtree(tmp_path / "seed0.rerun")
    (tmp_path / "seed0.rerun").symlink_to(tmp_path / "outside")
    with pytest.raises(CornetError, match=r"seed0\.rerun is a symbolic link"):
        rerun(folder)
    assert not everything_in(tmp_path / "outside")


def test_a_run_that_halving_stopped(tmp_path, config):
    folder = run_folder(tmp_path / "seed0", config, finished={"epochs": 4, "stopped_early": 1})
    with pytest.raises(CornetError, match="was stopped early by halving"):
        rerun(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loader.batch_size", "many"),
        ("loader.surprise", 1),
        ("recipe.epochs", [1]),
        ("model.name", "own"),
        ("model.name", ["cornet_s"]),
        ("trainer.log_every_n_steps", "x"),
        ("monitor", {"a": 1}),
        ("callbacks.checkpoint", 3),
    ],
)
def test_what_cannot_be_run_is_one_sentence(tmp_path, config, key, value, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    put(config, key, value)
    with pytest.raises(CornetError) as told:
        rerun(run_folder(tmp_path / "seed0", config))
    assert "\n" not in str(told.value)
    assert str(told.value) != "None"


def test_the_environment_does_not_leak(tmp_path, monkeypatch):
    """References are text, and so are YAML's own calls."""
    monkeypatch.setenv("MY_VARIABLE", "leaked")
    (tmp_path / "config.yaml").write_text("data: {size: '${oc.env:MY_VARIABLE}', a: '${oc.decode:1}'}")
    assert read_config(tmp_path / "config.yaml")["data"]["size"] == "${oc.env:MY_VARIABLE}"


def test_a_checkpoint_makes_no_one_remove_a_file(tmp_path):
    """Lightning removes the file that a checkpoint names as the worst of the best, also through `..`."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "precious").write_text("x")
    callback = BestCheckpoint(tmp_path / "checkpoints")
    trainer = type("Trainer", (), {"ckpt_path": None})()
    new = str(tmp_path / "checkpoints" / "best.ckpt")
    for path in (tmp_path / "checkpoints" / ".." / "precious", tmp_path / "precious", "s3://bucket/x"):
        assert not callback._should_remove_checkpoint(trainer, str(path), new)
    assert callback._should_remove_checkpoint(trainer, str(tmp_path / "checkpoints" / "old.ckpt"), new)
