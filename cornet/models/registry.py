"""Networks by name."""

import difflib
import inspect
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.catalogue import published_model
from cornet.models.cornet.network import CORnet
from cornet.models.cornet.published import load_published
from cornet.models.weights import fetch_published
from cornet.old_names import with_current_arguments

__all__ = ["create_model"]


def create_model(
    name: str,
    *,
    pretrained: bool | str | PathLike[str] = False,
    weights_url: str | PathLike[str] | None = None,
    accept_hash: bool = False,
    **arguments: Any,
) -> CORnet:
    """A network by name, e.g. create_model("cornet_s", num_classes=10, width=0.25).

    name: one of `list_models()`.
    pretrained: True fetches the published weights, or takes them from the cache; a path reads them from there.
    weights_url: an address or a folder to fetch from; None for the environment variable CORNET_WEIGHTS_URL
        or else the address of 2018.
    accept_hash: take a fetched file whose SHA-256 does not begin as its name says.
    arguments: of `CORnet`; what is not given is as published.

    Raises CornetError for an unknown name or argument, for more weights than memory holds, and for weights that cannot
    be had or do not fit.
    """
    published = published_model(name)
    arguments = with_current_arguments(arguments, warn=True)
    known = list(inspect.signature(CORnet).parameters)
    for word in arguments:
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}."
            raise CornetError(f"{name} takes no argument {word!r}; {hint}")
    arguments = {**published.arguments, **arguments}
    check_room(name, arguments)
    net = CORnet(**arguments)
    if pretrained is True:
        load_published(net, fetch_published(name, weights_url, accept_hash=accept_hash))
    elif pretrained:
        load_published(net, pretrained)
    return net


def check_room(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise CornetError for a network whose weights do not fit in memory. They are counted, not made."""
    from cornet.memory import available_memory

    if torch.get_default_device().type == "meta":
        return
    with torch.device("meta"):
        needed = sum(one.numel() * one.element_size() for one in CORnet(**arguments).state_dict().values())
    if needed > (free := available_memory()):
        raise CornetError(
            f"{name} with these arguments has {needed / 2**30:,.1f} GiB of weights, and {free / 2**30:,.1f} GiB of "
            "memory are free; choose a smaller width, bottleneck or number of classes."
        )
