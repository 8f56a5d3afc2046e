"""Compare saliency maps with maps of what people find important: the alignment score of Fel et al. (2022), NeurIPS.

Spearman's correlation over the pixels of each image, averaged over images and divided by the agreement between halves
of the participants. Where objects are near the centre, a Gaussian blob or the mean map may align better than any
network, so report both controls beside a network:

    results = [alignment(maps_of_network, maps, name="network"), *controls(maps, mean_map)]
    alignment_table(results)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor

from cornet.errors import CornetError
from cornet.stimuli.datasets.with_clickme import HUMAN_CEILING

__all__ = [
    "HUMAN_CEILING",
    "Alignment",
    "absolute_saliency",
    "alignment",
    "alignment_table",
    "centred_blob",
    "controls",
    "image_specific",
    "spearman",
    "top_overlap",
]

TOP_PERCENTILE = 90.0


@dataclass(frozen=True, eq=False)
class Alignment:
    """The agreement of one source of maps with people.

    spearman, iou, dice: per image, (image,); NaN where a map is constant. ceiling: which `value` is divided by.
    """

    name: str
    spearman: NDArray[np.float64] = field(repr=False)
    iou: NDArray[np.float64] = field(repr=False)
    dice: NDArray[np.float64] = field(repr=False)
    ceiling: float = HUMAN_CEILING

    @property
    def n(self) -> int:
        """Number of images with a correlation."""
        return int(np.isfinite(self.spearman).sum())

    @property
    def left_out(self) -> int:
        """Number of images without one, because a map is constant."""
        return len(self.spearman) - self.n

    @property
    def raw(self) -> float:
        """Mean Spearman correlation over images."""
        return _mean(self.spearman)

    @property
    def value(self) -> float:
        """The raw value divided by the ceiling."""
        return self.raw / self.ceiling

    @property
    def error(self) -> float:
        """Standard error of the value over images (ddof 1); NaN for fewer than two."""
        finite = self.spearman[np.isfinite(self.spearman)]
        return float(finite.std(ddof=1) / math.sqrt(self.n)) / self.ceiling if self.n > 1 else math.nan


def absolute_saliency(logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Return the largest absolute gradient of the true logit over colours, (batch, y, x), as the published score does.

    logits: (batch, class), of `images` (batch, channel, y, x) with requires_grad, in evaluation mode.
    labels: (batch,) class indices. The training loss uses the signed mean over colours instead.
    """
    (gradient,) = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), images)
    return gradient.abs().amax(dim=1)


def alignment(
    saliency: ArrayLike, maps: ArrayLike, *, name: str = "network", ceiling: float = HUMAN_CEILING
) -> Alignment:
    """Compare saliency (image, y, x), absolute, with human maps (image, y, x).

    ceiling: divides the mean correlation; 1 where none is known.
    Raises CornetError if there are no images, for different shapes, for values that are not finite, and for a ceiling
    that is not above 0.
    """
    ours, theirs = np.asarray(saliency, np.float64), np.asarray(maps, np.float64)
    if not len(theirs):
        raise CornetError(
            "no image has a map (map_token is 0 for all), so alignment is undefined; give maps."
        )
    if ours.shape != theirs.shape or ours.ndim != 3 or not ours.size:
        raise CornetError(
            f"saliency has the shape {ours.shape} and the maps {theirs.shape}, but both must be (image, y, x); "
            "resize them to the same number of pixels."
        )
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise CornetError("saliency or maps have values that are not finite; leave out those images.")
    if not 0 < ceiling < math.inf:
        raise CornetError(f"ceiling={ceiling!r} must be a number above 0; give 1 where it is unknown.")
    overlaps = np.array([top_overlap(a, b) for a, b in zip(ours, theirs, strict=True)])
    correlations = np.array([spearman(a, b) for a, b in zip(ours, theirs, strict=True)])
    return Alignment(name, correlations, overlaps[:, 0], overlaps[:, 1], float(ceiling))


def controls(
    maps: ArrayLike, mean_map: ArrayLike, *, blob_sd: float = 12 / 64, ceiling: float = HUMAN_CEILING
) -> list[Alignment]:
    """Score a centred Gaussian blob and the mean map, both the same for all images.

    maps: (image, y, x), human. mean_map: (y, x), of the training set. blob_sd: as a share of the side.
    """
    theirs = np.asarray(maps, np.float64)
    blob = centred_blob(*theirs.shape[-2:], sd=blob_sd)
    fixed = (("centred blob", blob), ("mean map", np.asarray(mean_map, np.float64)))
    found = []
    for name, one in fixed:
        if one.shape != theirs.shape[1:]:
            raise CornetError(
                f"the mean map has the shape {one.shape}, but the maps have {theirs.shape[1:]}; resize it."
            )
        found.append(alignment(np.broadcast_to(one, theirs.shape), theirs, name=name, ceiling=ceiling))
    return found


def image_specific(maps: ArrayLike) -> NDArray[np.float64]:
    """What differs between images: z-scores of each map over its pixels, minus their mean over images.

    maps: (image, y, x). Alignment that only comes from where objects usually are vanishes. A constant map stays 0.
    """
    given = np.asarray(maps, np.float64)
    centred = given - given.mean(axis=(1, 2), keepdims=True)
    sd = centred.std(axis=(1, 2), keepdims=True)
    scaled = np.divide(centred, sd, out=np.zeros_like(centred), where=sd > 0)
    return scaled - scaled.mean(axis=0)


def alignment_table(results: Sequence[Alignment]) -> pd.DataFrame:
    """One row per result, the means over images; left_out counts images with a constant map."""
    return pd.DataFrame(
        [
            {
                "maps": one.name,
                "value": one.value,
                "error": one.error,
                "raw": one.raw,
                "ceiling": one.ceiling,
                "iou": _mean(one.iou),
                "dice": _mean(one.dice),
                "n": one.n,
                "left_out": one.left_out,
            }
            for one in results
        ]
    )


def centred_blob(height: int, width: int, *, sd: float = 12 / 64) -> NDArray[np.float64]:
    """A Gaussian around the centre, (y, x), 1 at most. sd: as a share of the side."""
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * sd**2))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's correlation over all pixels; ties share their mean rank. NaN if either map is constant."""
    x, y = (rankdata(one) for one in (np.ravel(a), np.ravel(b)))
    x, y = x - x.mean(), y - y.mean()
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / lengths if lengths > 0 else math.nan


def top_overlap(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Intersection over union, and Dice, of the pixels above each map's own 90th percentile; NaN if there are none."""
    x, y = (
        one > np.percentile(one, TOP_PERCENTILE)
        for one in (np.asarray(a, np.float64), np.asarray(b, np.float64))
    )
    both, total = int((x & y).sum()), int(x.sum() + y.sum())
    return (both / (total - both), 2 * both / total) if total else (math.nan, math.nan)


def _mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan
