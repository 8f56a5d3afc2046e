"""Brain scores during training in a LightningModule of your own.

    python examples/score_in_lightning.py

The module, its data and its logging stay as they are; only the callback is new. Replace "simulated" by a folder with a
bundle of recordings, or by public data (cornet fetch majajhong2015).
"""

import pytorch_lightning as pl
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import FakeData
from torchvision.models import resnet18
from torchvision.transforms import ToTensor

import cornet


class MyClassifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.encoder = resnet18(num_classes=10)

    def training_step(self, batch, index):
        images, labels = batch
        return F.cross_entropy(self.encoder(images), labels)

    def validation_step(self, batch, index):
        images, labels = batch
        self.log("val/acc", (self.encoder(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 1e-3)


def main():
    images = DataLoader(FakeData(64, (3, 64, 64), transform=ToTensor()), batch_size=16)
    brain_score = cornet.BrainScore(
        ["simulated.V4", "simulated.IT"],
        layers={"V4": "layer3", "IT": "layer4"},
        network="encoder",
        size=64,
        task_metric="val/acc",
    )
    best = pl.callbacks.ModelCheckpoint(monitor="brain/IT", mode="max")
    trainer = pl.Trainer(max_epochs=2, callbacks=[brain_score, best], log_every_n_steps=1)
    trainer.fit(MyClassifier(), images, images)
    print(f"Scores of every epoch: {brain_score.path / 'scores.csv'}")


if __name__ == "__main__":
    main()
