"""A short training on rendered objects."""

import pytorch_lightning as pl

from cornet import create_model
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.loggers.csv import CsvLogger
from cornet.training.recipe import Recipe


def train(source, folder, callbacks=(), epochs=3, average=None, task=None, **more):
    """A short training; the trainer and the module."""
    pl.seed_everything(0, verbose=False)
    net = create_model("cornet_s", num_classes=8, width=0.125)
    recipe = Recipe(epochs=epochs, batch_size=16, learning_rate=0.1, schedule="constant", average=average)
    module = Learner(net, recipe, source.mean, source.std, task=task, source=source)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=CsvLogger(folder),
        callbacks=list(callbacks),
        enable_checkpointing=more.pop("enable_checkpointing", False),
        enable_progress_bar=more.pop("enable_progress_bar", False),
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        **more,
    )
    trainer.fit(module, datamodule=ImageLoaders(source, batch_size=16, workers=0))
    return trainer, module
