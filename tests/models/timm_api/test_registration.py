"""Our names in timm's registry, whichever of the two packages is imported first."""

import subprocess
import sys

import pytest
import timm
import torch

import cornet
from cornet import CornetError, create_model, list_models
from cornet.models.registry import registered
from cornet.models.timm_api.features import FeatureMaps
from cornet.models.timm_api.hook import TimmFinder, watch_timm
from tests.helpers.models.named import small_arguments

SHOWN = [name if name.startswith("cornet_") else f"cornet_{name}" for name in list_models()]

USE = """
import torch
assert timm.list_models("cornet*") == {shown}, timm.list_models("cornet*")
net = timm.create_model("cornet_s", num_classes=10, width=0.1)
assert type(net) is cornet.models.CORnet
assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
assert timm.data.resolve_model_data_config(net)["input_size"] == (3, 224, 224)
print("registered")
"""
LIGHT = """
import sys, cornet
print([name for name in ("torch", "timm", "numpy") if name in sys.modules])
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow  # imports timm in a process of its own
@pytest.mark.parametrize(
    "order", ["cornet, timm", "timm, cornet", "timm.models, cornet, timm", "cornet, timm.data, timm"]
)
def test_both_orders(order):
    assert run(f"import {order}\n{USE.format(shown=sorted(SHOWN))}") == "registered"


def test_cornet_alone_imports_neither():
    assert run(LIGHT) == "[]"


def test_names_do_not_clash_and_are_all_there():
    assert timm.list_models("cornet*") == sorted(SHOWN)
    for name in SHOWN:
        assert timm.models.model_entrypoint(name).__module__ == "cornet.models.timm_api.entries"
    for name in set(list_models()) - set(SHOWN):  # b, blt, ...: short names stay timm's
        assert not timm.is_model(name)
    assert timm.list_models("cornet*", pretrained=True) == sorted(
        name for name in list_models() if registered(name).weights
    )
    assert timm.models.get_pretrained_cfg("cornet_s").url == registered("cornet_s").weights
    assert not any(isinstance(finder, TimmFinder) for finder in sys.meta_path)


def test_registering_again_changes_nothing():
    before = {name: timm.models.model_entrypoint(name) for name in SHOWN}
    watch_timm()
    assert {name: timm.models.model_entrypoint(name) for name in SHOWN} == before


@pytest.mark.parametrize("name", list_models())
def test_a_network_from_timm_is_the_network_of_cornet(name):
    arguments = {**small_arguments(name), "num_classes": 5}
    torch.manual_seed(0)
    expected = create_model(name, **arguments)
    torch.manual_seed(0)
    net = timm.create_model(name if name.startswith("cornet_") else f"cornet_{name}", **arguments)
    assert type(net) is type(expected)
    assert net.made_with == expected.made_with
    assert all(torch.equal(net.state_dict()[key], value) for key, value in expected.state_dict().items())


def test_what_the_scripts_of_timm_pass():
    net = timm.create_model(
        "cornet_rt",
        pretrained=False,
        in_chans=1,
        num_classes=0,
        drop_rate=0.0,
        drop_path_rate=None,
        global_pool="avg",
        scriptable=False,
        checkpoint_path="",
        width=0.1,
    )
    assert net(torch.zeros(2, 1, 32, 32)).shape == (2, net.num_features)
    maps = timm.create_model("cornet_s", features_only=True, out_indices=(0, 2), width=0.1)
    assert isinstance(maps, FeatureMaps)
    assert maps.feature_info.reduction() == [4, 16]
    config = timm.data.resolve_model_data_config(
        timm.create_model(
            "cornet_z", width=0.05, pretrained_cfg_overlay={"mean": (0.5,) * 3, "input_size": (3, 64, 64)}
        )
    )
    assert (config["mean"], config["input_size"]) == ((0.5,) * 3, (3, 64, 64))


def test_pretrained_weights_come_from_our_loader(tmp_path, monkeypatch):
    """A folder stands for the server; the file has another hash than its name says, which our loader refuses."""
    net = create_model("cornet_z")
    file = registered("cornet_z").file
    torch.save({"state_dict": cornet.to_published(net)}, tmp_path / file)
    monkeypatch.setenv("CORNET_WEIGHTS_URL", str(tmp_path))
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CornetError, match="SHA-256"):
        timm.create_model("cornet_z", pretrained=True)
    (tmp_path / "cache" / "weights").mkdir(parents=True, exist_ok=True)
    given = timm.create_model("cornet_z", pretrained=True, accept_hash=True, num_classes=10)
    assert given.num_classes == 10
    trunk = {key: value for key, value in net.state_dict().items() if not key.startswith("decoder")}
    assert all(torch.equal(given.state_dict()[key], value) for key, value in trunk.items())


def test_weights_from_a_file_as_in_timm(tmp_path):
    net = create_model("cornet_rt", num_classes=5, width=0.1)
    torch.save(net.state_dict(), tmp_path / "w.pth")
    again = timm.create_model(
        "cornet_rt",
        pretrained=True,
        pretrained_cfg_overlay={"file": tmp_path / "w.pth"},
        num_classes=5,
        width=0.1,
    )
    after = timm.create_model("cornet_rt", checkpoint_path=str(tmp_path / "w.pth"), num_classes=5, width=0.1)
    for one in (again, after):
        assert all(torch.equal(one.state_dict()[key], value) for key, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cornet_s", {"drop_rate": 0.5}, "cornet_s has no drop_rate=0.5; leave it out"),
        ("cornet_s", {"global_pool": "max"}, "has no global_pool='max'"),
        ("cornet_s", {"gizmo": 1}, "cornet_s has no argument 'gizmo'"),
        ("cornet_s.in1k", {}, "cornet_s has no weights named 'in1k'"),
        ("cornet_b", {"pretrained": True, "width": 0.1}, "b has no published weights"),
        ("cornet_s", {"cache_dir": "x"}, "set the environment variable CORNET_CACHE"),
    ],
)
def test_refused(name, arguments, message):
    with pytest.raises(CornetError, match=message):
        timm.create_model(name, **arguments)
