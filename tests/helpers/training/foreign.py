"""LightningModules, networks and trainings as users write them, without anything of cornet's."""

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def plain_network(classes: int = 4) -> nn.Sequential:
    """A small network with batch norm and dropout, which draws random numbers in training."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


class Recurrent(nn.Module):
    """One convolution that runs several times in a forward pass, as published recurrent networks do."""

    def __init__(self, calls: int = 4, classes: int = 4):
        super().__init__()
        self.calls = calls
        self.input = nn.Conv2d(3, 8, 3, 2, 1)
        self.cell = nn.Conv2d(8, 8, 3, 1, 1)
        self.head = nn.Linear(8, classes)

    def forward(self, images):
        drive = self.input(images)
        state = torch.zeros_like(drive)
        for _ in range(self.calls):
            state = torch.relu(self.cell(state) + drive)
        return self.head(state.mean((2, 3)))


class OwnModule(pl.LightningModule):
    """A user's classifier: the network in `encoder`, accuracy logged as val/acc."""

    def __init__(self, net: nn.Module | None = None):
        super().__init__()
        self.encoder = plain_network() if net is None else net

    def forward(self, images):
        return self.encoder(images)

    def training_step(self, batch, index):
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, index):
        images, labels = batch
        self.log("val/acc", (self(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)


class Unvalidated(OwnModule):
    """The same without a validation."""

    validation_step = None


def loader(count: int = 32, size: int = 16, batch: int = 8) -> DataLoader:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, size, size, generator=generator)
    return DataLoader(TensorDataset(images, torch.arange(count) % 4), batch_size=batch)


def fit(folder, callbacks=(), module=None, epochs=2, validate=True, **options):
    """Train a user's module: the trainer and the module."""
    pl.seed_everything(3, verbose=False)
    module = OwnModule() if module is None else module
    options = {"max_epochs": epochs, "logger": False, "enable_checkpointing": False, **options}
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=str(folder),
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )
    trainer.fit(module, loader(), loader() if validate and module.validation_step else None)
    return trainer, module
