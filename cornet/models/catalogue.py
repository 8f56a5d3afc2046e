"""Published networks: arguments, ImageNet accuracies and weight files."""

from dataclasses import dataclass, field
from typing import Any

from cornet.errors import CornetError

__all__ = ["PUBLISHED", "PublishedModel", "list_models", "published_model"]


@dataclass(frozen=True)
class PublishedModel:
    """A published network: its arguments, ImageNet accuracy and weight file.

    arguments: keyword arguments of `CORnet`.
    top1: published ImageNet top-1 (fraction), or None; top1_note: how the images were cropped.
    file: name of the checkpoint; its 8 hex digits are the start of its SHA-256 (torch.hub's convention).
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
        "feed-forward, the smallest",
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
        "recurrent bottlenecks, batch norm per step: the most accurate",
        {"block": "bottleneck", "unroll": "sequential"},
        0.731,
        "centre crop; 69.2 % on images squashed to 224 x 224",
        "cornet_s-1d3f7974.pth",
        CORNET_2019,
    ),
}


def list_models() -> list[str]:
    """Model names that `create_model` accepts."""
    return sorted(PUBLISHED)


def published_model(name: str) -> PublishedModel:
    """Look up a published network. Raises CornetError for an unknown name."""
    if name not in PUBLISHED:
        raise CornetError(f"model {name!r} is unknown; choose one of {', '.join(list_models())}.")
    return PUBLISHED[name]
