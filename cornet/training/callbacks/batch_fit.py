"""Find the largest batch that fits after a training runs out of memory."""

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.memory import free_memory, out_of_memory
from cornet.stimuli.samples import Batch

__all__ = ["BatchFit"]


class BatchFit(pl.Callback):
    """Stops a training that runs out of memory, and finds the largest batch that fits by trying smaller ones.

    Raises CornetError with that size, and with the recipe.accumulate that keeps the batch size.
    """

    def __init__(self) -> None:
        self.images: tuple[int, ...] | None = None
        self.dtype = torch.uint8
        self.targets: dict[str, Any] = {}

    def on_train_batch_start(self, trainer: pl.Trainer, _: Any, batch: Batch, batch_idx: int) -> None:
        self.images, self.dtype = tuple(batch.inputs.shape), batch.inputs.dtype
        self.targets = {name: (values.shape[1:], values.dtype) for name, values in batch.targets.items()}

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        if not out_of_memory(exception):
            return
        device = pl_module.device
        if not trainer.training or self.images is None:
            raise CornetError(
                f"a validation batch does not fit in the memory of {device}; set a smaller loader.val_batch_size."
            ) from None
        traceback.clear_frames(exception.__traceback__)  # frees the failed step's tensors
        images, shape = self.images[0], self.images[1:]
        recipe: Any = pl_module.recipe
        accumulate, batch_size = recipe.accumulate, recipe.batch_size
        what = f"{shape[-1]} pixels" if self.dtype == torch.uint8 else f"shape {shape}"
        too_large = f"recipe.batch_size={batch_size} does not fit in the memory of {device}"
        for part in smaller_batches(images):
            if step_fits(trainer, pl_module, part, shape, self.targets, self.dtype):
                raise CornetError(
                    f"{too_large}: {images} images of {what} at once are too many, {part} fit; set "
                    f"recipe.accumulate={accumulate * images // part} to keep the batch, or "
                    f"recipe.batch_size={batch_size * part // images}."
                ) from None
        raise CornetError(
            f"{too_large}, nor does a single image of {what}; set a smaller data.size or model.width."
        ) from None


def smaller_batches(batch: int) -> Iterator[int]:
    """Yield the divisors of a batch size, each at most half of the one before."""
    last = batch
    for parts in range(2, batch + 1):
        if batch % parts == 0 and batch // parts <= last / 2:
            last = batch // parts
            yield last


def step_fits(
    trainer: pl.Trainer,
    module: Any,
    batch: int,
    shape: tuple[int, ...],
    targets: Mapping[str, Any],
    inputs: torch.dtype = torch.uint8,
) -> bool:
    """Return whether a training step on `batch` images of this shape and dtype fits, with gradients and momentum.

    targets: by name, the shape of one image's target and its dtype.
    """
    module.zero_grad(set_to_none=True)
    free_memory()
    momentum: list[Tensor] = []
    try:
        optimiser = trainer.optimizers[0]
        if not optimiser.state:  # the first step would allocate the momentum, and Adam the second moments
            copies = 2 if isinstance(optimiser, torch.optim.Adam) else 1
            momentum = [torch.empty_like(p) for p in module.net.parameters() for _ in range(copies)]
        images = torch.zeros(batch, *shape, dtype=inputs, device=module.device)
        zeros = {
            name: torch.zeros(batch, *rest, dtype=dtype, device=module.device)
            for name, (rest, dtype) in targets.items()
        }
        indices = torch.zeros(batch, dtype=torch.int64, device=module.device)
        with trainer.precision_plugin.train_step_context():
            loss, _, _ = module.loss(Batch(images, zeros, indices), images)
        loss.backward()
        float(loss.detach())  # waits for the GPU, which reports errors late
        return True
    except Exception as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return False
    finally:
        del momentum
        module.zero_grad(set_to_none=True)
        free_memory()
