"""Names of networks: found in the source without importing it, registered by the decorator, and refused."""

import importlib
import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import cornet
from cornet import CornetError, create_model, list_models
from cornet.cli import app
from cornet.models import count_macs, describe, register, registry, to_published
from cornet.models.loading import load_state, load_weights
from cornet.models.registry import found_modules, registered
from tests.helpers.models.named import CORNETS
from tests.helpers.models.two_areas import NAME, TwoAreas, registration
from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def family():
    with registration():
        yield


def test_every_name_in_the_source_is_registered_by_its_module():
    assert found_modules() == {
        **dict.fromkeys(("b", "bl", "blt"), "cornet.models.blt"),
        **dict.fromkeys(CORNETS, "cornet.models.cornet.family"),
        "fly": "cornet.models.fly.network",
        "hcnn": "cornet.models.hcnn.network",
        "hmax": "cornet.models.hmax.network",
        **dict.fromkeys(("kell_2018", "kell_small"), "cornet.models.kell.network"),
    }
    for name, module in found_modules().items():
        assert registered(name).make.__module__ == module
        assert registered(name).make.__name__.lower().replace("_", "") == name.replace("_", "")
        assert registered(name).summary
        assert registered(name).paper
        assert registered(name).file.startswith(f"{name}-") == (name in CORNETS)


FAMILY = """
from cornet.models import Area, Network, register

@register(
    "one_file", summary="found in its source"
)
class OneFile(Network):
    def __init__(self, num_classes=2):
        super().__init__([Area("V1", 1, 50, 100)], num_classes)

    def run_areas(self, images, steps, keep_all):
        return {"V1": [images]}
"""


def test_a_file_in_the_folder_is_enough(tmp_path, monkeypatch):
    (tmp_path / "my_family.py").write_text(FAMILY)
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "registry.py"))
    monkeypatch.setattr(cornet.models, "__path__", [*cornet.models.__path__, str(tmp_path)])
    found_modules.cache_clear()
    try:
        assert "one_file" in list_models()
        assert "cornet.models.my_family" not in sys.modules
        assert create_model("one_file", num_classes=3).num_classes == 3
    finally:
        found_modules.cache_clear()
        registry.REGISTERED.pop("one_file", None)
        sys.modules.pop("cornet.models.my_family", None)


def test_the_example_of_the_documentation(tmp_path, monkeypatch):
    text = (ROOT / "docs/own-parts.md").read_text().partition("## A network family\n")[2]
    code = text.partition("```python\n")[2].partition("```")[0]
    assert len(code.splitlines()) <= 32
    (tmp_path / "documented_family.py").write_text(code.replace('"two_areas"', '"documented"'))
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        importlib.import_module("documented_family")
        net = create_model("documented", num_classes=3, channels=4)
        logits, states = net(torch.randn(2, 3, 32, 32), return_states=True, times=6)
        assert logits.shape == (2, 3)
        assert {name: state.shape[:3] for name, state in states.items()} == {
            "stem": (1, 2, 4),
            "IT": (6, 2, 4),
        }
        assert net.area_table["stem"].region == "V1"
        assert describe("documented", 64).macs > 0
    finally:
        registry.REGISTERED.pop("documented", None)


def test_names_are_listed_without_pytorch():
    program = "import sys, cornet; print(*cornet.list_models()); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [" ".join(["b", "bl", "blt", *CORNETS, "hcnn", "hmax"]), "False"]


def test_another_family_has_a_name():
    assert NAME in list_models()
    net = create_model(NAME, num_classes=4, channels=5)
    assert isinstance(net, TwoAreas)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 4)
    assert create_model(NAME, times=7).steps == {"A": 7, "B": 7}
    with pytest.raises(CornetError, match="two_areas has no argument 'chanels'; did you mean channels"):
        create_model(NAME, chanels=4)
    with pytest.raises(CornetError, match="two_areas has no argument 'front'; choose from num_classes, chan"):
        create_model(NAME, front="gabor")
    with pytest.raises(CornetError, match="two_areas has no published weights; give pretrained=PATH"):
        create_model(NAME, pretrained=True)


