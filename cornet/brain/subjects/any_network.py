"""Make a subject of any torch.nn.Module: a network with areas by these, any other by named layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cornet.brain.regions import BEHAVIOUR
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Milliseconds", "subject_of", "unwrapped"]

Milliseconds = float | Mapping[str, float]
"""A time in ms, for all regions or by region."""


def subject_of(
    net: nn.Module,
    layers: Mapping[str, str | Site] | None = None,
    *,
    name: str = "network",
    size: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    degrees: float = 8.0,
    step_ms: Milliseconds | None = None,
    onset_ms: Milliseconds | None = None,
    device: torch.device | str | None = None,
    precision: str = "auto",
    kinds: tuple[type[NetworkSubject], type[LayerSubject]] = (NetworkSubject, LayerSubject),
) -> NetworkSubject | LayerSubject:
    """Make a subject of a network.

    layers: the layer for each region, such as {"V4": "layer3", "IT": "layer4", "behaviour": "avgpool"}; "NAME.input" is
        the input of a layer, and "rnn[2]" its third call in a forward pass. A `cornet.models.Network` needs none, as it
        has areas. Without "behaviour", choices are read out from the input of the last linear layer.
    size, mean, std, degrees, device, precision, name: as in `NetworkSubject`.
    step_ms, onset_ms: for layers that run several times in a forward pass: the duration of a call and the start of the
        first one, in ms after stimulus onset, for all regions or by region; see `layer_intervals`. Without step_ms the
        last call is compared at all times.
    kinds: the classes for networks with areas and for others.

    Raises CornetError for something that is not a torch.nn.Module, unknown layers (with near names), layers that never
    run, and invalid times.
    """
    if not isinstance(net, nn.Module):
        raise CornetError(f"the network is a {type(net).__name__}, but must be a torch.nn.Module.")
    if layers is not None and not isinstance(layers, Mapping):
        raise CornetError(f"layers={layers!r} must give a layer for each region, such as {{'V4': 'layer3'}}.")
    net = unwrapped(net)
    chosen = dict(layers or {})
    options: dict[str, Any] = {"name": name, "size": size, "mean": mean, "std": std, "degrees": degrees}
    options |= {"device": device, "precision": precision}
    if isinstance(net, Network):
        if BEHAVIOUR in chosen:
            raise CornetError(
                f"layers names {chosen[BEHAVIOUR]} for behaviour, but networks with areas are read out from their "
                "decoder; leave it out."
            )
        times: dict[str, Any] = {"step_length": step_ms, "onset": onset_ms}
        if isinstance(onset_ms, int | float):
            times["onset"] = dict.fromkeys(net.steps, onset_ms)
        areas = kinds[0](net, **options, **times)
        return areas.with_regions(chosen) if chosen else areas
    readout = chosen.pop(BEHAVIOUR, None)
    subject = kinds[1](net, readout=None if readout is None else str(readout), **options)
    subject = subject.with_regions(chosen)
    return subject if step_ms is None else subject.with_times(step_ms, onset_ms)


def unwrapped(net: nn.Module) -> nn.Module:
    """The network inside the wrappers of torch.compile and of parallel training."""
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        inner = net.module if isinstance(net, parallel) else getattr(net, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return net
        net = inner
