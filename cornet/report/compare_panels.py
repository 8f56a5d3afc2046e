"""What the published networks are compared by: one plot a line, with the correlations told below it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cornet.report.published import CORNET_S, published_models
from cornet.report.statistics import Correlation, holm, pearson

__all__ = ["HIGH", "PANELS", "TITLES", "Panel", "Tested", "correlations"]

HIGH = 0.70
"""ImageNet top-1 from which on the paper saw no correlation with the Brain-Score."""

TITLES = {
    "imagenet": "ImageNet top-1",
    "cifar100": "CIFAR-100 top-1 after transfer",
    "v4": "V4 predictivity (raw r)",
    "it": "IT predictivity (raw r)",
    "behaviour": "Behaviour, i2n (raw r)",
    "ost": "Solution times, OST (raw)",
    "it_new_data": "IT predictivity, new neurons (raw r)",
    "it_new_images": "IT predictivity, new images (raw r)",
    "behaviour_new_data": "Behaviour, new observers (raw r)",
    "brain_score": "Brain-Score (raw)",
    "depth": "Depth (layers)",
}
"""Of the columns of `published_models` as axes."""


@dataclass(frozen=True)
class Panel:
    """A plot of two columns of `published_models`.

    heading: above it. reading: what it shows, for its caption. log: the horizontal axis is logarithmic.
    inset: it has one of the networks from `HIGH` on.
    """

    key: str
    x: str
    y: str
    heading: str
    reading: str
    log: bool = False
    inset: bool = False


PANELS = (
    Panel(
        "imagenet",
        "imagenet",
        "brain_score",
        "ImageNet against Brain-Score",
        "Better at ImageNet went with more brain-like up to a top-1 of .70; beyond it (inset) the two came apart.",
        inset=True,
    ),
    Panel(
        "imagenet-v4",
        "imagenet",
        "v4",
        "ImageNet against V4",
        "V4 is predicted nearly as well by weak networks.",
    ),
    Panel(
        "imagenet-it",
        "imagenet",
        "it",
        "ImageNet against IT",
        "IT rises with ImageNet, and levels off above .6.",
    ),
    Panel(
        "imagenet-behaviour",
        "imagenet",
        "behaviour",
        "ImageNet against behaviour",
        "Of all parts, behaviour follows ImageNet most closely.",
    ),
    Panel(
        "imagenet-ost",
        "imagenet",
        "ost",
        "ImageNet against solution times",
        "Only CORnet-S has solution times: all others count 0, so that this correlation tells of one network.",
    ),
    Panel(
        "depth",
        "depth",
        "brain_score",
        "Depth against Brain-Score",
        "Layers on the longest path, each counted once however often it runs; the axis is logarithmic. The relation is "
        "that of shallow, weak BaseNets with all others, and CORnet-S is shallow and highest.",
        log=True,
    ),
    Panel(
        "cifar100",
        "brain_score",
        "cifar100",
        "CIFAR-100 transfer",
        "Top-1 on CIFAR-100 of networks that had learnt ImageNet, for those of which it was published.",
    ),
    Panel(
        "it-new-data",
        "it",
        "it_new_data",
        "Generalisation: new neurons",
        "IT predictivity against that of other neurons.",
    ),
    Panel(
        "it-new-images",
        "it",
        "it_new_images",
        "Generalisation: new images",
        "IT predictivity against that on other images.",
    ),
    Panel(
        "behaviour-new-data",
        "behaviour",
        "behaviour_new_data",
        "Generalisation: new observers",
        "Consistency with people against that with other people.",
    ),
)
"""In the order in which they are shown."""


@dataclass(frozen=True)
class Tested:
    """A correlation of a panel. which: of which networks, "" for all that have both. holm: p corrected for all."""

    panel: str
    which: str
    found: Correlation
    holm: float


def correlations() -> list[Tested]:
    """Of every panel; of that with the inset below and above `HIGH`, the latter without CORnet-S, as in the paper."""
    models = published_models()
    parts: list[tuple[str, str, Correlation]] = []
    for panel in PANELS:
        if panel.inset:
            low = models["imagenet"] < HIGH
            above = ~low & (models["model"] != CORNET_S)
            parts.append((panel.key, f"below {_short(HIGH)}", _of(models[low], panel)))
            parts.append((panel.key, f"from {_short(HIGH)} on, without CORnet-S", _of(models[above], panel)))
        else:
            parts.append((panel.key, "", _of(models, panel)))
    corrected = holm([found.p for *_, found in parts])
    return [Tested(*part, p) for part, p in zip(parts, corrected, strict=True)]


def _of(models: pd.DataFrame, panel: Panel) -> Correlation:
    return pearson(np.asarray(models[panel.x]), np.asarray(models[panel.y]))


def _short(share: float) -> str:
    return f"{share:.2f}".lstrip("0")
