"""ONNX and torch.export: every network, run by other programs, gives what the network gives."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from cornet import CornetError, create_model, list_models
from cornet.export.formats import find_format
from cornet.export.source import Source
from cornet.export.write import write_export
from cornet.models import Area, Network, registry
from cornet.models.registry import register
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD
from tests.helpers.models.named import small_arguments

SIZE = 32
WIDTH = {"cornet_r": 0.25, "cornet_rt": 0.25}
"""Narrower ones have three values per group of a norm, which float32 cannot compute to 1e-5."""


def source(name: str, **arguments: object) -> Source:
    torch.manual_seed(0)
    net = create_model(
        name, **{"num_classes": 5, **small_arguments(name, WIDTH.get(name, 0.1)), **arguments}
    ).eval()
    return Source(name, net, SIZE, IMAGENET_MEAN, IMAGENET_STD, classes=list("abcde"))


def run_onnx(folder: Path, name: str, images: torch.Tensor) -> dict[str, torch.Tensor]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options)
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(None, {"images": images.numpy()})), strict=True))


def run_pt2(folder: Path, name: str, images: torch.Tensor) -> dict[str, torch.Tensor]:
    return torch.export.load(folder / f"{name}.pt2").module()(images)


RUN = {"onnx": run_onnx, "torch-export": run_pt2}
FAST = {("cornet_z", "onnx"), ("cornet_z", "torch-export")}
CASES = [
    pytest.param(name, form, marks=[] if (name, form) in FAST else [pytest.mark.slow])
    for name in list_models()
    for form in RUN
]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_every_network(name, form, tmp_path):
    """Batches of 1 and 4, compared with the states of the network by name; the traced batch had 2."""
    given = source(name)
    (line,) = write_export(find_format(form), [given], tmp_path / "out", "net")
    assert "outputs" in line
    for batch in (1, 4):
        images = torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            exact = copy.deepcopy(given.net).double()  # float32 itself errs by 1e-4 in a narrow CORnet-R
            logits, states = (exact if form == "onnx" else given.net)(
                images.double() if form == "onnx" else images, return_states=True
            )
        expected = {"logits": logits}
        for area, state in states.items():
            for step in range(given.net.first_driven_step(area), len(state)):
                expected[f"{area}_step{step}"] = state[step]
        found = RUN[form](tmp_path / "out", "net", images)
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert found[key].shape == value.shape, key
            assert (found[key] - value).abs().max() <= 1e-5 * value.abs().max(), key
    facts = json.loads((tmp_path / "out" / "net.json").read_text())
    assert list(facts["outputs"]) == list(expected)
    assert facts["largest_relative_difference"] <= 1e-5
    assert [facts["outputs"][key]["shape"][1:] for key in expected] == [
        list(v.shape[1:]) for v in expected.values()
    ]
    assert facts["input"] == {
        "name": "images",
        "shape": ["batch", 3, SIZE, SIZE],
        "dtype": "float32",
        "pixels": "0..1, then (pixel - mean) / std for each channel",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "degrees": 8.0,
    }
    assert (facts["model"], facts["classes"], facts["weights_sha256"]) == (
        name,
        list("abcde"),
        given.weights_hash,
    )
    rebuilt = create_model(facts["model"], **facts["arguments"])
    assert rebuilt.architecture() == given.net.architecture()
    for key, value in facts["outputs"].items():
        if key != "logits":
            area = given.net.area_table[value["area"]]
            assert (value["from_ms"], value["to_ms"]) == (
                area.onset_ms + value["step"] * area.step_ms,
                area.onset_ms + (value["step"] + 1) * area.step_ms,
            )
    if form == "onnx":
        check_onnx_file(tmp_path / "out" / "net.onnx", facts)
    else:
        assert not (tmp_path / "out" / "net.onnx").exists()


def check_onnx_file(path: Path, facts: dict) -> None:
    model = onnx.load(path)
    onnx.checker.check_model(model)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, SIZE, SIZE]
    for output in model.graph.output:
        assert output.type.tensor_type.shape.dim[0].dim_param == "batch"
    inside = json.loads(next(prop.value for prop in model.metadata_props if prop.key == "cornet"))
    assert inside["outputs"] == facts["outputs"]


@pytest.mark.slow
def test_the_code_in_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = {"onnx": np.zeros((3, 3, SIZE, SIZE), np.float32), "torch-export": torch.zeros(3, 3, SIZE, SIZE)}
    for form, zeros in images.items():
        write_export(find_format(form), [source("cornet_z")], tmp_path / form, "net")
        text = (tmp_path / form / "README.md").read_text()
        code = text.partition("```python\n")[2].partition("```")[0]
        monkeypatch.chdir(tmp_path / form)
        names: dict = {"images": zeros}
        exec(code, names)
        logits = names["logits"] if form == "onnx" else names["outputs"]["logits"]
        assert tuple(logits.shape) == (3, 5)
        assert "0.229, 0.224, 0.225" in text


@pytest.mark.slow
def test_neuronal_noise_is_off_and_said_to_be(tmp_path):
    given = source("cornet_s", v1="gabor", v1_options={"simple": 4, "complex": 4})
    write_export(find_format("torch-export"), [given], tmp_path / "out", "net")
    assert given.net.areas["V1"].noise
    assert "neuronal noise of V1 is off" in (tmp_path / "out" / "README.md").read_text()
    images = torch.randn(2, 3, SIZE, SIZE)
    found = run_pt2(tmp_path / "out", "net", images)["logits"]
    given.net.areas["V1"].noise = False
    with torch.no_grad():
        torch.testing.assert_close(found, given.net(images))


def test_a_network_without_a_decoder_gives_features(tmp_path):
    given = source("cornet_z", num_classes=0)
    write_export(find_format("torch-export"), [given], tmp_path / "out", "net")
    found = run_pt2(tmp_path / "out", "net", torch.zeros(2, 3, SIZE, SIZE))
    assert next(iter(found)) == "features"
    assert found["features"].shape == (2, 51)


@pytest.mark.slow
def test_weights_beyond_the_limit_lie_in_a_file_beside(tmp_path, monkeypatch):
    monkeypatch.setattr("cornet.export.formats.onnx.ONE_FILE", 1000)
    write_export(find_format("onnx"), [source("cornet_z")], tmp_path / "out", "net")
    assert (tmp_path / "out" / "net.onnx.data").stat().st_size > 1000
    images = torch.zeros(1, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(
            run_onnx(tmp_path / "out", "net", images)["logits"], source("cornet_z").net(images)
        )


@pytest.mark.slow
def test_without_onnxruntime_it_is_written_and_said_to_be_unchecked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (line,) = write_export(find_format("onnx"), [source("cornet_z")], tmp_path / "out", "net")
    assert "was not compared with the network, as onnxruntime is not installed (pip install 'cornet-v" in line
    assert json.loads((tmp_path / "out" / "net.json").read_text())["checked_under"] is None
    assert "It was not compared" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_onnx(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        CornetError, match=rf"needs the package {package}, .*pip install 'cornet-ventral\[onnx\]'"
    ):
        write_export(find_format("onnx"), [source("cornet_z")], tmp_path / "out", "net")
    assert not (tmp_path / "out").exists()


class Odd(Network):
    """A network whose graph depends on the values of the image, or has an operation that ONNX lacks."""

    def __init__(self, kind: str = "branch", num_classes: int = 5):
        super().__init__([Area("IT", 1, 100, 100)], num_classes)
        self.kind = kind
        self.decoder = nn.Linear(3, num_classes)

    def run_areas(self, images, steps, keep_all):
        if self.kind == "branch" and images.sum() > 0:
            images = images * 2
        if self.kind == "linear algebra":
            images = torch.linalg.matrix_exp(images / 100)
        return {"IT": [images]}


@pytest.fixture
def odd():
    register("odd")(Odd)
    yield
    del registry.REGISTERED["odd"]


@pytest.mark.parametrize("form", RUN)
def test_a_network_that_cannot_be_traced(form, odd, tmp_path):
    given = Source("odd", create_model("odd").eval(), SIZE, IMAGENET_MEAN, IMAGENET_STD)
    with pytest.raises(CornetError, match="odd cannot be exported, as PyTorch cannot trace it") as caught:
        write_export(find_format(form), [given], tmp_path / "out", "net")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_network_that_onnx_cannot_express(odd, tmp_path):
    net = create_model("odd", kind="linear algebra").eval()
    given = Source("odd", net, SIZE, IMAGENET_MEAN, IMAGENET_STD)
    with pytest.raises(
        CornetError, match=r"odd cannot be exported to ONNX .*; use --to torch-export"
    ) as caught:
        write_export(find_format("onnx"), [given], tmp_path / "out", "net")
    assert "\n" not in str(caught.value)
    write_export(find_format("torch-export"), [given], tmp_path / "out", "net")


@pytest.mark.parametrize("name", ["../net", "a/b", ".net", "a b", ""])
def test_names_that_are_no_files(name, tmp_path):
    with pytest.raises(CornetError, match=r"--name .* must consist of letters"):
        write_export(find_format("torch-export"), [source("cornet_z")], tmp_path / "out", name)
    assert not list(tmp_path.iterdir())
