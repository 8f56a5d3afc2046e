"""Trainings of small networks on made-up batches, without files."""

import pytorch_lightning as pl
import torch

from cornet.models import create_model
from cornet.stimuli.samples import Batch
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe

MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]


def batches(count, size=32, images=8, views=False):
    """Made-up training batches, or validation batches with one view."""
    generator = torch.Generator().manual_seed(1)
    shape = (images, 1, 3, size, size) if views else (images, 3, size, size)
    return [
        Batch(
            torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
            {"label": torch.randint(0, 5, (images,), generator=generator)},
            torch.arange(images),
        )
        for _ in range(count)
    ]


def classifier(name="cornet_z", norm=None, width=0.125, **changes):
    torch.manual_seed(0)
    defaults = {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant"}
    variant = {"norm": norm} if norm else {}
    net = create_model(name, num_classes=5, width=width, **variant)
    return Learner(net, Recipe(**{**defaults, **changes}), MEAN, STD)


def fit(module, train, val=(), callbacks=(), ckpt_path=None, logger=False, **options):
    recipe = module.recipe
    trainer = pl.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": recipe.epochs,
            "log_every_n_steps": 2,
            "enable_checkpointing": False,
            **options,
        },
        precision=recipe.precision,
        gradient_clip_val=recipe.clip,
        accumulate_grad_batches=recipe.accumulate,
        callbacks=list(callbacks),
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loaders = {
        "train_dataloaders": loader(train),
        "val_dataloaders": loader(val or batches(1, images=2, views=True)),
    }
    trainer.fit(module, **loaders, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def loader(samples):
    return torch.utils.data.DataLoader(samples, batch_size=None)
