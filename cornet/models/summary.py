"""What a network costs, and what was published about it."""

from dataclasses import dataclass
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.catalogue import published_model
from cornet.models.network import CORnet
from cornet.models.registry import create_model

__all__ = ["ModelSummary", "count_macs", "describe"]


@dataclass(frozen=True)
class ModelSummary:
    """A row of the table of networks.

    macs: multiply-adds per image of `size` x `size` pixels. steps: {area: steps}.
    top1: published ImageNet top-1 (fraction), for the network as published only; top1_note: of what images.
    """

    name: str
    summary: str
    parameters: int
    macs: int
    size: int
    steps: dict[str, int]
    top1: float | None
    top1_note: str
    paper: str


def count_macs(net: CORnet, size: int = 224) -> int:
    """Multiply-adds of the convolutions and the decoder for one image of `size` x `size` pixels.

    They are those of the definition, by formula: in cascade and synchronous unrolling every area's input path
    runs at every step (but for the areas that nothing has reached at step 0), although `unroll` runs that of
    the unchanging image once, and leaves out what the logits do not depend on.
    Raises CornetError for a size below 1.
    """
    if size < 1:
        raise CornetError(f"size={size} must be at least 1 pixel.")
    macs, shape = 0, (size, size)
    for position, (name, area) in enumerate(net.areas.items()):
        steps = net.steps[name]
        drives = 1 if net.unroll == "sequential" else steps - (position > 0)
        work, shape = area.work(shape, drives, steps)  # type: ignore[operator]
        macs += work
    return macs + net.decoder.weight.numel()


def definition(net: CORnet) -> tuple[Any, ...]:
    """What makes two networks the same but for their weights."""
    return net.unroll, net.steps, {key: value.shape for key, value in net.state_dict().items()}


def describe(name: str, size: int = 224, **arguments: Any) -> ModelSummary:
    """What is known of the network `create_model(name, **arguments)` on images of `size` x `size` pixels.

    Nothing is computed with and no weights are made. Raises CornetError as `create_model` does.
    """
    published = published_model(name)
    with torch.device("meta"):
        net = create_model(name, **arguments)
        plain = create_model(name)
    parameters = sum(p.numel() for p in net.parameters())
    macs = count_macs(net, size)
    as_published = size == 224 and definition(net) == definition(plain)
    return ModelSummary(
        name,
        published.summary,
        parameters,
        macs,
        size,
        dict(net.steps),
        published.top1 if as_published else None,
        published.top1_note if as_published else "",
        published.paper,
    )
