"""A branch point: tasks share the areas up to it, and each has its own above."""

import contextlib
import copy

import pytest
import pytorch_lightning as pl
import torch

import cornet
from cornet import CornetError, create_model
from cornet.models.own_network import OwnNetwork
from cornet.stimuli.objects import RenderedObjects
from cornet.tasks import ClassHead, Multitask
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe

MODELS = [
    ("cornet_z", {}),
    ("cornet_r", {"norm": "per_step"}),
    ("cornet_rt", {"norm": "per_step"}),
    ("cornet_rt", {"off_after": 2}),
    ("cornet_s", {}),
    ("cornet_s", {"areas": 5, "gate": "soft"}),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("objects"))
    return RenderedObjects(train_images=64, val_images=32, size=32, cache=cache)


def attached(source, name, branch, area=None, readouts=True, **variant):
    torch.manual_seed(0)
    net = create_model(name, num_classes=8, width=0.1, **variant)
    task = Multitask({"one": ClassHead(area), "two": ClassHead(area)}, branch=branch)
    task.attach(net, source, ["center"], readouts)
    one, two = (task.tasks[name].heads for name in ("one", "two"))
    two.load_state_dict(one.state_dict())
    return net, task


@pytest.mark.parametrize(("name", "variant"), MODELS)
@pytest.mark.parametrize(("branch", "area"), [("V1", None), ("V2", "V4"), ("V4", None)])
def test_copies_compute_what_the_areas_of_the_network_compute(source, name, variant, branch, area):
    """At every step, in training too; and their norms count the same statistics."""
    readouts = name != "cornet_z"  # of one step
    net, task = attached(source, name, branch, area, readouts, **variant)
    images = torch.randn(6, 3, 32, 32)
    for mode in (True, False):
        net.train(mode)
        task.train(mode)
        outputs = task(net, images, readouts)
        found = outputs.readouts if readouts else outputs.predictions
        assert torch.equal(found["one/label"], found["two/label"])
        assert outputs.states is None
        for area_name, copied in task.branches["two"].named_children():
            for key, value in copied.state_dict().items():
                assert torch.equal(value, net.areas[area_name].state_dict()[key]), key


def test_each_task_trains_its_own_areas_and_both_train_the_shared_ones(source):
    net, task = attached(source, "cornet_s", "V2")
    outputs = task(net, torch.randn(6, 3, 32, 32))
    names = ("V1", "V2", "V4", "IT")

    def reached(head):
        parts = {name: net.areas[name] for name in names}
        parts |= {f"own {name}": module for name, module in task.branches["two"].named_children()}
        weights = {name: module.conv1.weight for name, module in parts.items()}
        total = outputs.predictions[f"{head}/label"].square().sum()
        found = torch.autograd.grad(total, list(weights.values()), retain_graph=True, allow_unused=True)
        return {name for name, gradient in zip(weights, found, strict=True) if gradient is not None}

    assert reached("one") == {"V1", "V2", "V4", "IT"}
    assert reached("two") == {"V1", "V2", "own V4", "own IT"}


def test_other_steps_than_the_trained_ones(source):
    net, task = attached(source, "cornet_rt", "V2")
    outputs = task(net, torch.randn(2, 3, 32, 32), times=7, readouts=True)
    assert torch.equal(outputs.readouts["one/label"], outputs.readouts["two/label"])
    assert len(outputs.readouts["two/label"]) == 7 - net.first_driven_step("IT")


@pytest.mark.parametrize(
    ("name", "variant", "branch", "message"),
    [
        ("cornet_s", {}, "IT", "task.branch='IT' is impossible.*choose one of V1, V2, V4, or null"),
        ("cornet_s", {}, "V3", "task.branch='V3' is impossible"),
        (
            "cornet_rt",
            {"feedback": True, "times": 7},
            "V2",
            "does not go with feedback.*model.feedback=false",
        ),
    ],
)
def test_impossible_branch_points(source, name, variant, branch, message):
    with pytest.raises(CornetError, match=message):
        attached(source, name, branch, **variant)


def test_a_network_without_areas(source):
    net = OwnNetwork(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 8)), 8)
    task = Multitask({"one": ClassHead(), "two": ClassHead()}, branch="V2")
    with pytest.raises(CornetError, match="needs a network with areas"):
        task.attach(copy.deepcopy(net), source, ["center"])


class Stopped(Exception):
    pass


class StopAt(pl.Callback):
    """Writes a checkpoint after the third step and breaks off."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.path)
            raise Stopped


def fitted(source, folder, start=None, callbacks=()):
    """Train for two epochs of four steps, or from a checkpoint on."""
    torch.manual_seed(0)
    net = create_model("cornet_s", num_classes=8, width=0.1)
    task = Multitask({"category": ClassHead(), "other": ClassHead("V4")}, branch="V2")
    recipe = Recipe(epochs=2, batch_size=16, learning_rate=0.01, schedule="cosine")
    module = Learner(net, recipe, source.mean, source.std, source.views, task=task, source=source)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[*callbacks],
        plugins=[AtomicCheckpointIO()],
    )
    loaders = ImageLoaders(source, batch_size=16, workers=0, seed=0)
    with contextlib.suppress(Stopped):
        trainer.fit(module, datamodule=loaders, ckpt_path=start, weights_only=True)
    return module.state_dict()


def test_a_branched_training_resumes_exactly(source, tmp_path):
    whole = fitted(source, tmp_path)
    path = tmp_path / "middle.ckpt"
    fitted(source, tmp_path, callbacks=[StopAt(path)])
    parts = fitted(source, tmp_path, start=path)
    copied = [key for key in whole if key.startswith("task.branches.other.IT.")]
    assert any(not torch.equal(whole[key], whole[f"net.areas.{key.split('.', 3)[3]}"]) for key in copied)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.slow  # trains
def test_a_branched_network_is_trained_and_scored(train, small_brain, tmp_path, monkeypatch):
    """And loaded with the areas of the first task."""
    monkeypatch.chdir(tmp_path)
    small = ["data.train_images=64", "data.val_images=32", "data.size=32", "model.width=0.1"]
    brain = ["brain=simulated", "brain.benchmarks.simulated=[simulated.V4]", "recipe.epochs=1"]
    given = ["experiment=objects_two_tasks", "task.branch=V2", "recipe.batch_size=16", *small, *brain]
    code, out, err = train(*given, small=False)
    assert code == 0, err
    assert "V4 " in out
    (folder,) = (path.parent for path in tmp_path.glob("runs/**/finished.json"))
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    net = cornet.load_run(folder).model()
    assert torch.equal(net.areas["IT"].conv1.weight, checkpoint["net.areas.IT.conv1.weight"])
    assert not torch.equal(net.areas["IT"].conv1.weight, checkpoint["task.branches.pose.IT.conv1.weight"])
    # Only the choice of the branch point differs, so it is another run.
    code, _, err = train(*given[:1], "task.branch=V1", *given[2:], small=False)
    assert code == 0, err
    assert len(list(tmp_path.glob("runs/**/finished.json"))) == 2
