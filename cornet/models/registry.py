"""Build networks by name."""

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
    ema: bool = False,
    **arguments: Any,
) -> CORnet:
    """Build a network by name, e.g. create_model("cornet_s", num_classes=10, width=0.25).

    name: one of `list_models()`.
    pretrained: True loads the published weights, fetched once and cached; a path loads them from that file.
    weights_url: URL or folder to fetch from; default: the environment variable CORNET_WEIGHTS_URL, else the
        original server.
    accept_hash: accept a file whose SHA-256 does not match its name.
    ema: load the averaged weights of the file `pretrained`.
    arguments: keyword arguments of `CORnet`; defaults are the published values.

    Raises CornetError for an unknown name or argument, for weights that exceed the free memory, and for weights that
    cannot be fetched or do not fit.
    """
    published = published_model(name)
    arguments = with_current_arguments(arguments, warn=True)
    known = list(inspect.signature(CORnet).parameters)
    for word in arguments:
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}."
            raise CornetError(f"{name} has no argument {word!r}; {hint}")
    arguments = {**published.arguments, **arguments}
    if ema and (pretrained is True or not pretrained):
        raise CornetError("ema=True chooses averaged weights in a file; give pretrained=PATH too.")
    check_memory(name, arguments)
    net = CORnet(**arguments)
    if pretrained is True:
        load_published(net, fetch_published(name, weights_url, accept_hash=accept_hash))
    elif pretrained:
        load_published(net, pretrained, ema)
    return net


def check_memory(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise CornetError if the weights would exceed the free memory. Counts them on the meta device."""
    from cornet.memory import available_memory

    if torch.get_default_device().type == "meta":
        return
    with torch.device("meta"):
        needed = sum(
            tensor.numel() * tensor.element_size() for tensor in CORnet(**arguments).state_dict().values()
        )
    if needed > (free := available_memory()):
        raise CornetError(
            f"{name} with these arguments has {needed / 2**30:,.1f} GiB of weights, but only {free / 2**30:,.1f} GiB "
            "of memory is free; choose a smaller width, bottleneck or number of classes."
        )
