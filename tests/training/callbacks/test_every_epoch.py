"""callbacks=every_epoch keeps the weights of each epoch, and leaves last.ckpt the last to be written."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from cornet.brain import open_subject
from cornet.instantiate import instantiate
from cornet.runs.path import identity_of
from cornet.training.callbacks.every_epoch import EveryEpoch
from cornet.training.callbacks.last_checkpoint import LastCheckpoint
from tests.helpers.composed import composed
from tests.helpers.training.small_trainings import batches, classifier, fit


class Weights(pl.Callback):
    """Copies of the weights at the end of each epoch."""

    def __init__(self):
        self.found = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.found.append({key: value.clone() for key, value in pl_module.net.state_dict().items()})


def test_each_epoch_has_a_file_with_its_weights_alone(tmp_path):
    weights = Weights()
    fit(
        classifier(epochs=3), batches(2), callbacks=[EveryEpoch(tmp_path), weights], enable_checkpointing=True
    )
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["epoch_000.ckpt", "epoch_001.ckpt", "epoch_002.ckpt"]
    for name, wanted in zip(files, weights.found, strict=True):
        content = torch.load(tmp_path / name, weights_only=True)
        assert "optimizer_states" not in content
        net = open_subject(f"{tmp_path / name}?size=32").net
        assert all(torch.equal(value, wanted[key]) for key, value in net.state_dict().items())
    assert not torch.equal(*(one["decoder.weight"] for one in weights.found[:2]))


def test_the_configuration_adds_it_before_the_last_checkpoint(tmp_path):
    config = composed("callbacks=every_epoch", "run_folder=x", "run_id=y")
    kinds = [
        instantiate(config.callbacks[name])
        for name in config.callbacks
        if "checkpoint" in name or "epoch" in name
    ]
    checkpoints = [type(one) for one in kinds if isinstance(one, Checkpoint)]
    assert EveryEpoch in checkpoints
    assert checkpoints[-1] is LastCheckpoint
    plain = composed("run_folder=x", "run_id=y")
    assert set(config.callbacks) - set(plain.callbacks) == {"every_epoch"}
    assert list(plain.callbacks) == [name for name in config.callbacks if name != "every_epoch"]
    assert identity_of(config) == identity_of(plain)  # a run goes on with it, or without
