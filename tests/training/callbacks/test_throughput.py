"""Speed and utilisation, as real trainings log them."""

import time

import pytest
import pytorch_lightning as pl

from cornet.errors import CornetError
from cornet.models import count_macs
from cornet.runs.metrics import read_metrics
from cornet.training.callbacks.throughput import Throughput, known_peak
from cornet.training.loggers.csv import CsvLogger
from tests.helpers.training.small_trainings import batches, classifier, fit

WAIT = 0.03


class SlowBatches(list):
    """A loader that takes its time."""

    def __getitem__(self, index):
        time.sleep(WAIT)
        return super().__getitem__(index)


class ScoresAt(pl.Callback):
    """Takes its time after a batch, as brain scores within an epoch do, and says so as they do."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == self.batch:
            time.sleep(1)
            for callback in trainer.callbacks:
                if hear := getattr(callback, "on_brain_scores", None):
                    hear(trainer, pl_module, [], 0.5)


def logged(tmp_path, module, train, *callbacks):
    fit(module, train, callbacks=callbacks, logger=CsvLogger(tmp_path), limit_val_batches=0)
    return read_metrics(tmp_path / "metrics.csv")


def test_utilisation_is_the_definitions_work_over_the_peak(tmp_path):
    module = classifier(epochs=2, sizes=[[16, 1]])
    metrics = logged(tmp_path, module, batches(6), Throughput(peak=0.05))
    speed = metrics[metrics["speed/images_per_second"].notna()]
    assert speed["step"].tolist() == [1, 3, 5, 7, 9, 11]
    for epoch, size in enumerate((16, 32)):
        rows = speed[speed["epoch"] == epoch]
        expected = rows["speed/images_per_second"] * 6 * count_macs(module.net, size) / 0.05e12
        assert rows["speed/utilisation"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6)
    assert metrics["train/images_per_second"].notna().sum() == 2


def test_waiting_for_images_is_told_from_training(tmp_path):
    quick = logged(tmp_path / "quick", classifier(epochs=1), batches(6), Throughput())
    slow = logged(tmp_path / "slow", classifier(epochs=1), SlowBatches(batches(6)), Throughput())
    assert "speed/utilisation" not in quick  # of a CPU no peak is known
    seconds = [  # of a step, between its predecessor's end and its own start
        (found["speed/data_wait"] * 8 / found["speed/images_per_second"]).dropna() for found in (quick, slow)
    ]
    assert seconds[1].min() > 0.9 * WAIT
    assert seconds[0].median() < 0.5 * WAIT


def test_brain_scores_within_an_epoch_are_no_part_of_training_speed(tmp_path):
    plain = logged(tmp_path / "plain", classifier(epochs=1), batches(8), Throughput())
    scored = logged(tmp_path / "scored", classifier(epochs=1), batches(8), Throughput(), ScoresAt(4))
    assert scored["speed/images_per_second"].notna().sum() >= 3
    for name in ("speed/images_per_second", "train/images_per_second"):
        assert (8 / scored[name].dropna()).max() < 0.5, name
        assert (8 / plain[name].dropna()).max() < 0.5, name


def test_bad_peak():
    with pytest.raises(CornetError, match=r"peak=0 must be positive TFLOP/s"):
        Throughput(peak=0)
    assert known_peak(pl.LightningModule().device) is None
