"""Score how well saliency maps agree with maps of what people find important, after every epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.alignment import (
    Alignment,
    absolute_saliency,
    alignment,
    alignment_table,
    controls,
    image_specific,
)
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.sizes import check_positive_int
from cornet.stimuli.samples import Key, Sample, collate

__all__ = ["AlignmentScore"]

BATCH = 32
NETWORK = "network"


class AlignmentScore(pl.Callback):
    """Writes alignment.csv and logs align/network, and beside it what is reached without any network.

    For images with maps (`data=imagenet_clickme`, or `data.maps`); without maps it does nothing. Before training and
    every `every` epochs, the saliency of `images` validation images is compared with their maps by Spearman's
    correlation, see `cornet.brain.metrics.alignment`. Rows, in the column `maps`: network; "network, image-specific":
    both minus their mean over images; "network, other images": the maps of other images; centred blob; mean map: of the
    training images. Values are divided by the ceiling of people where it is known (ClickMe), else by 1.

    folder: where to write; None: the trainer's. head, label: as in `cornet.losses.Harmonisation`.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        images: int = 256,
        every: int = 1,
        head: str = "label",
        label: str = "label",
    ) -> None:
        check_positive_int("images", images)
        check_positive_int("every", every)
        self.folder, self.images, self.every, self.head, self.label = folder, images, every, head, label
        self.shown: tuple[list[Sample], NDArray[np.float64]] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step == 0:
            self.score(trainer, pl_module, 0)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        wanted = epoch % self.every == 0 or epoch == trainer.max_epochs
        if wanted and not trainer.sanity_checking and trainer.state.fn == "fit":
            self.score(trainer, pl_module, epoch)

    def score(self, trainer: Any, module: Any, epoch: int) -> None:
        """Score, log, and add the rows to alignment.csv."""
        source = getattr(trainer.datamodule, "source", None)
        if not getattr(source, "maps", False) or not trainer.is_global_zero:
            return
        if self.shown is None:
            self.shown = samples_with_maps(source, self.images), mean_training_map(source, self.images)
        samples, mean_map = self.shown
        maps = np.stack([sample.targets["map"] for sample in samples]).astype(np.float64)
        ceiling = float(getattr(source, "map_ceiling", 1.0))
        found = self.saliency(module, samples)
        other = np.roll(maps, len(maps) // 2, axis=0)
        parts = (
            (NETWORK, found, maps),
            (f"{NETWORK}, image-specific", image_specific(found), image_specific(maps)),
            (f"{NETWORK}, other images", found, other),
        )
        rows: list[Alignment] = [alignment(a, b, name=name, ceiling=ceiling) for name, a, b in parts]
        rows += controls(maps, mean_map, ceiling=ceiling)
        table = alignment_table(rows)
        for logger in trainer.loggers:
            values = {
                f"align/{key_of(row.maps)}": row.value for row in table.itertuples() if np.isfinite(row.value)
            }
            logger.log_metrics(values, step=trainer.global_step)
        table.insert(0, "epoch", epoch)
        table.insert(1, "step", trainer.global_step)
        path = Path(self.folder or trainer.log_dir or trainer.default_root_dir) / "alignment.csv"
        if path.is_file() and epoch > 0:
            earlier = pd.read_csv(path)
            table = pd.concat([earlier[earlier["step"] < trainer.global_step], table], ignore_index=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, csv_text(table))

    def saliency(self, module: Any, samples: list[Sample]) -> NDArray[np.float64]:
        """Absolute gradients of the true logit, (image, y, x), in evaluation mode and full precision."""
        training, parts = module.training, []
        module.eval()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                for start in range(0, len(samples), BATCH):
                    batch = collate(samples[start : start + BATCH])
                    inputs = (batch.inputs[:, 0] if batch.inputs.ndim == 5 else batch.inputs).to(
                        module.device
                    )
                    outputs = module.differentiable_outputs(inputs)
                    if self.head not in outputs.predictions:
                        raise CornetError(
                            f"the alignment score reads the class logits {self.head!r}, but the task predicts "
                            f"{', '.join(outputs.predictions)}; set callbacks.alignment.head to one of these, or "
                            "callbacks.alignment=null."
                        )
                    labels = batch.targets[self.label].to(module.device)
                    found = absolute_saliency(outputs.predictions[self.head], outputs.images, labels)
                    parts.append(found.double().cpu().numpy())
        finally:
            module.train(training)
        return np.concatenate(parts)


def key_of(name: str) -> str:
    """The name of a row in the log: network, network_image_specific, mean_map."""
    return name.replace(", ", "_").replace(" ", "_").replace("-", "_")


def samples_with_maps(source: Any, count: int) -> list[Sample]:
    """Up to `count` validation images that have a map, evenly spaced. Raises CornetError if there are none."""
    images = source.map_images() if hasattr(source, "map_images") else source.val()
    places = np.unique(np.linspace(0, len(images) - 1, min(len(images), 4 * count)).astype(int))
    found = [one for one in (images[Key(int(k), 0)] for k in places) if one.targets["map_token"] > 0]
    if not found:
        raise CornetError(
            f"none of {len(places)} validation images of {source.name} has a map (map_token is 0 for all), so "
            "alignment cannot be scored; give maps, or set callbacks.alignment=null."
        )
    chosen = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).astype(int))
    return [found[k] for k in chosen]


def mean_training_map(source: Any, count: int) -> NDArray[np.float64]:
    """The mean of the maps of some training images, (y, x)."""
    images = source.train()
    total, seen = np.zeros((source.size, source.size)), 0.0
    for k in np.unique(np.linspace(0, len(images) - 1, min(len(images), 4 * count)).astype(int)):
        targets = images[Key(int(k), 0)].targets
        if targets["map_token"] > 0:
            total, seen = total + targets["map"], seen + 1
    return total / max(seen, 1.0)
