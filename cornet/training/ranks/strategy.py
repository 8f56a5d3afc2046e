"""The Lightning strategy for several ranks: average gradients in the backward pass, batch norms after it."""

import atexit
import contextlib
import inspect
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from cornet.training.ranks.processes import current_ranks

__all__ = ["RankStrategy"]


class RankStrategy(DDPStrategy):
    """Data-parallel training with ranks that torchrun or srun started.

    gradient_as_bucket_view: store gradients in the buffers that are sent. static_graph: search for parameters without a
    gradient in the first step only. options: for Lightning's DDPStrategy and torch's DistributedDataParallel.

    Differences from Lightning's strategy:
    * The running statistics of batch norms are averaged over the ranks after every training step, so they describe all
      images and are the same in every checkpoint. (DDP broadcasts those of rank 0 before a forward pass.)
    * Gradients are averaged after the first part of an accumulated batch too, once, because torch learns the static
      graph from it and otherwise fails an assertion. Averaging again does not change what all ranks share.
    * A validation step does not synchronise the ranks, as their numbers of validation steps may differ.
    * There is no collective check for a stop before every batch, and no SIGTERM handler of Lightning: both add waits.
    """

    def __init__(
        self, gradient_as_bucket_view: bool = True, static_graph: bool = True, **options: Any
    ) -> None:
        new = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
        defaults: dict[str, Any] = {
            "gradient_as_bucket_view": gradient_as_bucket_view,
            "static_graph": static_graph,
            "forward_sync_buffers" if new else "broadcast_buffers": False,  # its name since about torch 2.13
        }
        super().__init__(**defaults, **options)
        self.on_terminate = signal.getsignal(signal.SIGTERM)
        self.running_stats: list[Tensor] = []
        self.has_averaged = False  # gradients, at least once

    def setup_distributed(self) -> None:
        """Initialise the process group with the store that the ranks already share.

        With torchrun's --max-restarts a store outlives its ranks, and torch (seen in 2.15) uses the same keys again.
        """
        if (store := current_ranks().store) is not None and not dist.is_initialized():
            self.set_world_ranks()
            backend = self._get_process_group_backend()
            device = self.root_device if self.root_device.type != "cpu" else None
            dist.init_process_group(
                backend,
                store=dist.PrefixStore("group", store.clone()),
                rank=self.global_rank,
                world_size=self.world_size,
                timeout=self._timeout,
                device_id=device,
            )
            if backend == "nccl":  # it warns about a process group that was not destroyed
                atexit.register(_destroy_process_group)
        super().setup_distributed()

    def setup(self, trainer: pl.Trainer) -> None:
        super().setup(trainer)
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.on_terminate)
        assert self.lightning_module is not None
        self.running_stats = running_statistics(self.lightning_module)

    @contextlib.contextmanager
    def block_backward_sync(self) -> Iterator[None]:
        with super().block_backward_sync() if self.has_averaged else contextlib.nullcontext():
            yield

    def post_backward(self, closure_loss: Tensor) -> None:
        super().post_backward(closure_loss)
        self.has_averaged = True
        average_over_ranks(self.running_stats)  # only now: autograd forbids it before the backward pass

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module is not None
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Return the running mean and variance of every batch norm, which is found by its type."""
    norms = [norm for norm in module.modules() if isinstance(norm, _NormBase)]
    return [s for norm in norms for s in (norm.running_mean, norm.running_var) if s is not None]


@torch.no_grad()
def average_over_ranks(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over the ranks, with one all-reduce for all."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([tensor.numel() for tensor in tensors])
    torch._foreach_copy_(tensors, [p.view_as(t) for p, t in zip(parts, tensors, strict=True)])


def _destroy_process_group() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
