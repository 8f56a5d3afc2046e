"""Alignment to recordings: the distance, what is held out, what each step sees, and mistakes."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision

from cornet import CornetError
from cornet.brain.metrics.similarity import cka
from cornet.losses import RecordingAlignment
from cornet.losses.recorded_target import open_recorded
from cornet.losses.recordings import cka_distance
from cornet.models import create_model
from cornet.models.own_network import OwnNetwork
from cornet.stimuli.objects import RenderedObjects
from cornet.training.callbacks.brain_checkpoint import BestCheckpoint
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe
from tests.helpers.brain.drawn_bundle import STIMULI, Drawn, assembly, write
from tests.helpers.brain.small_bundles import ids
from tests.helpers.stimuli.pictures import encode
from tests.helpers.training.small_trainings import MEAN, STD, batches, fit


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of V4 and IT whose responses are a linear function of the grey levels of twelve patches."""
    folder = write(tmp_path_factory.mktemp("bundles") / "mine", assembly(("V4",) * 5 + ("IT",) * 3))
    greys = (128 + 45 * Drawn().features).clip(0, 255).astype(np.uint8).reshape(STIMULI, 3, 4)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for name, grey in zip(ids(STIMULI), greys, strict=True):
            archive.writestr(f"{name}.png", encode(np.kron(grey, np.ones((16, 12), np.uint8))))
    return str(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return RenderedObjects(train_images=32, val_images=16, size=32, cache=tmp_path_factory.mktemp("objects"))


def learner(source, losses, net=None, **recipe):
    torch.manual_seed(0)
    net = net or create_model("cornet_s", num_classes=5, width=0.125)
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant", **recipe}
    return Learner(net, Recipe(**settings), MEAN, STD, losses=losses, source=source)


def test_distance_is_one_minus_cka():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(40, k, dtype=torch.float64, generator=generator) for k in (300, 7))
    b = b + a[:, :7]
    assert float(cka_distance(a, b)) == pytest.approx(1 - cka(a.numpy(), b.numpy()), abs=1e-9)
    assert (
        float(cka_distance(a, 3 * a @ torch.linalg.qr(torch.randn(300, 300, dtype=torch.float64))[0])) < 1e-9
    )
    assert float(cka_distance(a, torch.ones(40, 2, dtype=torch.float64))) == 1


def test_gradient_of_the_distance():
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(9, k, dtype=torch.float64, generator=generator) for k in (4, 3))
    b = b + a[:, :3]
    assert torch.autograd.gradcheck(lambda x: cka_distance(x, b), (a.requires_grad_(),))


