"""Compile an unrolled network as one graph."""

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
"""Compiled graphs per process and network; PyTorch's default of 8 suits one image size and mode."""


class CompiledNetwork:
    """Compiles the `run` method of a network: one graph without breaks per image size and mode.

    Modes: training, evaluation, states, read-outs, features, precision. A training graph serves one batch size, an
    evaluation graph any batch of 2 or more images; a single image runs uncompiled.

    net: has the method `run(images, steps, return_states, readouts, pixels, features)`. memory_budget: share (0 to 1)
    of the activations to store for the backward pass; the rest is recomputed, without updating norm statistics twice.
    Default: the fastest choice. options: of torch.compile, such as backend or mode.

    With several ranks, gradients are reduced after the backward pass. If compilation fails (e.g. without a C
    compiler), the network logs a warning once and runs uncompiled, and `failed` is true.
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
        features: bool = False,
    ) -> Any:
        arguments = (steps, return_states, readouts, pixels, features)
        single = not self.net.training and len(images) < 2
        if self.failed or single or torch.compiler.is_compiling():
            return self.plain(images, *arguments)
        if not self.net.training:
            images = images.view_as(images)  # a view, so that the mark does not stay on the caller's tensor
            torch._dynamo.mark_dynamic(images, 0)
        try:
            with compiler_settings(self.memory_budget):
                return self.run(images, *arguments)
        except TorchDynamoException as error:
            self.failed = True
            inner = getattr(error, "inner_exception", error)
            lines = [line.strip() for line in f"{type(inner).__name__}: {inner}".splitlines() if line.strip()]
            log.warning(
                "the network could not be compiled and runs uncompiled, which is slower (%s); install a C++ "
                "compiler, or set recipe.compile=false.",
                lines[0].rstrip("."),
            )
            return self.plain(images, *arguments)


@contextlib.contextmanager
def compiler_settings(memory_budget: float | None) -> Iterator[None]:
    """Set the compiler's options for one call; PyTorch reads them when it compiles."""
    with contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {
            "automatic_dynamic_shapes": False,  # a second image size gets its own specialised graph
            "optimize_ddp": False,  # otherwise DDP splits the graph at its gradient buckets (11 for CORnet-S)
            "recompile_limit": MOST_GRAPHS,
            "accumulated_recompile_limit": MOST_GRAPHS * 8,
        }
        stack.enter_context(torch._dynamo.config.patch(settings))
        if memory_budget is not None:
            budget = torch._functorch.config.patch(activation_memory_budget=memory_budget)
            stack.enter_context(budget)
        yield
