"""Losses and gradients that are no numbers any more: the training stops, and no checkpoint holds them."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.training.callbacks.guards import FiniteLoss
from cornet.training.callbacks.last_checkpoint import LastCheckpoint
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe
from tests.helpers.faults.run_results import refused
from tests.helpers.training.small_runs import SMALL


class InfiniteGradient(Learner):
    """At the eighth step (of six an epoch) the loss is what it was, and one gradient is infinite."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.trainer.global_step == 7:
            weight = next(self.net.parameters()).flatten()[0]
            loss = loss + torch.sqrt(weight - weight.detach())
        return loss


class NanGradient(Learner):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.trainer.global_step == 7:
            weight = next(self.net.parameters()).flatten()[0]
            loss = loss + torch.sqrt(0 * (weight - weight.detach()))
        return loss


def fit(images: Path, run: Path, module: type[Learner], accelerator: str = "cpu", **options) -> None:

    recipe = Recipe(epochs=2, batch_size=4, learning_rate=0.01, schedule="constant", **options)
    source = ImageFolder(images, size=32)
    trainer = pl.Trainer(
        accelerator=accelerator,
        max_epochs=2,
        callbacks=[FiniteLoss(), LastCheckpoint(run)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=50,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.clip,
        precision=recipe.precision,
    )
    net = create_model("cornet_z", num_classes=2, width=0.1)
    trainer.fit(
        module(net, recipe, source.mean, source.std), datamodule=ImageLoaders(source, batch_size=4, workers=0)
    )


@pytest.mark.parametrize("module", [InfiniteGradient, NanGradient])
@pytest.mark.parametrize(
    "options", [{}, {"clip": 1.0}, {"average": 0.9}, {"clip": 1.0, "average": 0.9, "precision": "bf16-mixed"}]
)
def test_a_gradient_is_named_with_its_step_and_reaches_no_checkpoint(photographs, tmp_path, module, options):
    said = r"The gradient of net\.areas\.V1\.\S+ became NaN or infinite at step 8 \(epoch 1\).*last good checkpoint is"
    with pytest.raises(CornetError, match=said):
        fit(photographs, tmp_path, module, **options)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 6
    assert all(torch.isfinite(tensor).all() for tensor in tensors(kept))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("module", [InfiniteGradient, NanGradient])
def test_on_a_gpu(photographs, tmp_path, module):
    """In precision 16-mixed the step is left out, as the search for the scale does, and training goes on."""
    with pytest.raises(
        CornetError, match=r"The gradient of net\.areas\.V1\.\S+ became NaN or infinite at step 8 "
    ):
        fit(photographs, tmp_path / "32", module, "cuda")
    fit(photographs, tmp_path / "16", module, "cuda", precision="16-mixed")
    kept = torch.load(tmp_path / "16" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 12
    assert all(torch.isfinite(tensor).all() for tensor in tensors(kept))


def tensors(node):
    """All of floating point in a checkpoint: weights, averages, the optimiser's."""
    if isinstance(node, torch.Tensor):
        if node.is_floating_point():
            yield node
    elif isinstance(node, dict | list | tuple):
        for one in node.values() if isinstance(node, dict) else node:
            yield from tensors(one)


@pytest.mark.slow
@pytest.mark.parametrize("more", ["recipe.clip=null", "recipe.clip=1", "recipe.average=0.9"])
def test_a_run_that_overflows_ends_with_a_sentence(starter, more):
    root = starter.folder / f"overflow-{more.replace('=', '-')}"
    run = starter.start(*SMALL, "recipe.learning_rate=1e30", "recipe.warmup=0", more, f"root={root}")
    said = refused(starter, run)
    assert "became NaN or infinite at step" in said
    for path in root.glob("**/seed*/checkpoints/*.ckpt"):
        kept = torch.load(path, weights_only=True)
        assert all(torch.isfinite(tensor).all() for tensor in tensors(kept)), path
