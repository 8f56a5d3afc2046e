"""The published networks of the CORnet family: names, arguments, ImageNet accuracies and weight files."""

from typing import Any

from cornet.models.cornet.network import CORnet
from cornet.models.registry import register

__all__ = ["cornet_r", "cornet_rt", "cornet_s", "cornet_z"]

SERVER = "https://s3.amazonaws.com/cornet-models/"
CORNET_2018 = "Kubilius et al. 2018 (bioRxiv 408385)"
CORNET_2019 = "Kubilius, Schrimpf et al. 2019 (NeurIPS)"


def load(net: CORnet, source: Any, **options: Any) -> CORnet:
    """Load weights in the published layout; see `load_published`."""
    from cornet.models.cornet.published import load_published  # an exported network does not read such files

    return load_published(net, source, **options)


@register(
    "cornet_z",
    summary="feed-forward, the smallest",
    top1=0.47,
    weights=SERVER + "cornet_z-5c427c9c.pth",
    load=load,
    paper=CORNET_2018,
    accepts=CORnet,
)
def cornet_z(**arguments: Any) -> CORnet:
    """CORnet-Z: `CORnet` with these defaults."""
    return CORnet(**{"block": "feedforward", "unroll": "sequential", **arguments})


@register(
    "cornet_r",
    summary="recurrent, areas in order within a step (legacy)",
    top1=0.56,
    weights=SERVER + "cornet_r-5930a990.pth",
    load=load,
    paper=CORNET_2018,
    accepts=CORnet,
)
def cornet_r(**arguments: Any) -> CORnet:
    """CORnet-R: `CORnet` with these defaults."""
    return CORnet(**{"block": "recurrent", "unroll": "cascade", **arguments})


@register(
    "cornet_rt",
    summary="recurrent, biological time: one area a step",
    weights=SERVER + "cornet_rt-933c001c.pth",
    load=load,
    paper=CORNET_2018,
    accepts=CORnet,
)
def cornet_rt(**arguments: Any) -> CORnet:
    """CORnet-RT: `CORnet` with these defaults."""
    return CORnet(**{"block": "recurrent", "unroll": "synchronous", **arguments})


@register(
    "cornet_s",
    summary="recurrent bottlenecks, batch norm per step: the most accurate",
    top1=0.731,
    top1_note="centre crop; 69.2 % on images squashed to 224 x 224",
    weights=SERVER + "cornet_s-1d3f7974.pth",
    load=load,
    paper=CORNET_2019,
    accepts=CORnet,
)
def cornet_s(**arguments: Any) -> CORnet:
    """CORnet-S: `CORnet` with these defaults."""
    return CORnet(**{"block": "bottleneck", "unroll": "sequential", **arguments})
