"""Something that happens in the middle of a training."""

from collections.abc import Callable
from typing import ClassVar

import pytorch_lightning as pl


class Interrupt(pl.Callback):
    """Calls what a test has put down for the end of an epoch (1 is the first)."""

    after: ClassVar[dict[int, Callable[[], None]]] = {}

    def on_train_epoch_end(self, trainer, pl_module):
        self.after.get(trainer.current_epoch + 1, lambda: None)()
