"""The published networks by name."""

from dataclasses import dataclass, field
from typing import Any

from cornet.errors import CornetError
from cornet.models.fetch import fetch_published
from cornet.models.network import CORnet
from cornet.models.published import load_published

__all__ = ["PUBLISHED", "PublishedModel", "create_model", "list_models"]


@dataclass(frozen=True)
class PublishedModel:
    """A published network: how to build it, what it scored, and where its weights lie.

    arguments: of CORnet. top1: published ImageNet top-1 (fraction), None where none was published.
    file: name of the published checkpoint; by torch.hub's convention its 8 hex digits begin the SHA-256.
    """

    summary: str
    arguments: dict[str, Any] = field(repr=False)
    top1: float | None
    file: str
    paper: str


PUBLISHED: dict[str, PublishedModel] = {
    "cornet_z": PublishedModel(
        "feed-forward, the lightest",
        {"block": "feedforward", "unroll": "sequential"},
        0.47,
        "cornet_z-5c427c9c.pth",
        "Kubilius et al. 2018",
    ),
    "cornet_r": PublishedModel(
        "recurrent, areas in order within a step (legacy)",
        {"block": "recurrent", "unroll": "cascade"},
        0.56,
        "cornet_r-5930a990.pth",
        "Kubilius et al. 2018",
    ),
    "cornet_rt": PublishedModel(
        "recurrent, biological time: one area a step",
        {"block": "recurrent", "unroll": "synchronous"},
        None,
        "cornet_rt-933c001c.pth",
        "Kubilius et al. 2018",
    ),
    "cornet_s": PublishedModel(
        "recurrent bottlenecks with unshared batch norm, the best",
        {"block": "bottleneck", "unroll": "sequential"},
        0.731,
        "cornet_s-1d3f7974.pth",
        "Kubilius, Schrimpf et al. 2019",
    ),
}


def list_models() -> list[str]:
    """Names that `create_model` takes."""
    return sorted(PUBLISHED)


def create_model(name: str, *, pretrained: bool | str = False, **arguments: Any) -> CORnet:
    """A network by name, e.g. create_model("cornet_s", num_classes=10, width=0.25).

    name: one of `list_models()`.
    pretrained: True fetches the published weights (see `cornet.models.fetch`); a path
        reads them from there.
    arguments: of `CORnet`; what is not given is as published.

    Raises CornetError for an unknown name or argument, or weights that cannot be had or do not fit.
    """
    if name not in PUBLISHED:
        raise CornetError(f"model {name!r} is unknown; choose one of {', '.join(list_models())}.")
    try:
        net = CORnet(**{**PUBLISHED[name].arguments, **arguments})
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        word = str(error).split("'")[1]
        raise CornetError(
            f"{name} takes no argument {word!r}; see the arguments of cornet.models.CORnet."
        ) from None
    if pretrained:
        load_published(net, fetch_published(name) if pretrained is True else pretrained)
    return net
