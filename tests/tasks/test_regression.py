"""Regression of the latents of rendered objects: the metric, the targets, and whole trainings."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from cornet import CornetError, create_model, load_run
from cornet.brain import open_subject
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.samples import IGNORED, Key
from cornet.stimuli.shift import draw_moves, shift_and_flip
from cornet.tasks import Regression
from cornet.tasks.regression import HEAD, R2

TARGETS = ["x", "y", "size", "yaw_sin"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("objects"))
    return RenderedObjects(train_images=64, val_images=32, size=32, targets=TARGETS, cache=cache)


def test_r2_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    wanted = rng.standard_normal((90, 3)) * [1, 5, 0.1] + [0, 100, 3]
    predicted = wanted + rng.standard_normal((90, 3)) * [0.5, 9, 0.01]
    metric = R2(3)
    for rows in np.split(np.arange(90), [7, 40]):
        metric.update(torch.from_numpy(predicted[rows]), torch.from_numpy(wanted[rows]))
    np.testing.assert_allclose(
        metric.compute(), r2_score(wanted, predicted, multioutput="raw_values"), rtol=1e-9
    )
    wanted[3, 0] = np.nan
    metric.reset()
    metric.update(torch.from_numpy(predicted), torch.from_numpy(wanted))
    rows = np.arange(90) != 3
    assert metric.compute()[0] == pytest.approx(r2_score(wanted[rows, 0], predicted[rows, 0]), rel=1e-9)
    metric.reset()
    metric.update(torch.randn(5, 3), torch.ones(5, 3))
    assert metric.compute().isnan().all()


def test_targets_move_with_the_image(source):
    """A dot where the object's centre is, moved like the image, is where the target says."""
    data, keys = source.train(), [Key(i, epoch) for i in range(20) for epoch in range(3)]
    side = 65
    dots = np.zeros((64, 1, side, side), np.uint8)
    x, y = data.targets["x"], data.targets["y"]
    columns, rows = (np.round(x * side).astype(int) + side // 2), (side // 2 - np.round(y * side).astype(int))
    dots[np.arange(64), 0, rows, columns] = 255
    data.images = np.zeros((64, side, side), np.uint8)
    shown = shift_and_flip(dots, keys, **data.moves)
    moved = data.moved_targets(keys)
    found = np.argwhere(shown[:, 0] == 255)
    assert len(found) == len(keys)
    np.testing.assert_allclose((found[:, 2] - side // 2) / side, moved["x"], atol=0.6 / side)
    np.testing.assert_allclose((side // 2 - found[:, 1]) / side, moved["y"], atol=0.6 / side)
    mirrored = draw_moves(keys, **data.moves).mirrored
    assert 0 < mirrored.sum() < len(keys)
    index = [key.index for key in keys]
    np.testing.assert_allclose(moved["yaw_sin"], data.targets["yaw_sin"][index] * np.where(mirrored, -1, 1))
    np.testing.assert_array_equal(moved["size"], data.targets["size"][index])


def test_the_loss_leaves_unreadable_images_out(source):
    task = Regression(TARGETS)
    task.attach(create_model("cornet_z", num_classes=8, width=0.1), source, ["center"])
    targets = {name: torch.randn(6) for name in TARGETS} | {"label": torch.arange(6)}
    predictions = {HEAD: torch.randn(6, 4)}
    scaled = task.scaled(targets)
    assert task.loss(predictions, targets) == pytest.approx(
        float((predictions[HEAD] - scaled).square().mean())
    )
    targets["label"][2] = IGNORED
    rest = [0, 1, 3, 4, 5]
    expected = float((predictions[HEAD] - scaled)[rest].square().mean())
    assert task.loss(predictions, targets) == pytest.approx(expected)


@pytest.mark.parametrize("area", [None, "V2"])
def test_a_head_reads_an_area(source, area):
    net = create_model("cornet_s", num_classes=8, width=0.1)
    task = Regression(TARGETS, area=area)
    task.attach(net, source, ["center"], readouts=True)
    images = torch.randn(2, 3, 32, 32)
    outputs = task(net, images, readouts=True)
    _, states = net(images, return_states=True)
    features = states[area or "IT"].mean((-2, -1))
    each = task.heads.linear[HEAD](features / features.shape[-1] ** 0.5)
    torch.testing.assert_close(outputs.readouts[HEAD], each)
    torch.testing.assert_close(outputs.predictions[HEAD], each[-1])
    assert not any(name.startswith("decoder") for name in net.state_dict())


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            lambda: Regression(["x", "weight"]),
            "needs the target 'weight', but the data have x, y, size, yaw_sin",
        ),
        (lambda: Regression([]), "must be different names, at least one"),
        (lambda: Regression(["x", "x"]), "must be different names"),
        (
            lambda: Regression(["x"], area="V3"),
            "the area 'V3' of the head numbers is unknown; the network has V1, V2",
        ),
    ],
)
def test_mistakes(source, task, message):
    with pytest.raises(CornetError, match=message):
        task().attach(create_model("cornet_z", num_classes=8, width=0.1), source, ["center"])


def test_a_target_that_cannot_be_rendered():
    with pytest.raises(CornetError, match="target='depth'"):
        RenderedObjects(targets=["depth"])


SMALL = [
    "data.train_images=64",
    "data.val_images=32",
    "data.size=32",
    "model.width=0.1",
    "recipe.batch_size=16",
]


@pytest.mark.slow  # trains, and is trained on
def test_a_training_is_logged_resumed_scored_and_reported(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    given = ["experiment=objects_latents", *SMALL, "brain=none", "recipe.average=0.9", "recipe.step_loss=0.1"]
    code, out, err = train(*given, "recipe.epochs=2", small=False)
    assert code == 0, err
    assert "R2 " in out
    (folder,) = (path.parent for path in tmp_path.glob("runs/**/config.yaml"))
    run = load_run(folder)
    assert {"val/r2", "val/r2_x", "val/r2_yaw_cos", "train/r2"} <= set(run.metrics)
    assert run.summary["monitor"] == run.summary["task_metric"] == "val/r2"
    subject = open_subject(str(folder))
    assert "V4" in {site.layer for site in subject.sites()}
    code, out, err = train(
        *given, "recipe.epochs=3", f"ckpt_path={folder}/checkpoints/last.ckpt", "name=more", small=False
    )
    assert code == 0, err
    code, out, err = train(
        *given, "recipe.epochs=2", "name=bad", "task.targets=[x,weight]", "data.targets=[x]", small=False
    )
    assert code == 2
    assert "needs the target 'weight'" in err
    code, out, err = train(*given, "recipe.epochs=2", "name=worse", "monitor=val/top1", small=False)
    assert code == 2
    assert "monitor=val/top1 was not measured; choose one of val/loss, val/r2" in err
    assert "epoch 1/" not in out
