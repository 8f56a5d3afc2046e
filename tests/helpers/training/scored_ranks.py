"""A training on two processes with brain scores, which test_brain_ddp.py runs as a module.

Arguments: folder, bundle, what fails (or "foreign": a user's own module), number of processes.
"""

import os
import sys

import pytorch_lightning as pl

from cornet import create_model
from cornet.stimuli.objects import RenderedObjects
from cornet.training.callbacks.brain.shared_subject import SharedSubject
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.loggers.csv import CsvLogger
from cornet.training.recipe import Recipe
from tests.helpers.training.foreign import fit


def main(folder: str, bundle: str, failing: str, devices: int) -> None:
    if failing == "recording" and int(os.environ.get("LOCAL_RANK", 0)) == 1:

        def extractor(self, sites):
            raise MemoryError("no room on this rank")

        SharedSubject._extractor = extractor
    if failing == "foreign":
        brain = BrainScore(
            [bundle], {"V4": "0", "IT": "1"}, "encoder", 16, folder=folder, task_metric="val/acc"
        )
        fit(folder, [brain], epochs=1, devices=devices, strategy="ddp" if devices > 1 else "auto")
        return
    pl.seed_everything(0, verbose=False)
    source = RenderedObjects(train_images=64, val_images=32, size=32, cache=f"{folder}/objects")
    net = create_model("cornet_s", num_classes=8, width=0.125)
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=0.01, schedule="constant")
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        logger=CsvLogger(folder),
        callbacks=[BrainScore([bundle], folder=folder)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )
    trainer.fit(
        Learner(net, recipe, source.mean, source.std),
        datamodule=ImageLoaders(source, batch_size=16, workers=0),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
