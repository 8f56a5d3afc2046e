"""What validation says is of all images, each counted once."""

import pytest
import torch
import torch.nn.functional as F

from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.samples import Key
from tests.helpers.training.object_training import train


def test_loss_and_accuracy_are_of_all_images_though_the_last_batch_is_short(tmp_path):
    source = RenderedObjects(train_images=32, val_images=37, size=32, cache=str(tmp_path / "objects"))
    trainer, module = train(source, tmp_path, epochs=1)  # batches of 16, 16 and 5
    images = source.val()
    samples = [images[Key(index, 0)] for index in range(37)]
    module.eval()
    with torch.no_grad():
        logits = module(torch.stack([sample.image[0] for sample in samples]))
    labels = torch.tensor([sample.label for sample in samples])
    logged = trainer.callback_metrics
    assert float(logged["val/loss"]) == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
    assert float(logged["val/top1"]) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
