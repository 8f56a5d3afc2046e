"""A registered network of another family trains a step, with brain scores from its own areas."""

import pytest
import torch

from cornet import BrainScore, StepMatrix, create_model
from cornet.runs.scores import read_scores
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.models.two_areas import NAME, registration
from tests.helpers.training.small_trainings import MEAN, STD, batches, fit


@pytest.fixture(autouse=True)
def family(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    with registration():
        yield


@pytest.mark.parametrize("step_loss", [0.0, 0.5])
def test_it_trains_and_is_scored_without_layers(tmp_path, step_loss):
    torch.manual_seed(0)
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.05, schedule="constant", step_loss=step_loss)
    module = Learner(create_model(NAME, num_classes=5), recipe, MEAN, STD)
    before = module.net.decoder.weight.detach().clone()
    bundle = str(write(tmp_path / "mine", assembly(("A",) * 4 + ("IT",) * 4)))
    brain = BrainScore([bundle], folder=tmp_path, size=32, network="net", metric="ridge")
    fit(module, batches(2), callbacks=[brain, StepMatrix()])
    assert not torch.equal(module.net.decoder.weight, before)
    scores = read_scores(tmp_path)
    assert sorted(set(scores["region"])) == ["A", "IT"]
    assert set(scores["sites"]) == {"A[0]", "B[1]"}
    assert scores["raw"].notna().all()
