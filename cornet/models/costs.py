"""Count the parameters, multiply-adds and depth of a network of any family."""

import copy
from dataclasses import dataclass
from typing import Any

import torch

from cornet.models.base import Depth, Network
from cornet.models.create import create_model
from cornet.models.registry import registered
from cornet.sizes import check_pixels

__all__ = ["Depth", "ModelSummary", "count_macs", "describe"]


@dataclass(frozen=True)
class ModelSummary:
    """Costs and published accuracy of a network.

    macs: multiply-adds per image of `size` x `size` pixels. depth: see `Depth`; None: unknown. steps: {area: steps}.
    top1: published ImageNet top-1 (fraction), or None if the network differs from the published one; top1_note: how
    the images were cropped.
    """

    name: str
    summary: str
    parameters: int
    macs: int
    depth: Depth | None
    size: int
    steps: dict[str, int]
    top1: float | None
    top1_note: str
    paper: str


def count_macs(net: Network, size: int = 224) -> int:
    """Multiply-adds per image of `size` x `size` pixels, by the definition of the network's family.

    A family without a definition is run once on the meta device, and the multiply-adds of its convolutions and matrix
    products are counted. Raises CornetError for an invalid size.
    """
    check_pixels("size", size)
    defined = net.macs(size)
    return measured_macs(net, size) if defined is None else defined


def measured_macs(net: Network, size: int) -> int:
    """Multiply-adds of one forward pass, as PyTorch counts them. Computes with shapes only; needs no free memory."""
    from torch.utils.flop_counter import FlopCounterMode

    own = net.state_dict().values()  # with buffers: a network without a decoder may have no parameters
    shapes = net if all(tensor.is_meta for tensor in own) else copy.deepcopy(net).to("meta")
    training = shapes.training
    images = torch.empty(1, net.in_channels, size, size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shapes.eval()(images)
    shapes.train(training)
    return int(counter.get_total_flops()) // 2


def describe(name: str, size: int = 224, **arguments: Any) -> ModelSummary:
    """Summarise the network `create_model(name, **arguments)` for images of `size` x `size` pixels.

    It is built on the meta device, so no weights are allocated. Raises CornetError as `create_model` does.
    """
    entry = registered(name)
    with torch.device("meta"):
        net = create_model(name, **arguments)
        published_net = create_model(name)
    parameters = sum(p.numel() for p in net.parameters())
    macs = count_macs(net, size)
    as_published = size == 224 and net.architecture() == published_net.architecture()
    return ModelSummary(
        name,
        entry.summary,
        parameters,
        macs,
        net.depth(),
        size,
        dict(net.steps),
        entry.top1 if as_published else None,
        entry.top1_note if as_published else "",
        entry.paper,
    )
