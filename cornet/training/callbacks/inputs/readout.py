"""What a linear read-out of the inputs reaches without any network, such as of the mean spectrum of sounds."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, Key, collate

__all__ = ["InputReadout", "readout_accuracy"]

PENALTIES = np.logspace(-3, 4, 15)
BATCH = 256


class InputReadout(pl.Callback):
    """Logs baseline/<target>_top1 after every epoch: the accuracy of a ridge classifier on averaged inputs.

    targets: names of class indices among the targets, such as [word, genre]. The inputs of data that are not images
    are averaged over their last axis; for cochleagrams (1, channel, frame) this is the mean spectrum. Fitted on the
    training inputs of epoch 0 with a penalty chosen by leave-one-out, measured on the validation inputs. It does not
    depend on the network, so that every value beside it can be compared with it.

    Raises CornetError for a target that the data do not have.
    """

    def __init__(self, targets: list[str]) -> None:
        self.targets = list(targets)
        self.found: dict[str, float] | None = None

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        if self.found is None:
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            self.found = readout_accuracy(data.train_images, data.val_images, self.targets)
        for name, value in self.found.items():
            pl_module.log(f"baseline/{name}_top1", value)


def readout_accuracy(train: Any, val: Any, targets: list[str]) -> dict[str, float]:
    """Accuracy by target of a ridge classifier on inputs averaged over their last axis; see `InputReadout`."""
    shown = [averaged(split, targets, view) for split, view in ((train, False), (val, True))]
    found = {}
    for name in targets:
        (x, y), (tested, truth) = ((inputs, classes[name]) for inputs, classes in shown)
        used, scored = y != IGNORED, truth != IGNORED
        model = RidgeClassifierCV(PENALTIES).fit(x[used], y[used])
        found[name] = float((model.predict(tested[scored]) == truth[scored]).mean())
    return found


def averaged(split: Any, targets: list[str], view: bool) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Inputs averaged over their last axis, (sample, feature), and classes by target. view: inputs have views."""
    inputs, classes = [], []
    for first in range(0, len(split), BATCH):
        keys = [Key(k, 0) for k in range(first, min(first + BATCH, len(split)))]
        batch = collate(split.__getitems__(keys))
        for name in targets:
            if name not in batch.targets:
                raise CornetError(
                    f"the input read-out needs the target {name!r}, but the data have {', '.join(batch.targets)}; "
                    "change callbacks.input_readout.targets."
                )
        shown = batch.inputs[:, 0] if view else batch.inputs
        inputs.append(shown.float().mean(-1).flatten(1).numpy())
        classes.append({name: batch.targets[name].numpy().astype(np.int64) for name in targets})
    return np.concatenate(inputs), {name: np.concatenate([one[name] for one in classes]) for name in targets}
