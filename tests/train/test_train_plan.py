"""What a run would take: from the command line, without a trace, and not far from what it then takes."""

import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console
from typer.testing import CliRunner

from cornet.cli import app
from cornet.errors import CornetError
from cornet.report.terminal_tables import print_plan
from cornet.terminal import duration
from cornet.training.plan import plan_training
from tests.helpers.paths import ROOT

SMALL = [
    "data.train_images=256",
    "data.val_images=32",
    "data.size=32",
    "model.width=0.1",
    "recipe.batch_size=16",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def told(*overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return plan_training(compose("config", [*SMALL, *overrides]))


@pytest.mark.slow
def test_train_py_tells_and_leaves_nothing(tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), *SMALL, "brain=none", "plan=true", "recipe.epochs=3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    for words in ("images per second", "total, 3 epochs", "Bottleneck: the network itself."):
        assert words in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow  # trains some steps
def test_described_hardware_is_taken_and_said():
    plain = told("brain=none")
    described = told(
        "brain=none", "hardware.devices=4", "hardware.images_per_second=1000", "hardware.cores=16"
    )
    assert described.measured.batch == plain.measured.batch / 4 == 4
    assert described.images_per_second == pytest.approx(4000)
    assert described.given == ["cores", "devices", "images_per_second"]
    assert plain.steps == described.steps == 16
    console = Console(record=True, width=100)
    print_plan(described, console)
    assert "Given, not measured: cores, devices, images_per_second" in console.export_text()


def test_the_command_takes_old_names_of_keys():
    composed = CliRunner().invoke(app, ["plan", "model.front=gabor", "hardware.devices=0"])
    assert "hardware.devices=0 must be" in str(composed.exception)
    misspelt = CliRunner().invoke(app, ["plan", "model.front=gabor", "model.wdth=1"])
    assert "did you mean model.width?" in str(misspelt.exception)


@pytest.mark.slow  # trains many times
def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(monkeypatch):
    def training_step(*_):
        raise MemoryError

    monkeypatch.setattr("cornet.training.learner.Learner.training_step", training_step)
    with pytest.raises(CornetError, match=r"recipe\.batch_size=16 does not fit .*set recipe\.accumulate=2"):
        told("brain=none")


@pytest.mark.slow
def test_brain_scores_have_their_share():
    scored = told(
        "brain=simulated", "brain.benchmarks.simulated=[simulated.V1]", "brain.every=2", "recipe.epochs=4"
    )
    assert scored.evaluations == pytest.approx(3 / 4)  # before, after 2 and 4
    assert 0 < scored.brain_share < 1
    assert scored.brain == pytest.approx(0.75 * (640 * scored.measured.record + scored.measured.compare))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("hardware.devices=3", "recipe.batch_size=16 must be a multiple of hardware.devices=3"),
        ("hardware.cores=0", "hardware.cores=0 must be a whole number"),
    ],
)
def test_hardware_that_cannot_be(override, said):
    with pytest.raises(CornetError, match=said):
        told("brain=none", override)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0.4 s"),
        (4.5, "4.5 s"),
        (59.7, "1:00 min"),
        (725, "12:05 min"),
        (12_000, "3:20 h"),
        (4 * 86400, "4.0 days"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
