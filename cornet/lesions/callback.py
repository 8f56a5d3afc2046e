"""Lesion the trained network at the end of a training."""

import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.lesions.places import choose_places, find_places
from cornet.lesions.ranking import GROUP, SHARE
from cornet.lesions.study import TASKS, Images, LesionStudy, segregation_table
from cornet.stimuli.samples import IGNORED, ImageDataset, Key
from cornet.stimuli.two_tasks.splits import choose_evenly, labels_of

__all__ = ["Lesions", "read_images"]

log = logging.getLogger("cornet")

FILE = "lesions.csv"
READ = 256


class Lesions(pl.Callback):
    """Writes lesions.csv after the last epoch: what silencing units costs each of two tasks (`LesionStudy`).

    For a source with `groups` of two tasks and a split `test` (`cornet.stimuli.two_tasks`); with one task, it does
    nothing. The last weights are lesioned (the averaged ones if there are any). Logged: val/segregation/<place>, of the
    tasks at the largest share, and val/segregation halves/<place>, the mean of the controls; but neither those that are
    NaN, nor those of single steps.

    folder: where to write; None: the trainer's. layers: names of layers or areas; None: all. by_step: silence areas at
    each step too. images, shares, group, halves, random, rows, seed: as in `LesionStudy`.
    Raises CornetError before the training for a layer that does not exist, and values out of range.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        layers: Sequence[str] | None = None,
        by_step: bool = True,
        images: int = 6400,
        shares: Sequence[float] = (0.1, SHARE),
        group: float | None = GROUP,
        halves: int = 1,
        random: int = 5,
        rows: int = 512,
        seed: int = 0,
    ) -> None:
        self.folder, self.layers, self.by_step = folder, layers, by_step
        self.settings: dict[str, Any] = {
            "images": images, "shares": tuple(shares), "group": group, "halves": halves, "random": random, "rows": rows,
            "seed": seed,
        }  # fmt: skip
        self.study: LesionStudy | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the places and the images before the training starts."""
        source: Any = getattr(getattr(trainer, "datamodule", None), "source", None)
        if stage != "fit" or len(getattr(source, "groups", ())) != 2:
            return
        net = lesioned_network(pl_module)
        self.places = choose_places(find_places(net, source.size, self.by_step), self.layers)
        count = int(self.settings["images"])
        train, test = read_images(source.shown(), count, source.groups), read_images(source.test())
        mean, std = (getattr(pl_module, name) for name in ("pixel_mean", "pixel_std"))

        def normalise(images: torch.Tensor) -> torch.Tensor:
            module: Any = pl_module
            return module.net.normalise(images.to(module.device), mean, std)

        self.study = LesionStudy(train, test, source.groups, normalise, **self.settings)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """In the last epoch, before its checkpoint: a run killed later never reaches on_train_end."""
        if (
            self.study is None
            or not trainer.is_global_zero
            or trainer.current_epoch + 1 != trainer.max_epochs
        ):
            return
        begin, module = time.monotonic(), pl_module
        averaged = getattr(module, "averaged_weights", contextlib.nullcontext)
        with averaged(), torch.autocast(module.device.type, enabled=False):
            table = self.study.run(lesioned_network(module), self.places)
        path = Path(self.folder or trainer.log_dir or trainer.default_root_dir) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, csv_text(table))
        module.log_dict(logged(segregation_table(table)), rank_zero_only=True)
        log.info("lesions took %.0f s", time.monotonic() - begin)


def logged(table: Any) -> dict[str, float]:
    """Metrics of a table from `segregation_table`, without those of single steps."""
    values: dict[str, float] = {}
    for place, rows in table[table["step"].isna()].groupby("place", sort=False):
        tasks = rows["grouping"] == TASKS
        for word, chosen in (("segregation", rows[tasks]), ("segregation halves", rows[~tasks])):
            value = float(chosen["segregation"].mean()) if len(chosen) else np.nan
            values |= {f"val/{word}/{place}": value} if np.isfinite(value) else {}
    return values


def lesioned_network(module: Any) -> torch.nn.Module:
    """The network of a LightningModule that gives logits. Raises CornetError if it gives none."""
    name = getattr(module, "scored_network", None)
    net: Any = module
    for part in name.split(".") if name else ():
        net = getattr(net, part)
    if isinstance(getattr(net, "decoder", None), torch.nn.Identity):
        raise CornetError(
            "lesions compare accuracies of the network's own classifier, but this task has other heads; set "
            "task=classification, or callbacks.lesions=null."
        )
    return net


def read_images(split: ImageDataset, count: int | None = None, groups: Any = None) -> Images:
    """The images of a split as they are in epoch 0, of the first view, without unreadable ones.

    count, groups: twice `count` images of each group at most, spread evenly over its classes, because random halves
    of the classes draw from both groups.
    """
    labels = labels_of(split)
    rows = np.arange(len(labels))
    if count is not None:
        some = [np.flatnonzero(np.isin(labels, list(group))) for group in groups.values()]
        rows = np.sort(
            np.concatenate([one[choose_evenly(labels[one], min(2 * count, len(one)))] for one in some])
        )
    found = []
    for start in range(0, len(rows), READ):
        found += split.__getitems__([Key(int(k), 0) for k in rows[start : start + READ]])
    readable = [one for one in found if one.label != IGNORED]
    images = torch.stack([one.image[0] if one.image.ndim == 4 else one.image for one in readable])
    return Images(images, np.array([one.label for one in readable], np.int64))
