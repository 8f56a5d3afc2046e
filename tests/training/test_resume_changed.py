"""A training that begins at another run's checkpoint follows its own configuration, from the first step on."""

import copy
import math
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from cornet.models import create_model
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.training.callbacks.last_checkpoint import LastCheckpoint
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe
from cornet.training.resume import position_in
from tests.helpers.stimuli.pictures import class_folders

IMAGES, DONE = 24, 2
FIRST = {"epochs": 4, "batch_size": 6, "learning_rate": 0.1, "weight_decay": 0.01, "schedule": "cosine"}
SCHEDULES = {
    "divide": {"schedule": "divide", "divide_every": 1},
    "divide within a warm-up": {"schedule": "divide", "divide_every": 1, "warmup": 2.5},
    "cosine": {"schedule": "cosine"},
    "cosine after a warm-up": {"schedule": "cosine", "warmup": 1.5},
    "cosine within a warm-up": {"schedule": "cosine", "warmup": 2.25},
    "constant": {"schedule": "constant"},
}
SOME = [
    name if name in ("divide", "cosine") else pytest.param(name, marks=pytest.mark.slow) for name in SCHEDULES
]
CHANGES = {
    "nothing": {},
    "more epochs": {"epochs": 6},
    "fewer epochs": {"epochs": 3},
    "larger batch": {"batch_size": 12},
    "smaller batch": {"batch_size": 4},
    "odd batch": {"batch_size": 7},
    "accumulated": {"accumulate": 2},
    "averaged": {"average": 0.9},
    "batch and epochs": {"batch_size": 12, "epochs": 5, "accumulate": 4},
    "learning rate": {"learning_rate": 0.01},
}


class Steps(pl.Callback):
    """What every optimiser step was made with, read from the optimiser itself: (epoch, options)."""

    def __init__(self):
        self.options, self.images, self.batches = [], {}, []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        self.options.append(copy.deepcopy(groups))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.images.setdefault(trainer.current_epoch, []).extend(batch.indices.tolist())
        self.batches.append(len(batch.indices))

    @property
    def rates(self):
        assert all(len({group["lr"] for group in groups}) == 1 for groups in self.options)
        return [groups[0]["lr"] for groups in self.options]


class Keep(pl.Callback):
    """Copies of the checkpoint at every moment at which one may be written."""

    def __init__(self, folder):
        self.folder = folder

    def save(self, trainer, name):
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"{name}-{trainer.current_epoch}.ckpt")

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx in (0, 1):
            self.save(trainer, f"before batch {batch_idx}")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx in (1, 3):
            self.save(trainer, f"after batch {batch_idx}")

    def on_validation_end(self, trainer, pl_module):
        self.save(trainer, "best")

    def on_train_epoch_end(self, trainer, pl_module):
        self.save(trainer, "last")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("photographs"), train=IMAGES // 2, val=2)


@pytest.fixture(scope="module")
def kept(folder, tmp_path_factory) -> Path:
    """Checkpoints of a training of four epochs of four steps."""
    place = tmp_path_factory.mktemp("kept")
    train(folder, callbacks=[Keep(place)])
    return place


