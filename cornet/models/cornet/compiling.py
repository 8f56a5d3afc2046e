"""Running an unrolled network as one compiled graph."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch._dynamo
import torch._functorch.config
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

__all__ = ["CompiledNetwork"]

log = logging.getLogger("cornet")

MOST_GRAPHS = 128
"""Graphs that one process may hold of one network's code; PyTorch's own limit, 8, is for one model at one size."""


class CompiledNetwork:
    """A network's `run`, compiled: one graph, without breaks, per image size and mode.

    Modes: training, evaluation, states, read-outs, precision. A training graph is for one batch size, an evaluation
    graph for 2 images or more; a single image runs uncompiled.

    net: has the method `run(images, steps, return_states, readouts, pixels)`. memory_budget: share (0 to 1) of the
    activations that is kept for the backward pass, the rest being computed again; None: the fastest. Statistics of
    norms are updated once. options: of torch.compile, such as backend or mode.

    On several ranks gradients are sent after the backward pass. Where compiling fails, as without a C compiler, the
    network runs uncompiled, logs it once, and `failed` is true.
    """

    def __init__(self, net: nn.Module, memory_budget: float | None = None, **options: Any):
        self.plain: Callable[..., Any] = net.run  # type: ignore[assignment]
        self.net = net
        self.memory_budget = memory_budget
        self.run = torch.compile(self.plain, **{"fullgraph": True, **options})
        self.failed = False

    def __call__(
        self,
        images: Tensor,
        steps: Mapping[str, int],
        return_states: bool,
        readouts: bool,
        pixels: tuple[Tensor, Tensor] | None,
    ) -> Any:
        arguments = (steps, return_states, readouts, pixels)
        single = not self.net.training and len(images) < 2
        if self.failed or single or torch.compiler.is_compiling():
            return self.plain(images, *arguments)
        if not self.net.training:
            images = images.view_as(images)  # the mark stays with a tensor
            torch._dynamo.mark_dynamic(images, 0)
        try:
            with compiler_settings(self.memory_budget):
                return self.run(images, *arguments)
        except TorchDynamoException as error:
            self.failed = True
            inner = getattr(error, "inner_exception", error)
            lines = [line.strip() for line in f"{type(inner).__name__}: {inner}".splitlines() if line.strip()]
            log.warning(
                "the network could not be compiled and runs uncompiled, more slowly, from now on (%s); install a C++ "
                "compiler, or set recipe.compile=false.",
                lines[0].rstrip("."),
            )
            return self.plain(images, *arguments)


@contextlib.contextmanager
def compiler_settings(memory_budget: float | None) -> Iterator[None]:
    """The compiler's limits for as long as one call takes; they are read when it compiles, there."""
    with contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {
            "automatic_dynamic_shapes": False,  # a second image size is to have a graph as good as the first's
            "optimize_ddp": False,  # else DDP has the graph cut at its gradient buckets, 11 parts of CORnet-S
            "recompile_limit": MOST_GRAPHS,
            "accumulated_recompile_limit": MOST_GRAPHS * 8,
        }
        stack.enter_context(torch._dynamo.config.patch(settings))
        if memory_budget is not None:
            budget = torch._functorch.config.patch(activation_memory_budget=memory_budget)
            stack.enter_context(budget)
        yield
