"""The examples of a user's own parts, run by the commands that they show."""

import re
import shlex

import pytest

from cornet import load_run
from tests.helpers.paths import ROOT

SMALL = [
    *("data.train_images=64", "data.val_images=32", "data.size=32", "model.width=0.1"),
    *("recipe.epochs=1", "recipe.batch_size=16", "brain.benchmarks={}"),
]
EXAMPLES = {
    "own_network": ["train/loss", "brain/V4"],
    "own_loss": ["train/loss_activity"],
    "own_callback": ["val/top1", "brain/V4"],
    "own_task": ["val/living"],
    "own_images": ["val/top1"],
    "own_benchmark": ["brain/position-tolerance"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The examples, in the current folder."""
    for path in (ROOT / "examples").glob("own_*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    return tmp_path


def shown(name):
    """The words of the command in an example."""
    text = (ROOT / "examples" / f"{name}.py").read_text().replace("\\\n", " ")
    return shlex.split(re.search(r"python \.\./train\.py (.*)", text)[1])


def test_every_example_is_here():
    assert {path.stem for path in (ROOT / "examples").glob("own_*.py")} == set(EXAMPLES)
    for path in (ROOT / "examples").glob("own_*.py"):
        assert 20 <= len(path.read_text().splitlines()) <= 60, path.name


@pytest.mark.slow  # trains
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_command_of_an_example(train, folder, name):
    words = shown(name)
    small = [word for word in SMALL if not (name == "own_images" and word.startswith("data."))]
    small = [word for word in small if not (name == "own_network" and word.startswith("model."))]
    if name in ("own_network", "own_callback"):
        small[-1] = "brain.benchmarks.simulated=[simulated.V4]"
    if "brain=none" in words:
        small = small[:-1]
    code, out, err = train(*words, *small, small=False)
    assert code == 0, err
    (run,) = folder.glob("runs/**/config.yaml")
    assert set(EXAMPLES[name]) <= set(load_run(run.parent).metrics)
    if name == "own_callback":
        assert "simulated.V4 has gained most" in out