def train(folder, start=None, callbacks=(), seed=0, **changes):
    """Fit a tiny network; what its steps were made with, and the module."""
    torch.manual_seed(seed)
    source = ImageFolder(folder, size=32, seed=seed)
    recipe = Recipe(**{**FIRST, **changes})
    net = create_model("cornet_z", num_classes=2, width=0.03)
    module = Learner(net, recipe, source.mean, source.std)
    module.begins_with_seed = None if start is None else seed
    steps = Steps()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        precision=recipe.precision,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[steps, *callbacks, LastCheckpoint(folder / "checkpoints")],
        plugins=[AtomicCheckpointIO()],
    )
    loaders = ImageLoaders(source, batch_size=recipe.batch_size // recipe.accumulate, workers=0, seed=seed)
    trainer.fit(module, datamodule=loaders, ckpt_path=start, weights_only=True)
    return steps, module


def expected(recipe, steps_per_epoch, first_epoch):
    """The learning rates as the recipe's docstring has them, epoch by epoch."""
    found = []
    for epoch in range(first_epoch, recipe.epochs):
        for step in range(steps_per_epoch):
            at = epoch + step / steps_per_epoch
            if at < recipe.warmup:
                share = (at * steps_per_epoch + 1) / (recipe.warmup * steps_per_epoch + 1)
            elif recipe.schedule == "divide":
                share = 10.0 ** -math.floor(at / recipe.divide_every)
            elif recipe.schedule == "cosine":
                share = math.cos(math.pi / 2 * (at - recipe.warmup) / (recipe.epochs - recipe.warmup)) ** 2
            else:
                share = 1.0
            found.append(recipe.learning_rate * share)
    return found


@pytest.mark.slow  # trains for each recipe
@pytest.mark.parametrize("schedule", SOME)
@pytest.mark.parametrize("change", CHANGES)
def test_the_learning_rate_is_that_of_the_new_recipe_at_the_position_in_epochs(
    folder, kept, schedule, change
):
    changes = {**SCHEDULES[schedule], **CHANGES[change]}
    steps, module = train(folder, kept / f"last-{DONE - 1}.ckpt", **changes)
    recipe = module.recipe
    per_epoch = math.ceil(IMAGES // (recipe.batch_size // recipe.accumulate) / recipe.accumulate)
    assert steps.rates == pytest.approx(expected(recipe, per_epoch, DONE), rel=1e-9)
    assert min(steps.rates) > 0
    assert len(steps.rates) == (recipe.epochs - DONE) * per_epoch
    assert sorted(steps.images) == list(range(DONE, recipe.epochs))
    for shown in steps.images.values():
        assert len(shown) == len(set(shown))
    held = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    done = {"epochs": recipe.epochs, "steps": DONE * 4 + len(steps.rates), "steps_per_epoch": per_epoch}
    assert held["position"] == done
    assert held["optimizer_states"][0]["param_groups"][0]["lr"] == steps.rates[-1]


@pytest.mark.parametrize("schedule", SOME)
def test_the_same_recipe_is_the_uninterrupted_training_bit_for_bit(folder, tmp_path, schedule):
    """Also where only the number of epochs is another: then from the same position on, as to learning rates."""
    whole, module = train(folder, callbacks=[Keep(tmp_path)], **SCHEDULES[schedule])
    for name in ("last-1", "best-1", "before batch 1-2", "after batch 1-2", "after batch 3-1"):
        steps, again = train(folder, tmp_path / f"{name}.ckpt", **SCHEDULES[schedule])
        assert steps.rates == whole.rates[len(whole.rates) - len(steps.rates) :], name
        for key, value in module.state_dict().items():
            assert torch.equal(value, again.state_dict()[key]), (name, key)
    longer, _ = train(folder, **{**SCHEDULES[schedule], "epochs": 5})
    steps, _ = train(folder, tmp_path / "last-1.ckpt", **{**SCHEDULES[schedule], "epochs": 5})
    assert steps.rates == longer.rates[8:]


@pytest.mark.parametrize("batch", [4, 8, 12, 24])
def test_the_best_checkpoint_begins_the_next_epoch_whatever_the_batch(folder, kept, batch):
    """It is written before Lightning has counted the epoch as done."""
    steps, module = train(folder, kept / "best-1.ckpt", batch_size=batch)
    assert steps.rates == pytest.approx(expected(module.recipe, IMAGES // batch, 2), rel=1e-9)
    assert {epoch: sorted(shown) for epoch, shown in steps.images.items()} == {
        epoch: list(range(IMAGES)) for epoch in (2, 3)
    }


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("before batch 0-2", 2),
        ("before batch 1-2", 2.25),
        ("after batch 1-2", 2.5),
        ("after batch 3-2", 3),
        ("best-2", 3),
        ("last-2", 3),
        ("last-3", 4),
    ],
)
def test_the_position_is_in_epochs_and_found_in_older_checkpoints_too(kept, name, epochs):
    content = torch.load(kept / f"{name}.ckpt", weights_only=True)
    position = position_in(content)
    assert position == (epochs, content["global_step"])
    assert content["position"]["epochs"] == epochs
    del content["position"]
    assert position_in(content) == position


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.5},
        {"momentum": 0.0},
        {"nesterov": True},
        {"weight_decay": 0.0},
        {"learning_rate": 0.3},
        {"label_smoothing": 0.3},
        {"channels_last": True},
        {"precision": "64-true"},
    ],
    ids=str,
)
def test_a_step_is_that_of_plain_sgd_with_the_new_options(folder, kept, changes):
    """The oracle: torch.optim.SGD, not fused, with the checkpoint's momentum and weights."""

    class First(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step == 8:
                self.gradients = [p.grad.double().clone() for p in pl_module.net.parameters()]

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 9:
                self.weights = [p.detach().double().clone() for p in pl_module.net.parameters()]

    first = First()
    steps, module = train(folder, kept / "last-1.ckpt", callbacks=[first], **changes)
    recipe, content = module.recipe, torch.load(kept / "last-1.ckpt", weights_only=True)
    for options in steps.options:
        (group,) = options
        assert all(group[name] == getattr(recipe, name) for name in ("momentum", "nesterov", "weight_decay"))
    state = content["optimizer_states"][0]["state"]
    for k, (name, _) in enumerate(module.net.named_parameters()):
        parameter = torch.nn.Parameter(content["state_dict"][f"net.{name}"].double())
        plain = torch.optim.SGD(
            [parameter],
            lr=recipe.learning_rate * 0.5,  # the cosine at its middle
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            foreach=False,
        )
        plain.state[parameter]["momentum_buffer"] = state[k]["momentum_buffer"].double()
        parameter.grad = first.gradients[k].contiguous()
        plain.step()
        torch.testing.assert_close(first.weights[k], parameter.detach(), rtol=1e-5, atol=1e-6, msg=name)


def test_the_loss_and_the_image_size_are_the_new_ones(folder, kept, tmp_path):
    class Sees(pl.Callback):
        def __init__(self):
            self.sizes, self.losses = [], []

        def on_train_start(self, trainer, pl_module):
            pl_module.net.register_forward_pre_hook(
                lambda net, given: self.sizes.append(given[0].shape[-1]) if net.training else None
            )

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.losses.append(float(outputs["loss"]))

    plain, other = Sees(), Sees()
    train(folder, kept / "last-1.ckpt", callbacks=[plain])
    train(folder, kept / "last-1.ckpt", callbacks=[other], sizes=[[16, 1], [24, 2]], label_smoothing=0.5)
    assert set(plain.sizes) == {32}
    assert other.sizes == [24] * 4 + [32] * 4
    assert plain.losses[0] != other.losses[0]


def test_averaging_begins_ends_and_goes_on(folder, tmp_path):
    train(folder, callbacks=[Keep(tmp_path)], average=0.5, epochs=3)
    content = torch.load(tmp_path / "last-1.ckpt", weights_only=True)
    raw = content["raw_weights"]["weights"]
    assert any(not torch.equal(raw[key], content["state_dict"][key]) for key in raw)

    class Start(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_step == 8:
                self.weights = copy.deepcopy(pl_module.net.state_dict())
                self.average = pl_module.average and (pl_module.average.updates, pl_module.average.decay)

    for average, found in ((None, None), (0.9, (8, 0.9))):
        start = Start()
        train(folder, tmp_path / "last-1.ckpt", callbacks=[start], average=average, epochs=3)
        assert all(torch.equal(start.weights[key.removeprefix("net.")], raw[key]) for key in raw)
        assert start.average == found
        assert ("raw_weights" in torch.load(folder / "checkpoints/last.ckpt", weights_only=True)) == bool(
            average
        )
    plain = tmp_path / "plain"
    plain.mkdir()
    train(folder, callbacks=[Keep(plain)], epochs=3)
    start = Start()
    train(folder, plain / "last-1.ckpt", callbacks=[start], average=0.9, epochs=3)
    assert start.average == (0, 0.9)


def test_another_seed_has_another_order_and_other_random_numbers(folder, kept):
    class Draw(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_step == 8:
                self.number = torch.rand(1).item()

    found = []
    for seed in (0, 0, 1):
        draw = Draw()
        content = torch.load(kept / "last-1.ckpt", weights_only=True)
        content["provenance"]["seed"] = 0
        torch.save(content, kept / "again.ckpt")
        steps, _ = train(folder, kept / "again.ckpt", callbacks=[draw], seed=seed)
        found.append((steps.images[2], draw.number))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]
