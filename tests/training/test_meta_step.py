"""Training steps at the published size on the meta device, where a tensor has no values to be read or copied.

On a GPU each such read makes the host wait. Printing would not fail on this device, so it is made to.
"""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import SingleDeviceStrategy

from cornet.models import create_model
from cornet.stimuli.samples import Batch
from cornet.training.callbacks.batch_fit import BatchFit
from cornet.training.callbacks.guards import FiniteLoss
from cornet.training.callbacks.throughput import Throughput
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe

FAST = {"channels_last": True, "clip": 1.0, "average": 0.99, "label_smoothing": 0.1}


def batches(count, images=256, size=224):
    shape = (images, 3, size, size)
    return [
        Batch(
            torch.empty(shape, dtype=torch.uint8, device="meta"),
            {"label": torch.empty(images, dtype=torch.int64, device="meta")},
            torch.empty(images, dtype=torch.int64, device="meta"),
        )
        for _ in range(count)
    ]


class MetaAccelerator(CPUAccelerator):
    """Lightning's for the CPU refuses other devices."""

    def setup_device(self, device):
        pass


class MetaStrategy(SingleDeviceStrategy):
    """Lightning's for one device, which leaves the network there at the end: it cannot be copied to the CPU."""

    def __init__(self):
        super().__init__(device=torch.device("meta"), accelerator=MetaAccelerator())

    def teardown(self):
        pass

    def reduce(self, tensor, *arguments, **options):
        """Lightning reads the lengths of the loaders, which it has put on the device, before the first step."""
        whole = isinstance(tensor, torch.Tensor) and not tensor.is_floating_point()
        return torch.ones_like(tensor, device="cpu") if whole else tensor


def fit(module, precision="32-true", callbacks=(), count=2, **options):
    recipe = module.recipe
    trainer = pl.Trainer(
        strategy=MetaStrategy(),
        max_epochs=1,
        limit_val_batches=0,
        log_every_n_steps=100,
        precision=precision,
        gradient_clip_val=recipe.clip,
        callbacks=[FiniteLoss(), BatchFit(), Throughput(), *callbacks, Ending()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )
    loaders = [torch.utils.data.DataLoader(batches(number), batch_size=None) for number in (count, 1)]
    with pytest.raises(Done):
        trainer.fit(module, *loaders)
    return trainer


class Done(Exception):
    """Raised after the last step: what Lightning does at the end of an epoch copies results to the CPU."""


class Ending(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx + 1 == trainer.num_training_batches:
            raise Done


def classifier(name, **recipe):
    with torch.device("meta"):
        net = create_model(name)
    settings = {"epochs": 1, "batch_size": 256, "learning_rate": 0.1, "schedule": "constant", **recipe}
    return Learner(net, Recipe(**settings), [0.5] * 3, [0.25] * 3)


@pytest.fixture(autouse=True)
def no_printing(monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("a meta tensor is printed")

    monkeypatch.setattr(torch._tensor_str, "_str", refuse)


@pytest.mark.parametrize("name", ["cornet_z", "cornet_r", "cornet_rt", "cornet_s"])
def test_no_step_reads_a_value(name):
    """256 images of 224 pixels, all 1,000 classes, with what `recipe=fast` does: a value that is read raises."""
    module = classifier(name, **FAST)
    assert fit(module).global_step == 2
    assert {p.device.type for p in module.parameters()} == {"meta"}


READS = {
    "item": lambda tensor: tensor.sum().item(),
    "cpu": lambda tensor: tensor.cpu(),
    "nonzero": lambda tensor: tensor.nonzero(),
    "bool": lambda tensor: bool(tensor.sum() > 0),
    "numpy": lambda tensor: tensor.detach().numpy(),
    "print": lambda tensor: print(tensor),
    "mask": lambda tensor: tensor[tensor > 0],
}


@pytest.mark.parametrize("read", READS)
def test_a_step_that_reads_a_value_raises(read):
    """So that the test above can fail."""

    class Reading(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            with pytest.raises((RuntimeError, TypeError), match=r"(?i)meta|data"):
                READS[read](outputs["loss"])

    fit(classifier("cornet_z"), callbacks=[Reading()], count=1)
