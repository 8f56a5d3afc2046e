"""Log the speed of a training and how much of the device it uses."""

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
"""Dense bf16 TFLOP/s with fp32 accumulation, as the makers state them."""


def known_peak(device: torch.device) -> float | None:
    """Return the device's TFLOP/s from `PEAKS`; None for a CPU or an unknown card."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for card, peak in PEAKS.items() if card in name), None)


class Throughput(pl.Callback):
    """Logs the speed of training steps, without validation, brain scores and an epoch's first batch.

    At every logged step, since the previous one:
    speed/images_per_second: of all ranks together.
    speed/data_wait: share of the time between steps that is spent waiting for data. If it is above a few per cent, use
        more workers or smaller images.
    speed/utilisation: 3 (forward pass, and backward at twice its cost) x 2 (multiply, add) x `count_macs` x images/s,
        divided by `peak`. Work that is skipped because it cannot reach the read-out counts. Not logged if the peak is
        unknown, as on a CPU.
    At the end of every epoch: train/images_per_second of the whole epoch, the only metric that waits for the device.

    peak: TFLOP/s of one device; None to look it up in `PEAKS`. Raises CornetError unless it is positive.
    """

    def __init__(self, peak: float | None = None) -> None:
        if peak is not None and not peak > 0:
            raise CornetError(
                f"callbacks.throughput.peak={peak} must be positive TFLOP/s; set it to null to look up a known card."
            )
        self.peak = peak
        self.flops_per_image: dict[int, float] = {}  # by image size in pixels
        self.logged_step = -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.peak = self.peak or known_peak(pl_module.device)
        self.on_train_epoch_start()  # Lightning does not call it on a resume within an epoch

    def on_train_epoch_start(self, *_: Any) -> None:
        self.last_batch_end: float | None = None  # None after work other than training
        self.epoch_seconds, self.epoch_images = 0.0, 0
        self.reset_counts()

    def reset_counts(self) -> None:
        """Reset the counts after a logged step."""
        self.seconds, self.waited, self.images, self.flops = 0.0, 0.0, 0, 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        if self.last_batch_end is not None:
            self.waited += time.perf_counter() - self.last_batch_end

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        if self.last_batch_end is not None:
            images = len(batch.labels) * trainer.world_size
            self.images += images
            self.epoch_images += images
            self.flops += images * self.image_flops(pl_module, trainer.current_epoch, batch)
            self.add_time(now)
        self.last_batch_end = now
        step = trainer.global_step
        if step % trainer.log_every_n_steps == 0 and step != self.logged_step and self.seconds:  # type: ignore[attr-defined]
            rates = {
                "speed/images_per_second": self.images / self.seconds,
                "speed/data_wait": self.waited / self.seconds,
            }
            if self.peak and math.isfinite(self.flops):
                peak_flops = 1e12 * self.peak * trainer.world_size
                rates["speed/utilisation"] = self.flops / self.seconds / peak_flops
            pl_module.log_dict(rates, on_step=True, on_epoch=False)
            self.logged_step = step
            self.reset_counts()

    def image_flops(self, pl_module: Any, epoch: int, batch: Batch) -> float:
        """Return the FLOPs of an image at the size of this epoch; NaN for a network that is not a CORnet."""
        size = size_at(pl_module.recipe.sizes, epoch) or batch.images.shape[-1]
        if size not in self.flops_per_image:
            net = pl_module.net
            self.flops_per_image[size] = 6.0 * count_macs(net, size) if isinstance(net, CORnet) else math.nan
        return self.flops_per_image[size]

    def add_time(self, now: float) -> None:
        assert self.last_batch_end is not None
        self.seconds += now - self.last_batch_end
        self.epoch_seconds += now - self.last_batch_end

    def on_brain_scores(self, *_: Any) -> None:
        """Ignore the time of an evaluation within an epoch, and the wait for the next batch."""
        self.last_batch_end = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if pl_module.device.type == "cuda":  # the device lags behind the host: wait for it, once per epoch
            torch.cuda.synchronize(pl_module.device)
        if self.last_batch_end is not None:
            self.add_time(time.perf_counter())
            self.last_batch_end = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.epoch_seconds:
            pl_module.log("train/images_per_second", self.epoch_images / self.epoch_seconds)
