"""The published networks by name."""

import difflib
import inspect
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from cornet.errors import CornetError
from cornet.models.network import CORnet
from cornet.models.published import load_published

__all__ = ["PUBLISHED", "PublishedModel", "create_model", "list_models", "published_model"]


@dataclass(frozen=True)
class PublishedModel:
    """A published network: how to build it, what it scored, and where its weights lie.

    arguments: of CORnet.
    top1: published ImageNet top-1 (fraction), None where none was published; top1_note: of what images.
    file: name of the published checkpoint; by torch.hub's convention its 8 hex digits begin the SHA-256.
    """

    summary: str
    arguments: dict[str, Any] = field(repr=False)
    top1: float | None
    top1_note: str
    file: str
    paper: str


CORNET_2018 = "Kubilius et al. 2018 (bioRxiv 408385)"
CORNET_2019 = "Kubilius, Schrimpf et al. 2019 (NeurIPS)"

PUBLISHED: dict[str, PublishedModel] = {
    "cornet_z": PublishedModel(
        "feed-forward, the lightest",
        {"block": "feedforward", "unroll": "sequential"},
        0.47,
        "",
        "cornet_z-5c427c9c.pth",
        CORNET_2018,
    ),
    "cornet_r": PublishedModel(
        "recurrent, areas in order within a step (legacy)",
        {"block": "recurrent", "unroll": "cascade"},
        0.56,
        "",
        "cornet_r-5930a990.pth",
        CORNET_2018,
    ),
    "cornet_rt": PublishedModel(
        "recurrent, biological time: one area a step",
        {"block": "recurrent", "unroll": "synchronous"},
        None,
        "",
        "cornet_rt-933c001c.pth",
        CORNET_2018,
    ),
    "cornet_s": PublishedModel(
        "recurrent bottlenecks, unshared batch norm: the best",
        {"block": "bottleneck", "unroll": "sequential"},
        0.731,
        "centre crop; 69.2 % on images squashed to 224 x 224",
        "cornet_s-1d3f7974.pth",
        CORNET_2019,
    ),
}


def list_models() -> list[str]:
    """Names that `create_model` takes."""
    return sorted(PUBLISHED)


def published_model(name: str) -> PublishedModel:
    """The published network of that name. Raises CornetError for an unknown one."""
    if name not in PUBLISHED:
        raise CornetError(f"model {name!r} is unknown; choose one of {', '.join(list_models())}.")
    return PUBLISHED[name]


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
        from cornet.models.fetch import fetch_published  # it needs this table

        load_published(net, fetch_published(name, weights_url, accept_hash=accept_hash))
    elif pretrained:
        load_published(net, pretrained)
    return net
