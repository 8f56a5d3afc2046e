"""Published numbers that runs are compared with: the 243 networks of the 2019 paper, and a training of CORnet-S.

Their tables are in the folder data, and say at their heads where they come from and on which scale they are."""

import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from cornet.report.render import p_text, signed
from cornet.report.statistics import Correlation, holm, pearson

__all__ = [
    "CORNET_S",
    "CURVE",
    "HIGH",
    "PANELS",
    "TITLES",
    "Panel",
    "PublishedCurve",
    "Tested",
    "correlations",
    "published_models",
    "published_training",
    "read_published",
]

CORNET_S = "CORnet-S"
"""The row of that network among the models."""


@dataclass(frozen=True)
class PublishedCurve:
    """A column of the published training.

    benchmark: ours that measures the same thing on the public data; "" for accuracy. scale: of the published values, a
    name in `cornet.brain.scales.SCALES`; "" for accuracy.
    """

    title: str
    benchmark: str = ""
    scale: str = ""


CURVE = {
    "top1": PublishedCurve("ImageNet top-1, images squashed"),
    "v1": PublishedCurve("V1 predictivity", "freemanziemba2013.V1", "(r/c)^2"),
    "v2": PublishedCurve("V2 predictivity", "freemanziemba2013.V2", "(r/c)^2"),
    "v4": PublishedCurve("V4 predictivity", "majajhong2015.V4", "(r/c)^2"),
    "it": PublishedCurve("IT predictivity", "majajhong2015.IT", "(r/c)^2"),
    "behaviour": PublishedCurve("Behaviour, i2n", "rajalingham2018-i2n", "r/sqrt(c)"),
    "ost": PublishedCurve("Solution times, OST", "kar2019-ost", "raw"),
}
"""The columns of `published_training` but for the epoch."""


@cache
def published_models() -> pd.DataFrame:
    """243 rows, by falling Brain-Score: model (text), and as numbers, NaN where none was published,

    imagenet, cifar100: top-1 as a share of images, the latter after transfer
    v4, it, behaviour, ost: raw scores, not divided by ceilings; brain_score: their mean
    it_new_data, it_new_images, behaviour_new_data: raw scores on other neurons, other images, other people
    depth: convolutions and linear layers on the longest path, each counted once

    The table is one for all callers: copy it before changing it. Source: Kubilius, Schrimpf et al. 2019 (NeurIPS).
    """
    return read_published("models_2019.csv")


@cache
def published_training() -> pd.DataFrame:
    """Scores of one training of CORnet-S by epoch: the columns of `CURVE`, NaN where one was not scored.

    Neural scores and i2n are on the scales that `CURVE` names. Of solution times the source names no ceiling, and they
    are taken as raw. The table is one for all callers: copy it before changing it.
    """
    return read_published("cornet_s_training.csv")


def read_published(name: str, **options: Any) -> pd.DataFrame:
    """A table of the folder data as pandas reads it."""
    text = (files("cornet.report.published") / "data" / name).read_text(encoding="utf-8")
    return pd.read_csv(io.StringIO(text), comment="#", **options)


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

    @property
    def told(self) -> str:
        """r = .65 (below .70), 95 % interval .57 to .72, n = 187, p < 0.001, Holm < 0.001."""
        found, which = self.found, f" ({self.which})" if self.which else ""
        p, holm = (
            text if text.startswith("<") else f"= {text}" for text in map(p_text, (found.p, self.holm))
        )
        interval = f"95 % interval {signed(found.low)} to {signed(found.high)}"
        return f"r = {signed(found.r)}{which}, {interval}, n = {found.n}, p {p}, Holm {holm}"


@cache
def correlations() -> tuple[Tested, ...]:
    """Of every panel; of that with the inset below and above `HIGH`, the latter without CORnet-S, as in the paper."""
    models = published_models()
    parts: list[tuple[str, str, Correlation]] = []
    for panel in PANELS:
        groups = {"": models}
        if panel.inset:
            low, short = models["imagenet"] < HIGH, f"{HIGH:.2f}".lstrip("0")
            above = models[~low & (models["model"] != CORNET_S)]
            groups = {f"below {short}": models[low], f"from {short} on, without CORnet-S": above}
        parts += [(panel.key, which, pearson(one[panel.x], one[panel.y])) for which, one in groups.items()]
    corrected = holm([found.p for *_, found in parts])
    return tuple(Tested(*part, p) for part, p in zip(parts, corrected, strict=True))
