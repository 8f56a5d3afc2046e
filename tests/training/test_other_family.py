"""A registered network of another family trains a step, with brain scores from its own areas."""

import pytest
import torch

from cornet import BrainScore, StepMatrix, create_model
from cornet.runs.checkpoints import network_of_file
from cornet.runs.scores import read_scores
from cornet.stimuli.objects import RenderedObjects
from cornet.tasks import Regression
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


@pytest.mark.parametrize("name", ["blt", "hcnn"])
def test_a_checkpoint_of_a_task_with_its_own_heads_is_loaded(tmp_path, name):
    source = RenderedObjects(train_images=8, val_images=8, size=32, targets=["x"], cache=str(tmp_path))
    arguments = {"num_classes": 8, "width": 0.1, **({"times": 2} if name == "blt" else {})}
    facts = {"model.name": name, **{f"model.{key}": value for key, value in arguments.items()}}
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.05, schedule="constant")
    net = create_model(name, **arguments)
    module = Learner(net, recipe, MEAN, STD, facts=facts, task=Regression(["x"]), source=source).eval()
    torch.save({"state_dict": module.state_dict(), "cornet": module.facts}, tmp_path / "last.ckpt")
    loaded = network_of_file(tmp_path / "last.ckpt", size=32).net.eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded(images), net(images))
