"""The examples of a user's own parts, run by the commands that they show."""

import re
import shlex

import numpy as np
import pytest

from cornet import brain, load_run
from cornet.brain.metrics.neural import registry
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
    "own_inputs": ["val/top1"],
    "own_benchmark": ["brain/position-tolerance"],
}


PROGRAMS = {"own_bundle", "own_metric"}
"""Examples that are programs of their own, not parts of a training."""


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
    assert {path.stem for path in (ROOT / "examples").glob("own_*.py")} == {*EXAMPLES, *PROGRAMS}
    for path in (ROOT / "examples").glob("own_*.py"):
        assert 20 <= len(path.read_text().splitlines()) <= 70, path.name


@pytest.mark.slow  # trains
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_command_of_an_example(train, folder, name):
    words = shown(name)
    small = [
        word for word in SMALL if not (name in ("own_images", "own_inputs") and word.startswith("data."))
    ]
    small = [
        word for word in small if not (name in ("own_network", "own_inputs") and word.startswith("model."))
    ]
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


def loaded(name):
    """The names that an example defines."""
    names = {"__name__": name}
    exec(compile((ROOT / "examples" / f"{name}.py").read_text(), f"{name}.py", "exec"), names)
    return names


def test_a_bundle_holds_what_was_recorded(tmp_path):
    """Read back: all repetitions of all neuroids, by stimulus; oriented filters predict it, pixels do not."""
    example = loaded("own_bundle")
    pictures, responses = example["recorded"]()
    example["write_bundle"](tmp_path / "mine", pictures, responses)
    bundle = brain.load_bundle(tmp_path / "mine")
    read = bundle.responses("V1", time_bin=(70, 170))
    assert read.repetitions.shape == responses.shape
    assert np.allclose(read.repetitions, responses, atol=1e-6)
    subjects = [brain.open_subject(name) for name in ("pixels", "gabor")]
    pixels, gabor = brain.run_battery(subjects, brain.open_benchmarks([str(tmp_path / "mine")]))
    assert gabor.score.raw > 0.8 > 0.3 > pixels.score.raw


def test_a_metric_predicts_from_neighbours():
    """Stimuli in pairs that respond alike: with the responses as features the nearest is the pair. Then no relation."""
    example = loaded("own_metric")
    try:
        metric = registry.neural_metric("neighbours")
        metric.nearest = 1
        rng = np.random.default_rng(0)
        responses = np.repeat(rng.standard_normal((20, 3)), 2, axis=0)
        splits = [(np.arange(0, 40, 2), np.arange(1, 40, 2))]
        assert metric.score(responses, responses, splits).raw == pytest.approx(1)
        assert abs(metric.score(rng.standard_normal((40, 3)), responses, splits).raw) < 0.5
        repetitions = responses + 0.1 * rng.standard_normal((4, 40, 3))
        assert metric.ceiling(repetitions).raw == brain.internal_consistency(repetitions).raw
    finally:
        registry.METRICS.pop("neighbours")
    assert example["Neighbours"].nearest == 5
