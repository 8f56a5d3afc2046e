"""Heads of several targets: inputs of one task do not count in the other."""

import pytest
import torch
import torch.nn.functional as F

from cornet import CornetError, create_model
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.samples import IGNORED, Key, collate
from cornet.stimuli.sounds import Sounds
from cornet.tasks import ClassHead, Multitask


@pytest.fixture(scope="module")
def source():
    return Sounds(train_clips=8, val_clips=8, cache=False)


@pytest.fixture(scope="module")
def batch(source):
    split = source.train()
    return collate(split.__getitems__([Key(k, 0) for k in range(16)]))


def attached(source, **arguments):
    net = create_model("kell_small", num_classes=18, dropout=0.0, **arguments)
    task = Multitask({name: ClassHead(target=name, area=f"fc6_{name}") for name in ("word", "genre")})
    task.attach(net, source, ["whole"])
    return net, task


def test_each_head_has_the_loss_of_its_own_clips(source, batch):
    net, task = attached(source, branch=3)
    outputs = task(net.eval(), batch.inputs)
    words, genres = (outputs.predictions[f"{name}/label"] for name in ("word", "genre"))
    assert words.shape == (16, 10)
    assert genres.shape == (16, 8)
    own = F.cross_entropy(words[:8], torch.arange(8)) + F.cross_entropy(genres[8:], torch.arange(8))
    assert float(task.loss(outputs.predictions, batch.targets).detach()) == pytest.approx(
        float(own.detach()), rel=1e-6
    )


def test_a_batch_without_clips_of_a_task_has_no_loss_for_it(source, batch):
    net, task = attached(source)
    outputs = task(net.eval(), batch.inputs)
    targets = {**batch.targets, "word": torch.full((16,), float(IGNORED))}
    loss = task.loss(outputs.predictions, targets)
    genres = outputs.predictions["genre/label"]
    expected = F.cross_entropy(genres[8:], torch.arange(8))
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    net.zero_grad()
    loss.backward()
    for name, parameter in net.named_parameters():
        if "_word" in name:
            assert parameter.grad is None or not parameter.grad.any(), name


@pytest.mark.parametrize("branch", [0, 7, 11])
def test_gradients_reach_shared_stages_from_both_tasks(source, batch, branch):
    net, task = attached(source, branch=branch)
    outputs = task(net.train(), batch.inputs)
    shared = [p for name, p in net.named_parameters() if "_" not in name.split(".")[1] and "areas" in name]
    for name in ("word", "genre"):
        part = {"label": outputs.predictions[f"{name}/label"]}
        loss = task.tasks[name].loss(part, batch.targets)
        gradients = torch.autograd.grad(loss, shared, retain_graph=True) if shared else ()
        assert all(one.abs().max() > 0 for one in gradients)
    assert bool(shared) == (branch > 0)


def test_metrics_count_the_clips_of_a_task(source, batch):
    net, task = attached(source)
    predictions = {
        "word/label": 9.0 * F.one_hot(torch.arange(16) % 10, 10),
        "genre/label": 9.0 * F.one_hot(torch.zeros(16).long(), 8),
    }
    outputs = task(net.eval(), batch.inputs)._replace(predictions=predictions)
    task.start_epoch()
    task.update(outputs, batch.targets, "whole")
    task.update_training(predictions, batch.targets)
    found = task.metrics()
    assert float(found["val/word_top1"]) == 1
    assert float(found["val/genre_top1"]) == pytest.approx(1 / 8)
    assert float(found["val/mean"]) == pytest.approx((1 + 1 / 8) / 2)
    assert float(task.training_metrics()["train/word_top1"]) == 1
    assert task.chance == {"val/word_top1": pytest.approx(0.1), "val/genre_top1": pytest.approx(0.125)}


def test_data_without_the_target():
    net = create_model("cornet_s", num_classes=8, width=0.1)
    objects = RenderedObjects(train_images=8, val_images=8, size=32, cache=False)
    with pytest.raises(CornetError, match="ClassHead needs the target 'word', but the data have none"):
        ClassHead(target="word").attach(net, objects, ["center"])
