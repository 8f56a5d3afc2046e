"""Networks by name."""

import difflib
import inspect
from os import PathLike
from typing import Any

from cornet.errors import CornetError
from cornet.models.catalogue import published_model
from cornet.models.fetch import fetch_published
from cornet.models.network import CORnet
from cornet.models.published import load_published

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

    Raises CornetError for an unknown name or argument, and for weights that cannot be had or do not fit.
    """
    published = published_model(name)
    known = list(inspect.signature(CORnet).parameters)
    for word in arguments:
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}."
            raise CornetError(f"{name} takes no argument {word!r}; {hint}")
    net = CORnet(**{**published.arguments, **arguments})
    if pretrained is True:
        load_published(net, fetch_published(name, weights_url, accept_hash=accept_hash))
    elif pretrained:
        load_published(net, pretrained)
    return net
