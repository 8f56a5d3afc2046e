"""Keep the weights of every epoch."""

from pathlib import Path

from pytorch_lightning.callbacks import ModelCheckpoint

__all__ = ["EveryEpoch"]


class EveryEpoch(ModelCheckpoint):
    """Writes the weights after every epoch, without the state of the optimiser: epoch_000.ckpt, epoch_001.ckpt, ...

    dirpath: the folder. An epoch that is trained again after a stop replaces its file.
    """

    def __init__(self, dirpath: str | Path) -> None:
        super().__init__(
            dirpath,
            "epoch_{epoch:03d}",
            auto_insert_metric_name=False,
            save_top_k=-1,
            save_weights_only=True,
            enable_version_counter=False,
        )
