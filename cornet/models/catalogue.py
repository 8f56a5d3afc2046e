"""The published networks: how they are built, what they scored, where their weights lie."""

from dataclasses import dataclass, field
from typing import Any

from cornet.errors import CornetError

__all__ = ["PUBLISHED", "PublishedModel", "list_models", "published_model"]


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
