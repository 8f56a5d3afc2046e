"""A batch that does not fit in the device's memory: say which would."""

import gc
import traceback
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.memory import out_of_memory
from cornet.stimuli.samples import Batch

__all__ = ["BatchFit", "out_of_memory"]


class BatchFit(pl.Callback):
    """Stops a training that runs out of memory, and finds the largest batch that fits by trying smaller parts.

    Raises CornetError with that size, and with the recipe.accumulate that keeps the batch as it is.
    """

    def __init__(self) -> None:
        self.images: tuple[int, ...] | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, _: Any, batch: Batch, batch_idx: int) -> None:
        self.images = tuple(batch.images.shape)

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        if not out_of_memory(exception):
            return
        device = pl_module.device
        if not trainer.training or self.images is None:
            raise CornetError(
                f"a validation batch does not fit in the memory of {device}; choose a smaller loader.val_batch_size."
            ) from None
        traceback.clear_frames(exception.__traceback__)  # which hold the failed step's tensors
        at_once, shape = self.images[0], self.images[1:]
        recipe: Any = pl_module.recipe
        accumulate, whole = recipe.accumulate, recipe.batch_size
        told = f"recipe.batch_size={whole} does not fit in the memory of {device}"
        for part in smaller(at_once):
            if fits(trainer, pl_module, part, shape):
                raise CornetError(
                    f"{told}: {at_once} images of {shape[-1]} pixels at once are too many there and {part} fit; set "
                    f"recipe.accumulate={accumulate * at_once // part} to keep the batch, or "
                    f"recipe.batch_size={whole * part // at_once}."
                ) from None
        raise CornetError(
            f"{told}, nor does a single image of {shape[-1]} pixels; choose a smaller data.size or model.width."
        ) from None


def smaller(batch: int) -> Iterator[int]:
    """Parts into which a batch divides, each at most half of the one before."""
    last = batch
    for parts in range(2, batch + 1):
        if batch % parts == 0 and batch // parts <= last / 2:
            last = batch // parts
            yield last


def fits(trainer: pl.Trainer, module: Any, batch: int, shape: tuple[int, ...]) -> bool:
    """Whether a training step on that many images (of this shape) goes through, gradients and momentum kept."""
    tidy(module)
    held: list[Tensor] = []
    try:
        optimiser = trainer.optimizers[0]
        if not optimiser.state:  # it is at the first step that the momentum takes its place
            held = [torch.empty_like(p) for p in module.net.parameters()]
        images = torch.zeros(batch, *shape, dtype=torch.uint8, device=module.device)
        labels = torch.zeros(batch, dtype=torch.int64, device=module.device)
        with trainer.precision_plugin.train_step_context():
            loss, _ = module.loss(images, labels)
        loss.backward()
        float(loss.detach())  # a GPU answers late
        return True
    except Exception as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return False
    finally:
        del held
        tidy(module)


def tidy(module: Any) -> None:
    """Give back what a step left."""
    module.zero_grad(set_to_none=True)
    gc.collect()
    if module.device.type == "cuda":
        torch.cuda.empty_cache()
