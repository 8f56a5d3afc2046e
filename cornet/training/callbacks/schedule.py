"""The schedule of callbacks that measure a network before training and after epochs."""

from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl

from cornet.sizes import check_positive_int

__all__ = ["AfterEpochs"]


class AfterEpochs(pl.Callback):
    """Calls `write` before the first step of a training, and after every `every` epochs and the last one."""

    def __init__(self, every: int = 1) -> None:
        check_positive_int("every", every)
        self.every = every

    @abstractmethod
    def write(self, trainer: Any, module: Any, epoch: int) -> None:
        """Measure the network as it is now. epoch: number of epochs trained."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step == 0:
            self.write(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0 or epoch == trainer.max_epochs:
            self.write(trainer, pl_module, epoch)
