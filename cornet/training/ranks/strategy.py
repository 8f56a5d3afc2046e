"""How the ranks of a training step together: gradients averaged while they are computed, statistics after."""

import atexit
import inspect
import signal
import threading
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from cornet.training.ranks.processes import known

__all__ = ["RankStrategy"]


class RankStrategy(DDPStrategy):
    """Data-parallel training of ranks that were started from outside.

    gradient_as_bucket_view: gradients lie in the buffers that are sent. static_graph: parameters without a gradient are
    searched in the first step only. options: of Lightning's DDPStrategy and torch's DistributedDataParallel.

    Unlike Lightning's strategy
    * running statistics of batch norms are averaged over the ranks after every training step (DDP sends rank 0's before
      a forward pass), so they are of all images and the same in every checkpoint;
    * a validation step does not synchronise the ranks, which may have different numbers of them;
    * ranks do not ask each other for a stop before every batch, and Lightning's SIGTERM handler is not used: both wait.
    """

    def __init__(
        self, gradient_as_bucket_view: bool = True, static_graph: bool = True, **options: Any
    ) -> None:
        new = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
        own: dict[str, Any] = {
            "gradient_as_bucket_view": gradient_as_bucket_view,
            "static_graph": static_graph,
            "forward_sync_buffers" if new else "broadcast_buffers": False,  # its name since torch 2.13 or so
        }
        super().__init__(**own, **options)
        self.on_terminate = signal.getsignal(signal.SIGTERM)
        self.statistics: list[Tensor] = []

    def setup_distributed(self) -> None:
        """Connect the ranks by the store at which they met.

        With torchrun's --max-restarts a store outlives its ranks, and torch (seen with 2.15) uses the same names again.
        """
        if (store := known().store) is not None and not dist.is_initialized():
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
            if backend == "nccl":  # which warns of a group that nobody left
                atexit.register(_leave)
        super().setup_distributed()

    def setup(self, trainer: pl.Trainer) -> None:
        super().setup(trainer)
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.on_terminate)
        assert self.lightning_module is not None
        self.statistics = running_statistics(self.lightning_module)

    def post_backward(self, closure_loss: Tensor) -> None:
        super().post_backward(closure_loss)
        average(self.statistics)  # not sooner: autograd forbids it between a forward and its backward pass

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module is not None
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Mean and variance of every batch norm; norms are known by their type, never by name."""
    norms = [norm for norm in module.modules() if isinstance(norm, _NormBase)]
    return [s for norm in norms for s in (norm.running_mean, norm.running_var) if s is not None]


@torch.no_grad()
def average(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over the ranks; one message for all."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([tensor.numel() for tensor in tensors])
    torch._foreach_copy_(tensors, [p.view_as(t) for p, t in zip(parts, tensors, strict=True)])


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
