"""`cornet score` with the user's own code, layers and sizes, and what it says of mistakes."""

import json

import pytest
from typer.testing import CliRunner

from cornet import CornetError
from cornet.cli import app
from tests.helpers.brain.drawn_bundle import assembly, write

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, 2)
        self.again = nn.Conv2d(width, width, 3, 1, 1)
        self.head = nn.Linear(width, 5)

    def forward(self, images):
        x = self.first(images)
        for _ in range(3):
            x = self.again(x).relu()
        return self.head(x.mean((2, 3)))

def build(width: int = 4):
    return Net(width)

def wrong():
    return 3

def broken():
    raise KeyError("x")
"""


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    return str(write(tmp_path / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """The name of a module in the current folder that no other test has imported."""
    name = f"nets_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return name


def run(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def scores(*words):
    done = run("score", *words, "--size", "16", "--json")
    return {row["benchmark"]: row for row in json.loads(done.stdout)}


def test_own_code_is_scored(bundle, nets):
    rows = scores(f"{nets}:build?width=6", "--on", bundle, "--layers", "V4=first", "IT=again")
    assert rows["mine.V4"]["sites"] == "first[0]"
    assert rows["mine.IT"]["sites"] == "again[2]"
    assert rows == {
        name: row | {"model": f"{nets}:build?width=6", "seconds": rows[name]["seconds"]}
        for name, row in scores(
            f"{nets}:build?width=6", "--on", bundle, "--layers", "V4=first,IT=again"
        ).items()
    }
    assert scores(f"{nets}:Net", "--on", bundle, "--layers", "V4=first").keys() == {"mine.V4"}


def test_calls_of_a_layer_have_times(bundle, nets):
    rows = scores(
        f"{nets}:Net", "--on", bundle, "--layers", "V4=again", "--step-ms", "50", "--time-bin", "70-170"
    )
    assert rows["mine.V4"]["sites"] == "again[0]"  # 90 to 140 ms, which begins nearest to 70
    assert scores(f"{nets}:Net", "--on", bundle, "--layers", "V4=again[1]")["mine.V4"]["sites"] == "again[1]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("{nets}.py", "--on", "simulated"),
            r"{nets}\.py is Python code; name a function .*: {nets}:Net or {nets}:build",
        ),
        (("{nets}.build", "--on", "simulated"), "write a colon before the function or class: {nets}:build"),
        (("{nets}:bild", "--on", "simulated"), "has no 'bild'; did you mean build"),
        (("{nets}:wrong", "--on", "simulated"), "returns a int, not a torch.nn.Module"),
        (("{nets}:broken", "--on", "simulated"), r"failed \(KeyError: 'x', in {nets}\.py, line 25\)"),
        (("{nets}:build?depth=3", "--on", "simulated"), "unexpected keyword argument 'depth'"),
        (("{nets}:build?untrained", "--on", "simulated"), "decides about its weights itself"),
        (("{nets}:build?mean=a", "--on", "simulated"), "mean='a', which must be three numbers"),
        (
            ("no_such_package_1.nets:build", "--on", "simulated"),
            "ModuleNotFoundError: No module named 'no_such_package_1'",
        ),
        (("gabor",), "--on is missing; name the benchmarks, as in cornet score gabor --on simulated"),
        (("gabor", "--on", "/nope"), "the folder /nope does not exist"),
        (
            ("{nets}:Net", "--on", "simulated.V4", "--layers", "layer3"),
            "--layers layer3 must be a region and its layer",
        ),
        (
            ("{nets}:Net", "--on", "simulated.V4", "--layers", "V4=frst"),
            "no layer 'frst'; did you mean first",
        ),
        (("{nets}:Net", "--on", "simulated.V4"), "no layer for region 'V4'"),
        (("gabor", "--on", "simulated.V4", "--step-ms", "5"), "step_ms=5.0 does not apply to gabor"),
    ],
)
def test_mistakes(nets, words, message):
    with pytest.raises(CornetError, match=message.format(nets=nets)):
        run("score", *(word.format(nets=nets) for word in words))