def test_stimuli_and_neuroids_are_held_out(bundle):
    target = open_recorded(f"{bundle}:V4", stimuli=0.75, neuroids=0.6, seed=4)
    total = len(target.benchmark.responses.stimulus_ids)
    train, test = target.stimuli
    assert len(train) == int(0.75 * total)
    assert not set(train) & set(test)
    assert sorted([*train, *test]) == list(range(total))
    assert [len(one) for one in target.neuroids] == [3, 2]
    responses = target.responses(False, 4)
    assert responses.shape == (len(train), 3)
    torch.testing.assert_close(responses.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    shuffled = target.responses(True, 4)
    assert torch.equal(shuffled.sort(0).values, responses.sort(0).values)
    assert not torch.equal(shuffled, responses)
    inside, outside = target.benchmarks(None, "ridge")
    known = target.benchmark.responses
    for one, neuroids in ((inside, target.neuroids[0]), (outside, target.neuroids[1])):
        assert list(one.responses.neuroid_ids) == list(known.neuroid_ids[neuroids])
        np.testing.assert_array_equal(one.responses.mean, known.mean[:, neuroids])
        ((fitted, tested),) = one.splits
        assert set(one.responses.stimulus_ids[fitted]) == set(known.stimulus_ids[train])
        assert set(one.responses.stimulus_ids[tested]) == set(known.stimulus_ids[test])
        assert not one.in_means


def test_similarities_compare_held_out_stimuli_alone(bundle):
    target = open_recorded(f"{bundle}:V4", seed=4)
    ids = target.benchmark.responses.stimulus_ids
    for one in target.benchmarks(None, "cka"):
        assert set(one.responses.stimulus_ids) == set(ids[target.stimuli[1]])
        assert not set(one.stimuli.ids) & set(ids[target.stimuli[0]])


def test_each_turn_shows_every_stimulus_once(bundle):
    loss = RecordingAlignment(f"{bundle}:V4", batch_size=8)
    count = len(loss.recorded["responses"])
    shown = []
    for position in range(-(-2 * count // 8)):
        loss.position = position
        shown += loss.drawn().tolist()
    assert np.bincount(shown, minlength=count).min() >= 1
    assert np.bincount(shown).sum() >= 2 * count - 8  # a step between two turns may draw a stimulus twice
    first = [loss.drawn().tolist() for loss.position in (3, 4, 3)]
    assert first[0] == first[2] != first[1]


@pytest.mark.parametrize("measure", ["cka", "regression"])
def test_training_lowers_the_distance(bundle, source, measure):
    loss = RecordingAlignment(f"{bundle}:V4", weight=3.0, measure=measure, batch_size=64)
    net = create_model("cornet_z", num_classes=5, width=0.125)
    module = learner(source, {"v4": loss}, net, epochs=12)
    (batch,) = batches(1)
    before = float(module.loss(batch, batch.inputs)[2]["loss_v4"].detach())
    assert before == pytest.approx(1, abs=0.35)
    trainer = fit(module, batches(4))
    assert "train/loss_v4" in trainer.logged_metrics
    after = float(module.train().loss(batch, batch.inputs)[2]["loss_v4"].detach())
    assert after < before - 0.2
    assert module.net.training


def test_weight_zero_is_the_plain_twin(bundle, source):
    """Norms, weights and gradients are those of a training without the loss."""
    found = []
    for losses in ({}, {"v4": RecordingAlignment(f"{bundle}:V4", weight=0.0)}):
        module = learner(source, losses)
        fit(module, batches(3))
        found.append(module.net.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_held_out_scores_are_logged(bundle, source, tmp_path):
    module = learner(source, {"v4": RecordingAlignment(f"{bundle}:V4", metric="ridge", train_neuroids=0.5)})
    scores = BrainScore([bundle], folder=tmp_path, metric="ridge", size=32, before=False)
    trainer = fit(module, batches(2), callbacks=[scores])
    name = "mine.V4"
    rows = scores.scores.path.read_text()
    assert f"{name}.held-out-neuroids" in rows
    assert f"{name}.held-in-neuroids" in rows
    logged = trainer.callback_metrics
    assert logged["brain/V4"] == logged[f"brain/{name}"]  # not one of the held-out scores
    both = (logged[f"brain/{name}"] + logged["brain/mine.IT"]) / 2
    assert float(logged["brain/mean"]) == pytest.approx(float(both), abs=1e-6)


def test_held_out_scores_without_benchmarks(bundle, source, tmp_path):
    module = learner(source, {"v4": RecordingAlignment(f"{bundle}:V4", metric="ridge")})
    best = BestCheckpoint(tmp_path, "best_brain", monitor="brain/mean", mode="max", optional=True)
    scores = BrainScore([], folder=tmp_path, size=32)
    fit(module, batches(2), callbacks=[scores, best], enable_checkpointing=True)
    assert set(pd.read_csv(tmp_path / "scores.csv")["benchmark"]) == {
        "mine.V4.held-in-neuroids",
        "mine.V4.held-out-neuroids",
    }
    assert not (tmp_path / "best_brain.ckpt").exists()


def test_a_layer_of_a_network_of_the_users(bundle, source):
    torch.manual_seed(0)
    net = OwnNetwork(torchvision.models.resnet18(num_classes=5), 5)
    module = learner(source, {"v4": RecordingAlignment(f"{bundle}:V4", area="layer2")}, net)
    (batch,) = batches(1)
    loss, _, terms = module.loss(batch, batch.inputs)
    loss.backward()
    assert 0 < float(terms["loss_v4"].detach()) < 2
    assert net.net.layer2[0].conv1.weight.grad.abs().max() > 0


def test_an_earlier_step(bundle, source):
    module = learner(source, {"v4": RecordingAlignment(f"{bundle}:V4", step=1)})
    assert module.terms[0].site == ("V4", 1)


def test_mistakes(bundle, source):
    with pytest.raises(CornetError, match=r"has several regions; name one, such as .*mine:IT"):
        RecordingAlignment(bundle)
    with pytest.raises(
        CornetError, match=r"train_stimuli=1 is the share that training may see, above 0 and below 1"
    ):
        RecordingAlignment(f"{bundle}:V4", train_stimuli=1)
    with pytest.raises(CornetError, match="measure"):
        RecordingAlignment(f"{bundle}:V4", measure="rsa")
    with pytest.raises(CornetError, match="batch_size=4 stimuli are too few"):
        RecordingAlignment(f"{bundle}:V4", batch_size=4)
    with pytest.raises(CornetError, match="stimuli to align to, but at least 16 are needed"):
        RecordingAlignment(f"{bundle}:V4", train_stimuli=0.1)
    with pytest.raises(CornetError, match=r"has no V3|no layer|has no"):
        learner(source, {"v4": RecordingAlignment(f"{bundle}:V4", area="V3")})
    rt = create_model("cornet_rt", num_classes=5, width=0.125)
    with pytest.raises(
        CornetError, match="the image has not reached V4 at step 0; align a step of 2 or later"
    ):
        learner(source, {"v4": RecordingAlignment(f"{bundle}:V4", step=0)}, rt)
