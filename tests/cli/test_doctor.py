"""`cornet doctor` as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

from cornet.cli.health import torch_state
from tests.helpers.paths import ROOT


@pytest.fixture
def probed(monkeypatch):
    """A PyTorch that can be imported and sees no GPU, without the seconds that the import takes."""
    answer = {name: {"version": "2.15.0"} for name in torch_state.TITLES}
    cuda = {"built": None, "available": False, "devices": []}
    monkeypatch.setattr(torch_state, "probed", lambda: {**answer, "cuda": cuda})


def test_a_table_and_json(cornet, probed, tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    code, out, err = cornet("doctor", "--root", str(tmp_path / "runs"), "--json")
    found = json.loads(out)
    states = {one["name"]: one["state"] for one in found["checks"]}
    assert (code, err) == (0 if found["ok"] else 1, "")
    assert states["torch.compile"] == "note"
    assert {"Python", "dependencies", "GPU", "cores", "memory", "cache", "kar2019", "W&B"} <= set(states)
    code, out, err = cornet("doctor", "--root", str(tmp_path / "runs"))
    assert [name for name in states if name.strip() not in out] == []
    assert "-> " in out
    assert out.rstrip().endswith(("a training can start.", "leaves a GPU unused."))


def test_a_problem_sets_the_status(cornet, probed, tmp_path):
    code, out, _ = cornet("doctor", "--root", "/proc/self", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


@pytest.mark.slow  # starts Python, and imports PyTorch and Lightning
def test_in_a_process_of_its_own(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CORNET_CACHE": str(tmp_path),
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "cornet", "doctor", "--root", str(tmp_path / "runs"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert found["PyTorch"]["state"] == found["Lightning"]["state"] == "ok"
    assert done.returncode == (1 if any(one["state"] == "problem" for one in found.values()) else 0)


def test_it_says_that_everything_is_missing(tmp_path):
    """Neither PyTorch nor numpy nor pandas can be imported, in a Python that still has the command line's packages."""
    names = ("torch", "numpy", "pandas", "scipy", "yaml", "hydra")
    block = f"import sys\nfor name in {names}:\n    sys.modules[name] = None\n"
    script = block + "sys.argv = ['cornet', 'doctor', '--json']\nfrom cornet.cli import main\nmain()\n"
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "CORNET_CACHE": str(tmp_path)}
    environment |= {"HOME": str(tmp_path), "CXX": "none"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1, done.stderr
    assert (found["PyTorch"]["state"], found["PyTorch"]["text"]) == ("problem", "missing")
    assert found["memory"]["values"]["available"] > 0
    assert not [one for one in found.values() if "cannot be checked" in one["text"]]
