"""How fast a training runs, and how much of the device it uses, logged throughout."""

import math
import time
from typing import Any

import pytorch_lightning as pl
import torch

from cornet.errors import CornetError
from cornet.models import CORnet, count_macs
from cornet.stimuli.samples import Batch
from cornet.training.recipe import size_at

__all__ = ["PEAKS", "Throughput", "known_peak"]

PEAKS = {
    "H200": 989.0,
    "H100 80GB HBM3": 989.0,
    "H100 PCIe": 756.0,
    "A100": 312.0,
    "L40S": 362.0,
    "RTX 4090": 165.0,
}
"""TFLOP/s of dense bf16 products with sums in fp32, as the cards' makers state them."""


def known_peak(device: torch.device) -> float | None:
    """TFLOP/s of the device from `PEAKS`; None for a CPU, or a card that is not in it."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for card, peak in PEAKS.items() if card in name), None)


class Throughput(pl.Callback):
    """Logs the speed of training steps, without validation, brain scores and an epoch's first batch.

    At every logged step, since the last one:
    speed/images_per_second: of all ranks together.
    speed/data_wait: the share of the time between steps. Above a few per cent, give more workers or smaller images.
    speed/utilisation: 3 (forward, and backward twice) x 2 (multiply, add) x `count_macs` x images/s, over `peak`. Work
        that is left out because it cannot reach the read-out counts. Not logged where the peak is unknown, as on a CPU.
    At the end of every epoch train/images_per_second, of the whole epoch. Only there it waits for the device.

    peak: TFLOP/s of one device; None for what `PEAKS` says of it. Raises CornetError for one that is not positive.
    """

    def __init__(self, peak: float | None = None) -> None:
        if peak is not None and not peak > 0:
            raise CornetError(
                f"callbacks.throughput.peak={peak} must be positive TFLOP/s; leave it at null for a card that is known."
            )
        self.peak = peak
        self.work: dict[int, float] = {}  # FLOPs of an image, by pixels
        self.logged = -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.peak = self.peak or known_peak(pl_module.device)
        self.on_train_epoch_start()  # which does not come where a training goes on within an epoch

    def on_train_epoch_start(self, *_: Any) -> None:
        self.ended: float | None = None  # when the last batch did, if nothing but training has happened since
        self.epoch_seconds, self.epoch_images = 0.0, 0
        self.begin()

    def begin(self) -> None:
        """Count anew, from a step that was logged."""
        self.seconds, self.waited, self.images, self.flops = 0.0, 0.0, 0, 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        if self.ended is not None:
            self.waited += time.perf_counter() - self.ended

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        if self.ended is not None:
            images = len(batch.labels) * trainer.world_size
            self.images += images
            self.epoch_images += images
            self.flops += images * self.work_at(pl_module, trainer.current_epoch, batch)
            self.pass_to(now)
        self.ended = now
        step = trainer.global_step
        if step % trainer.log_every_n_steps == 0 and step != self.logged and self.seconds:  # type: ignore[attr-defined]
            rates = {
                "speed/images_per_second": self.images / self.seconds,
                "speed/data_wait": self.waited / self.seconds,
            }
            if self.peak and math.isfinite(self.flops):
                most = 1e12 * self.peak * trainer.world_size
                rates["speed/utilisation"] = self.flops / self.seconds / most
            pl_module.log_dict(rates, on_step=True, on_epoch=False)
            self.logged = step
            self.begin()

    def work_at(self, pl_module: Any, epoch: int, batch: Batch) -> float:
        """FLOPs of an image as the definition has it, at the size of this epoch; NaN for a network of another kind."""
        size = size_at(pl_module.recipe.sizes, epoch) or batch.images.shape[-1]
        if size not in self.work:
            net = pl_module.net
            self.work[size] = 6.0 * count_macs(net, size) if isinstance(net, CORnet) else math.nan
        return self.work[size]

    def pass_to(self, now: float) -> None:
        assert self.ended is not None
        self.seconds += now - self.ended
        self.epoch_seconds += now - self.ended

    def on_brain_scores(self, *_: Any) -> None:
        """Within an epoch: the time is not training's, and what the next batch waits for is not known."""
        self.ended = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if pl_module.device.type == "cuda":  # the host runs ahead of the device: wait for it, once an epoch
            torch.cuda.synchronize(pl_module.device)
        if self.ended is not None:
            self.pass_to(time.perf_counter())
            self.ended = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.epoch_seconds:
            pl_module.log("train/images_per_second", self.epoch_images / self.epoch_seconds)
