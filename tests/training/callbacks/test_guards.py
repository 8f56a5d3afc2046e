"""What stops a training: numbers that are no longer finite, too many unreadable files."""

import logging
from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.training.callbacks.guards import FiniteLoss, UnreadableFiles
from cornet.training.callbacks.last_checkpoint import LastCheckpoint
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe


def fit(photographs: Path, run: Path, epochs=2, learning_rate=0.01, module=Learner, callbacks=()):
    recipe = Recipe(epochs=epochs, batch_size=4, learning_rate=learning_rate, schedule="constant")
    source = ImageFolder(photographs, size=32)
    net = create_model("cornet_z", num_classes=2, width=0.1)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[FiniteLoss(), UnreadableFiles(run), LastCheckpoint(run), *callbacks],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=50,
        num_sanity_val_steps=0,
    )
    trainer.fit(
        module(net, recipe, source.mean, source.std), datamodule=ImageLoaders(source, batch_size=4, workers=0)
    )
    return trainer


class BreaksAtStep8(Learner):
    """Its loss is NaN at the second epoch's second step (of six), from numbers, as an overflow would be."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if self.trainer.global_step == 7 else loss


def test_a_loss_that_is_no_number_stops_before_the_checkpoint_and_names_the_step(photographs, tmp_path):
    with pytest.raises(CornetError, match=r"loss became NaN .* at step 8 \(epoch 1\).*last.ckpt") as caught:
        fit(photographs, tmp_path / "run", module=BreaksAtStep8)
    assert "lower recipe.learning_rate" in str(caught.value)
    kept = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 6
    assert all(torch.isfinite(v).all() for v in kept["state_dict"].values())


def test_a_rate_that_is_too_high_is_found_out(photographs, tmp_path):
    with pytest.raises(CornetError, match="became NaN or infinite at step"):
        fit(photographs, tmp_path / "run", epochs=8, learning_rate=1e6)


def test_few_bad_files_are_named_and_left_out(photographs, tmp_path, caplog):
    cut = photographs / "train" / "cat" / "03.png"
    cut.write_bytes(cut.read_bytes()[:200])
    (photographs / "val" / "dog" / "01.png").write_text("no image")
    with caplog.at_level(logging.WARNING, "cornet"):
        trainer = fit(photographs, tmp_path / "run")
    assert trainer.current_epoch == 2
    listed = pd.read_csv(tmp_path / "run" / "bad_files.csv")
    assert [(r.split, r.path[-10:]) for r in listed.itertuples()] == [
        ("train", "cat/03.png"),
        ("val", "dog/01.png"),
    ]
    assert sum("03.png cannot be read" in message for message in caplog.messages) == 1
    assert torch.isfinite(trainer.callback_metrics["val/loss"])
    assert float(trainer.callback_metrics["val/top1"]) * 7 % 1 == pytest.approx(0, abs=1e-5)


def test_many_bad_files_stop_the_run(photographs, tmp_path):
    for k in range(6):
        for name in ("cat", "dog"):
            (photographs / "train" / name / f"{k:02}.png").write_bytes(b"")
    with pytest.raises(CornetError, match=r"11 of the 24 images of train cannot be read|12 of the 24"):
        fit(photographs, tmp_path / "run")


def test_a_class_without_a_readable_image_stops_the_run(photographs, tmp_path):
    for path in (photographs / "train" / "cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CornetError, match=r"none of the 12 images in .*cat can be read"):
        fit(photographs, tmp_path / "run")
