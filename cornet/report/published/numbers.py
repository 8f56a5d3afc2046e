"""Read published numbers: the 243 networks of the 2019 paper, and a training of CORnet-S.

The tables are in the folder data; their header comments give source and scale."""

import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from cornet.brain.metrics.difference import holm
from cornet.report.render import p_text, signed
from cornet.report.statistics import Correlation, pearson

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
    "published_metamers",
    "published_models",
    "published_training",
    "read_published",
]

CORNET_S = "CORnet-S"
"""Name of the published CORnet-S among the models."""


@dataclass(frozen=True)
class PublishedCurve:
    """A column of the published training.

    benchmark: our benchmark of the same quantity on public data; "" for accuracy. scale: of the published values, a
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
"""The columns of `published_training` except the epoch."""


@cache
def published_models() -> pd.DataFrame:
    """Return 243 networks in order of decreasing Brain-Score: model (text), and numbers, NaN if not published.

    imagenet, cifar100: top-1 as a fraction of images, the latter after transfer
    v4, it, behaviour, ost: raw scores, not divided by ceilings; brain_score: their mean
    it_new_data, it_new_images, behaviour_new_data: raw scores on other neurons, other images, other observers
    depth: convolutions and linear layers on the longest path, each counted once

    The table is shared by all callers: copy it before changing it. Source: Kubilius, Schrimpf et al. 2019 (NeurIPS).
    """
    return read_published("models_2019.csv")


@cache
def published_training() -> pd.DataFrame:
    """Return scores of one training of CORnet-S by epoch: the columns of `CURVE`, NaN if not scored.

    Scores are on the scales given in `CURVE`. The source gives no ceiling for solution times, so they are treated as
    raw. The table is shared by all callers: copy it before changing it.
    """
    return read_published("cornet_s_training.csv")


@cache
def published_metamers() -> pd.DataFrame:
    """Return who recognises metamers of CORnet-S, by stage: share right among 16 classes, NaN where not measured.

    Rows: observer (networks, people). Columns: photographs, then the stages from the input to the logits. The table is
    shared by all callers: copy it before changing it. Source: Feather et al. 2023 (Nat. Neurosci. 26:2017).
    """
    return read_published("metamers_2023.csv", index_col="observer")


def read_published(name: str, **options: Any) -> pd.DataFrame:
    """Read a table of the folder data. options: of `pandas.read_csv`."""
    text = (files("cornet.report.published") / "data" / name).read_text(encoding="utf-8")
    return pd.read_csv(io.StringIO(text), comment="#", **options)


HIGH = 0.70
"""ImageNet top-1 above which the paper found no correlation with the Brain-Score."""

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
"""Axis labels of the columns of `published_models`."""


@dataclass(frozen=True)
class Panel:
    """A plot of two columns of `published_models`.

    heading: title of the plot. reading: explanation for the caption. log: the horizontal axis is logarithmic. inset:
    add an inset of the networks above `HIGH`.
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
        "Up to a top-1 of .70, better ImageNet networks are more brain-like; above it (inset) they are not.",
        inset=True,
    ),
    Panel(
        "imagenet-v4",
        "imagenet",
        "v4",
        "ImageNet against V4",
        "Weak networks predict V4 nearly as well as strong ones.",
    ),
    Panel(
        "imagenet-it",
        "imagenet",
        "it",
        "ImageNet against IT",
        "IT predictivity rises with ImageNet top-1 and levels off above .6.",
    ),
    Panel(
        "imagenet-behaviour",
        "imagenet",
        "behaviour",
        "ImageNet against behaviour",
        "Behaviour follows ImageNet top-1 most closely of all parts.",
    ),
    Panel(
        "imagenet-ost",
        "imagenet",
        "ost",
        "ImageNet against solution times",
        "Only CORnet-S has solution times and all others count as 0, so this correlation depends on one network.",
    ),
    Panel(
        "depth",
        "depth",
        "brain_score",
        "Depth against Brain-Score",
        "Layers on the longest path, each counted once however often it runs; the axis is logarithmic. The correlation "
        "is due to shallow, weak BaseNets; CORnet-S is shallow and has the highest score.",
        log=True,
    ),
    Panel(
        "cifar100",
        "brain_score",
        "cifar100",
        "CIFAR-100 transfer",
        "Top-1 on CIFAR-100 of networks trained on ImageNet, if published.",
    ),
    Panel(
        "it-new-data",
        "it",
        "it_new_data",
        "Generalisation: new neurons",
        "IT predictivity against that for other neurons.",
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
        "Consistency with observers against that with other observers.",
    ),
)
"""The plots in the order of the page."""


@dataclass(frozen=True)
class Tested:
    """A correlation of a panel. which: the subset of networks, "" for all. holm: p corrected for all correlations."""

    panel: str
    which: str
    correlation: Correlation
    holm: float

    @property
    def text(self) -> str:
        """Such as "r = .65 (below .70), 95 % interval .57 to .72, n = 187, p < 0.001, Holm < 0.001"."""
        c, which = self.correlation, f" ({self.which})" if self.which else ""
        p, holm = (text if text.startswith("<") else f"= {text}" for text in map(p_text, (c.p, self.holm)))
        interval = f"95 % interval {signed(c.low)} to {signed(c.high)}"
        return f"r = {signed(c.r)}{which}, {interval}, n = {c.n}, p {p}, Holm {holm}"


@cache
def correlations() -> tuple[Tested, ...]:
    """Return the correlation of every panel; for the panel with an inset, one below and one above `HIGH`.

    The one above excludes CORnet-S, as in the paper.
    """
    models = published_models()
    parts: list[tuple[str, str, Correlation]] = []
    for panel in PANELS:
        groups = {"": models}
        if panel.inset:
            low, short = models["imagenet"] < HIGH, f"{HIGH:.2f}".lstrip("0")
            above = models[~low & (models["model"] != CORNET_S)]
            groups = {f"below {short}": models[low], f"from {short} on, without CORnet-S": above}
        parts += [(panel.key, which, pearson(one[panel.x], one[panel.y])) for which, one in groups.items()]
    corrected = holm([correlation.p for *_, correlation in parts])
    return tuple(Tested(*part, p) for part, p in zip(parts, corrected, strict=True))
