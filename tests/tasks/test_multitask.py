"""Two tasks at once: each has its own heads, loss and metrics, and the network runs once."""

import pytest
import torch
import torch.nn.functional as F

from cornet import CornetError, create_model
from cornet.stimuli.objects import RenderedObjects
from cornet.tasks import ClassHead, Classification, Multitask, Regression


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("objects"))
    return RenderedObjects(train_images=64, val_images=32, size=32, targets=["x", "y"], cache=cache)


def attached(source, **options):
    net = create_model("cornet_s", num_classes=8, width=0.1).eval()
    task = Multitask({"category": ClassHead(), "place": Regression(["x", "y"], area="V4")}, **options)
    task.attach(net, source, ["center"], readouts=True)
    return net, task


def batch():
    return {"label": torch.arange(4), "x": torch.randn(4), "y": torch.randn(4)}


def test_the_network_runs_once_and_each_task_has_its_loss(source):
    net, task = attached(source, weights={"place": 0.25})
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    targets = batch()
    with torch.no_grad():
        outputs = task(net, torch.randn(4, 3, 32, 32))
    assert len(calls) == 1
    assert set(outputs.predictions) == {"category/label", "place/numbers"}
    category = F.cross_entropy(outputs.predictions["category/label"], targets["label"])
    place = task.tasks["place"].loss({"numbers": outputs.predictions["place/numbers"]}, targets)
    assert task.loss(outputs.predictions, targets) == pytest.approx(float(category + 0.25 * place), rel=1e-6)


def test_metrics_have_the_name_of_their_task(source):
    net, task = attached(source)
    targets = batch()
    with torch.no_grad():
        outputs = task(net, torch.randn(4, 3, 32, 32), readouts=True)
    task.update(outputs, targets, "center")
    found = task.metrics()
    assert list(found)[:2] == ["val/loss", "val/mean"]
    assert {"val/category_top1", "val/place_r2", "val/place_r2_x"} <= set(found)
    mean = (found["val/category_top1"] + found["val/place_r2"]) / 2
    assert found["val/mean"] == pytest.approx(float(mean))
    assert task.shown == [("val/category_top1", "category top-1"), ("val/place_r2", "place R2")]
    assert task.chance == {"val/category_top1": 1 / 8}


def test_the_counts_of_an_epoch_go_on_from_a_checkpoint(source):
    net, task = attached(source)
    images, first, second = torch.randn(4, 3, 32, 32), batch(), batch()
    checkpoint = {}
    with torch.no_grad():
        predictions = task(net, images).predictions
    task.start_epoch()
    task.update_training(predictions, first)
    task.on_save(checkpoint)
    _, other = attached(source)
    other.on_load(checkpoint, first_rank=True)
    for one in (task, other):
        one.update_training(predictions, second)
    found, expected = other.training_metrics(), task.training_metrics()
    assert found.keys() == expected.keys() == {"train/category_top1", "train/place_r2"}
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Multitask({"a": Classification()}),
            "task.tasks.a is a Classification, which has no heads of its own",
        ),
        (lambda: Multitask({"a": ClassHead()}, {"b": 1.0}), "task.weights names 'b', but the tasks are a"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(CornetError, match=message):
        make()


@pytest.mark.slow  # trains
def test_a_training_with_brain_scores(train, small_brain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = [
        "data.train_images=64",
        "data.val_images=32",
        "data.size=32",
        "model.width=0.1",
        "recipe.batch_size=16",
    ]
    brain = ["brain=simulated", "brain.benchmarks.simulated=[simulated.V4]", "recipe.epochs=1"]
    code, out, err = train("experiment=objects_two_tasks", *small, *brain, small=False)
    assert code == 0, err
    assert "category top-1 " in out
    assert "pose R2 " in out
    assert "V4 " in out
