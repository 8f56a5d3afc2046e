"""Inputs that are not images: floats of any shape, which reach the network as they are."""

import runpy
import sys

import numpy as np
import pytest
import torch
from torch import nn

from cornet import load_run
from cornet.brain import open_subject
from cornet.errors import CornetError
from cornet.models import Area, Network
from cornet.models.own_network import OwnNetwork
from cornet.stimuli.diet import VisualDiet
from cornet.stimuli.normalisation import pixel_scale
from cornet.stimuli.samples import Key, collate, input_shape
from cornet.tasks.multitask import ClassHead
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "examples" / "own_inputs.py"
SMALL = {"epochs": 1, "batch_size": 16, "learning_rate": 0.1, "schedule": "constant"}


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


class Layers(Network):
    """Two areas of units without places, (batch, unit)."""

    def __init__(self, num_classes, inputs):
        super().__init__(
            [Area("low", 1, 0, 10, region="low"), Area("high", 1, 10, 10, region="high")], num_classes
        )
        self.areas = nn.ModuleDict({"low": nn.Linear(inputs, 6), "high": nn.Linear(6, 4)})
        self.decoder = nn.Linear(4, num_classes)

    def run_areas(self, images, steps, keep_all):
        low = self.areas["low"](images).relu()
        return {"low": [low], "high": [self.areas["high"](low).relu()]}


def learner(net, source, task=None, **recipe):
    return Learner(
        net, Recipe(**{**SMALL, **recipe}), source.mean, source.std, source.views, task=task, source=source
    )


@pytest.mark.parametrize("shape", [(5,), (1, 4, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_empty_mean_and_std_change_no_bit(shape, dtype):
    inputs = torch.randn(3, *shape, dtype=dtype)
    mean, std = pixel_scale((), (), dtype=dtype)
    net = OwnNetwork(nn.Identity(), 2)
    assert torch.equal(net(inputs, pixels=(mean, std)), inputs)
    kernels = Layers(2, 5)
    kernels.kernel = nn.Conv2d(1, 1, 3)  # whose layout images would get
    assert torch.equal(kernels.normalise(inputs.float(), mean, std), inputs.to(torch.float32))


def test_a_network_with_areas_learns_from_them(example):
    source = example["Tones"](count=32)
    assert input_shape(source) == (32,)
    module = learner(Layers(2, 32), source)
    batch = next(iter(ImageLoaders(source, 16).train_dataloader()))
    loss, outputs, _ = module.loss(batch, batch.inputs)
    assert torch.equal(outputs.predictions["label"], module.net(batch.inputs))
    expected = torch.nn.functional.cross_entropy(module.net(batch.inputs), batch.labels)
    torch.testing.assert_close(loss, expected)
    assert torch.equal(
        module.differentiable_outputs(batch.inputs).predictions["label"], module.net(batch.inputs)
    )


def test_a_head_reads_an_area_without_places(example):
    source = example["Tones"](count=32)
    task = ClassHead(area="low")
    module = learner(Layers(2, 32), source, task)
    inputs = torch.randn(3, 32)
    found = module.outputs(inputs).predictions["label"]
    low = module.net.areas["low"](inputs).relu()
    torch.testing.assert_close(found, task.heads.linear["label"](low))


def test_validation_takes_the_view(example):
    source = example["Tones"](count=8)
    batch = collate(source.val().__getitems__([Key(k, 0) for k in range(8)]))
    assert batch.inputs.shape == (8, 1, 32)
    module = learner(Layers(2, 32), source).eval()
    module.validation_step(batch, 0)
    logits = module.net(batch.inputs[:, 0])
    assert module.task.metrics()["val/top1"] == (logits.argmax(1) == batch.labels).float().mean()


def test_what_changes_images_is_refused(example):
    source = example["Tones"](count=8)
    with pytest.raises(CornetError, match=r"^recipe\.sizes changes images, but the inputs .* omit it\.$"):
        learner(Layers(2, 32), source, epochs=3, sizes=[[16, 1]])
    with pytest.raises(CornetError, match=r"^diet changes images"):
        Learner(Layers(2, 32), Recipe(**SMALL), (), (), diet=VisualDiet(epochs=3))


@pytest.mark.slow
def test_a_run(train, tmp_path, monkeypatch):
    """It trains, resumes, loads, and cannot be shown images."""
    (tmp_path / "own_inputs.py").write_text(EXAMPLE.read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_inputs", raising=False)
    words = [
        "data=own",
        "data._target_=own_inputs.Tones",
        "model=own",
        "model._target_=own_inputs.Perceptron",
    ]
    words += ["brain=none", "trainer=cpu", "recipe.epochs=3", "recipe.batch_size=32", "name=tones"]
    code, _, err = train(*words, small=False)
    assert code == 0, err
    run = load_run(tmp_path / "runs" / "tones" / "seed0")
    assert run.summary["best"] > 0.9
    import own_inputs

    val = own_inputs.Tones().val()
    logits = run.model("last", trust=True)(torch.from_numpy(val.images[:, 0]))
    accuracy = float((logits.argmax(1).numpy() == val.labels).mean())
    np.testing.assert_allclose(accuracy, run.metrics["val/top1"].dropna().iloc[-1])
    with pytest.raises(CornetError, match="not images"):
        open_subject(str(run.path) + "?V4=1", trust=True)