def test_its_costs_are_measured():
    row = describe(NAME, 64, num_classes=10)
    assert row.depth is None
    assert (row.steps, row.summary, row.paper, row.top1) == (
        {"A": 3, "B": 3},
        "two recurrent areas",
        "a test",
        None,
    )
    up, again = 6 * 6 * 9 * 8 * 8, 6 * 6 * 9 * 8 * 8
    assert row.macs == 6 * 3 * 25 * 16 * 16 + 3 * up + 2 * again + 6 * 10
    net = create_model(NAME, num_classes=10).train()
    assert count_macs(net, 64) == row.macs
    assert net.training
    assert not net.decoder.weight.is_meta


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "120", "TERM": "dumb"})


def test_it_is_in_the_table_of_models():
    result = run("models", "--size", "64")
    assert result.exit_code == 0
    assert "two_areas" in result.output
    text = " ".join(result.output.split())
    assert (
        "Steps: in V1, V2, V4, IT (b, bl, blt, cornet_r, cornet_rt, cornet_s, cornet_z, hcnn); S1, C1, S2, C2 (hmax);"
        in text
    )
    assert "A, B (two_areas)." in text
    rows = json.loads(run("models", "--json", "--size", "64").output)
    assert next(row for row in rows if row["name"] == NAME)["depth"] is None
    alone = run("models", NAME, "times=4", "--size", "64")
    assert alone.exit_code == 0
    assert "A: 50-110, 110-170, 170-230, 230-290" in alone.output
    assert "B: -, 70-120, 120-170, 170-220" in alone.output


def test_a_network_that_does_not_take_an_option_is_left_out_of_the_table_alone():
    result = run("models", "--width", "0.25", "--size", "64", "--json")
    assert "two_areas is left out, as it has no argument 'width'." in result.stderr
    assert [row["name"] for row in json.loads(result.stdout)] == ["b", "bl", "blt", *CORNETS, "hcnn"]
    assert run("models", NAME, "--width", "0.25").exit_code != 0


def test_weights_come_from_a_file(tmp_path):
    torch.manual_seed(1)
    net = create_model(NAME, num_classes=4)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.pth")
    again = create_model(NAME, num_classes=4, pretrained=str(tmp_path / "w.pth"))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(images), net(images))
    trunk = create_model(NAME, num_classes=5, pretrained=tmp_path / "w.pth").state_dict()
    assert all(
        torch.equal(trunk[key], value) for key, value in net.state_dict().items() if "decoder" not in key
    )


def test_state_dicts_of_trainings_fit_and_others_are_refused_before_anything_is_loaded():
    net, other = create_model(NAME, num_classes=4), create_model(NAME, num_classes=4)
    state = {f"net.{key}": value for key, value in other.state_dict().items()}
    load_state(net, state)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in other.state_dict().items())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    broken = {**{key: value + 1 for key, value in before.items()}, "decoder.bias": torch.zeros(4).int()}
    for content, message in (
        (broken, "holds torch.int32 under 'decoder.bias'"),
        ({"up.weight": before["up.weight"]}, "7 are missing"),
        ({**before, "extra": torch.zeros(1)}, "1 unexpected, 0 of another shape, such as extra"),
    ):
        with pytest.raises(CornetError, match=message):
            load_state(net, content)
        assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


def test_cornets_weights_are_loaded_in_the_published_layout():
    net, other = (create_model("cornet_z", num_classes=4, width=0.05) for _ in range(2))
    load_weights("cornet_z", net, to_published(other))
    assert all(torch.equal(net.state_dict()[key], value) for key, value in other.state_dict().items())


def test_names_that_are_refused():
    with pytest.raises(CornetError, match=r"'two_areas' of .*other is taken by .*TwoAreas; choose another"):

        @register("two_areas")
        def other():
            return TwoAreas()

    with pytest.raises(CornetError, match=r"'cornet_z' of .*mine is taken by cornet\.models\.cornet\.family"):

        @register("cornet_z")
        def mine():
            return TwoAreas()

    with pytest.raises(CornetError, match="'two areas' must consist of letters, digits and _"):
        register("two areas")(TwoAreas)
    assert registered(NAME).make is TwoAreas
    register(NAME, summary="run again, as in a notebook")(TwoAreas)
    assert registered(NAME).summary.startswith("run again")


def test_a_name_must_build_a_network():
    @register("line")
    def line():
        return nn.Linear(2, 2)

    try:
        with pytest.raises(
            CornetError, match=r"line is a Linear, which must be a subclass of cornet\.models\.N"
        ):
            create_model("line")
    finally:
        del registry.REGISTERED["line"]
