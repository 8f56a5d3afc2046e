"""A training that is stopped at any step goes on with exactly the images that were left."""

import contextlib
import random
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.prepare import write_shards
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.learner import Learner
from cornet.training.loaders import EpochSampler, ImageLoaders
from cornet.training.recipe import Recipe
from tests.helpers.stimuli.pictures import class_folders

EPOCHS, BATCH, STEPS = 3, 3, 6  # 20 images: 6 batches an epoch, and 2 images wait for another


class Seen(pl.Callback):
    """What was trained on: (epoch, indices, a checksum of the pixels) of every step; and each epoch's accuracy."""

    def __init__(self):
        self.steps, self.top1 = [], []

    def on_train_epoch_start(self, trainer, pl_module):
        if "train/top1" in trainer.callback_metrics:
            self.top1.append(float(trainer.callback_metrics["train/top1"]))

    on_fit_end = on_train_epoch_start

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append((trainer.current_epoch, batch.indices.tolist(), int(batch.images.sum())))


class Stopped(Exception):
    pass


class StopAt(pl.Callback):
    """Writes a checkpoint and breaks off, at a hook of a step counted from 0 over all epochs."""

    def __init__(self, step, hook, path):
        self.step, self.path, self.seen = step, path, 0
        setattr(self, hook, self.count)

    def count(self, trainer, *_):
        self.seen += 1
        if self.seen == self.step + 1:
            trainer.save_checkpoint(self.path)
            raise Stopped


def train(folder, workers=0, callbacks=(), start=None, seed=0, batch=BATCH):
    """Fit a small CORnet-S; what was seen, the weights, and the training accuracy of each epoch that ended."""
    torch.manual_seed(0)
    kind = ImageShards if (folder / "cornet-index.json").exists() else ImageFolder
    source = kind(folder, size=32, seed=seed)
    recipe = Recipe(epochs=EPOCHS, batch_size=batch, learning_rate=0.01, schedule="cosine")
    net = create_model("cornet_s", num_classes=2, width=0.03125, times=1)
    module = Learner(net, recipe, source.mean, source.std)
    seen = Seen()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[seen, *callbacks],
        plugins=[AtomicCheckpointIO()],
    )
    loaders = ImageLoaders(source, batch_size=batch, workers=workers, seed=seed)
    with contextlib.suppress(Stopped):
        trainer.fit(module, datamodule=loaders, ckpt_path=start, weights_only=True)
    return seen.steps, module.state_dict(), seen.top1


@pytest.fixture(scope="module", params=["class folders", pytest.param("shards", marks=pytest.mark.slow)])
def folder(tmp_path_factory, request) -> Path:
    photographs = class_folders(tmp_path_factory.mktemp("photographs"), train=10, val=2)
    if request.param == "class folders":
        return photographs
    shards = tmp_path_factory.mktemp("shards")
    write_shards("imagenet", photographs, shards, per_shard=4, processes=1)
    return shards


@pytest.fixture(scope="module")
def whole(folder):
    """The training that nothing interrupts."""
    return train(folder)


def test_the_whole_training_shows_every_image_at_most_once_an_epoch(whole):
    steps, _, top1 = whole
    assert len(top1) == EPOCHS
    for epoch in range(EPOCHS):
        shown = [i for e, indices, _ in steps if e == epoch for i in indices]
        assert len(shown) == len(set(shown)) == STEPS * BATCH


@pytest.mark.slow  # trains three times
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_train_batch_start"])
def test_stopped_at_a_random_step(folder, whole, tmp_path, workers, hook):
    step = random.SystemRandom().randrange(EPOCHS * STEPS)
    where = f"stopped at step {step}"
    path = tmp_path / "middle.ckpt"
    before, *_ = train(folder, workers, [StopAt(step, hook, path)])
    done = step + 1 if hook.endswith("end") else step
    after, weights, top1 = train(folder, workers, start=path)
    assert before[:done] + after == whole[0], where
    assert top1 == whole[2][EPOCHS - len(top1) :], where
    assert all(torch.equal(weights[key], value) for key, value in whole[1].items()), where


@pytest.mark.parametrize("hook", ["on_validation_end", "on_train_epoch_end"])
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_stopped_at_the_end_of_an_epoch(folder, whole, tmp_path, workers, hook):
    path = tmp_path / "end.ckpt"
    before, *_ = train(folder, workers, [StopAt(1, hook, path)])
    after, weights, top1 = train(folder, workers, start=path)
    assert before + after == whole[0]
    assert top1 == whole[2][EPOCHS - len(top1) :]
    assert all(torch.equal(weights[key], value) for key, value in whole[1].items())


def test_the_rest_of_an_epoch_is_not_made_of_other_batches(folder, tmp_path):
    path = tmp_path / "middle.ckpt"
    train(folder, callbacks=[StopAt(2, "on_train_batch_end", path)])
    with pytest.raises(
        CornetError, match=r"within an epoch with recipe.batch_size 3, and with 4 images would"
    ):
        train(folder, start=path, batch=4)
    with pytest.raises(CornetError, match=r"within an epoch with seed 0, and with 1 images would"):
        train(folder, start=path, seed=1)


def test_shards_have_an_order_for_a_number_of_devices(folder, tmp_path):
    if not (folder / "cornet-index.json").exists():
        pytest.skip("class folders go on with any number")
    path = tmp_path / "middle.ckpt"
    train(folder, callbacks=[StopAt(2, "on_train_batch_end", path)])
    content = torch.load(path, weights_only=True)
    content["ImageLoaders"]["devices"] = 2
    torch.save(content, path)
    with pytest.raises(
        CornetError, match=r"within an epoch with a number of devices of 2, and with 1 images would"
    ):
        train(folder, start=path)


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_go_on_together_whatever_their_number(world):
    """At one global batch, the k-th step shows the same images on 1, 2 or 4 ranks: so may the number change."""
    length, batch, step = 50, 8, random.SystemRandom().randrange(6)

    def rest(ranks, skip):
        shares = []
        for rank in range(ranks):
            sampler = EpochSampler(length, 7, True, rank, ranks)
            sampler.set_epoch(3)
            sampler.skip = skip * batch // ranks
            shares.append([key.index for key in sampler])
        per = batch // ranks
        steps = min(map(len, shares)) // per
        return [sorted(i for share in shares for i in share[k * per : (k + 1) * per]) for k in range(steps)]

    assert rest(world, step) == rest(1, 0)[step:], f"stopped at step {step}"
