"""Predict maps of activity: the responses of neurons while an image is shown at many places of their field.

Each neuron gives a map (y, x) of each image (Arcaro, Ponce & Livingstone 2020, eLife 53798). The features of a layer at
the same places of the image predict it (Linsley et al. 2023, arXiv 2306.03779): leave one image out, PLS with 25
components without scaling, whose rows are positions x images; Pearson over positions for each neuron; the median over
neurons; the mean over images.

published=True repeats what differs in the published code: the last channel is 0 if maps were enlarged, and the
best-pair ceiling leaves out the last neuron. (That code also divides the network's input by the mean of ImageNet's
pixels instead of the standard deviation, which is a choice of the subject, and omits the intercept, which changes no
correlation.)
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from cornet.brain.data.map_bundle import LEAST_IMAGES
from cornet.brain.metrics.ceiling import internal_consistency
from cornet.brain.metrics.mapping.pls import COMPONENTS
from cornet.brain.metrics.predictivity import neural_predictivity
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = [
    "best_pair_ceiling",
    "map_ceiling",
    "map_features",
    "map_predictivity",
]

MOST_CHANNELS = 600
"""With more, neighbouring channels are averaged."""


def map_features(features: ArrayLike, grid: tuple[int, int], published: bool = False) -> NDArray[np.float64]:
    """Bring the features of a layer to a grid of positions that divides the image evenly: (image, y, x, channel).

    features: (image, channel, y, x). grid: positions along y and x. More than 600 channels are averaged in neighbouring
    threes, or in fours if their number is not a multiple of three. Maps are enlarged bilinearly (half-pixel centres)
    and reduced by the mean of blocks, then scaled to 0..1 over all channels and positions of each image; an image whose
    features are all equal is 0. published: the last channel of enlarged maps is 0.

    Raises CornetError for another shape, and for features that are not finite.
    """
    array = np.asarray(features, np.float64)
    if array.ndim != 4 or 0 in array.shape:
        raise CornetError(
            f"features of shape {array.shape} must be maps (image, channel, y, x); choose another layer."
        )
    if not np.isfinite(array).all():
        raise CornetError("the features contain values that are not finite; choose another layer or network.")
    maps = torch.from_numpy(np.ascontiguousarray(_fewer_channels(array)))
    enlarged = maps.shape[2] < grid[0] or maps.shape[3] < grid[1]
    larger = [max(own, wanted) for own, wanted in zip(maps.shape[2:], grid, strict=True)]
    if enlarged:
        maps = F.interpolate(maps, larger, mode="bilinear", align_corners=False)
    maps = F.adaptive_avg_pool2d(maps, grid)
    if enlarged and published:
        maps[:, -1] = 0
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    scaled = torch.where(high > low, (maps - low) / (high - low).clamp_min(torch.finfo(maps.dtype).tiny), 0.0)
    return scaled.permute(0, 2, 3, 1).contiguous().numpy()


def map_predictivity(
    features: ArrayLike,
    maps: ArrayLike,
    components: int = COMPONENTS,
    device: torch.device | str = "cpu",
) -> Score:
    """Predict maps from features at the same positions, leaving out one image at a time.

    features: (image, y, x, channel), as from `map_features`. maps: (image, y, x, neuroid), finite. Returns a raw Score:
    values (image, neuroid) are Pearson's r over positions; raw is the median over neuroids, averaged over images; error
    the standard deviation over images / sqrt(images). details: spearman, the second published measure: Spearman's r of
    the mean predicted and the mean map over neuroids, averaged over images; predictions, (image, y, x, neuroid), up to
    a constant for each image and neuroid.

    Raises CornetError for shapes that do not match, fewer than three images, and maps that are all constant.
    """
    known, shown = _checked_maps(maps), np.asarray(features, np.float64)
    images, height, width, neuroids = known.shape
    if shown.ndim != 4 or shown.shape[:3] != known.shape[:3]:
        raise CornetError(
            f"features of shape {shown.shape} do not match maps of shape {known.shape}; both must be (image, y, x, "
            "...)."
        )
    places = height * width
    rows = np.arange(images * places).reshape(images, places)
    splits = [(np.delete(rows, k, axis=0).ravel(), rows[k]) for k in range(images)]
    flat = known.reshape(images * places, neuroids)
    score = neural_predictivity(
        shown.reshape(images * places, -1), flat, "pls", splits=splits, components=components, device=device
    )
    predicted = np.stack(score.details["predictions"]).reshape(known.shape)
    details: dict[str, Any] = {
        "metric": "activity_maps",
        "spearman": _mean_map_agreement(predicted, known),
        "predictions": predicted,
    }
    return Score.of_splits(score.values, n=images, notes=score.notes, details=details)


def map_ceiling(repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Return the split-half reliability of the maps, corrected by 2 r / (1 + r), as a raw Score.

    repetitions: (repetition, image, y, x, neuroid), NaN where missing; weights: same shape, see `internal_consistency`,
    which computes the reliability of each image over its positions. values: (image, neuroid), raw their median over
    neuroids, averaged over images. A perfect model of the noiseless maps has the square root of it as its score.

    Raises CornetError for another shape and for fewer than two repetitions.
    """
    array = np.asarray(repetitions)
    if array.ndim != 5:
        raise CornetError(
            f"repetitions of shape {array.shape} must be (repetition, image, y, x, neuroid); arrange them so."
        )
    counts = None if weights is None else np.asarray(weights)
    values: list[NDArray[np.float64]] = []
    notes: dict[str, None] = {}
    for image in range(array.shape[1]):
        own = array[:, image].reshape(len(array), -1, array.shape[-1])
        weight = None if counts is None else counts[:, image].reshape(own.shape)
        found = internal_consistency(own, weight)
        values.append(_mean_over_splits(found.values))
        notes |= dict.fromkeys(found.notes)
    return Score.of_splits(np.array(values), n=array.shape[1], notes=tuple(notes))


def best_pair_ceiling(maps: ArrayLike, published: bool = False) -> Score:
    """Return the published ceiling: how well the map of the most similar other neuron agrees, as a raw Score.

    maps: (image, y, x, neuroid). values: (image,), the largest Pearson correlation of each neuron's map with that of
    another neuron, averaged over neurons. It is not a reliability: it is too high for neurons with shared noise, too
    low for neurons with fields of their own, and grows with the number of neurons. published: leave out the last one.

    Raises CornetError as `map_predictivity`, and for fewer than two neurons.
    """
    known = _checked_maps(maps)
    known = known[..., :-1] if published else known
    if known.shape[-1] < 2:
        raise CornetError(
            f"the ceiling of the best pair needs 2 neurons, but there are {known.shape[-1]}; record trials, or more."
        )
    values = []
    for one in known.reshape(len(known), -1, known.shape[-1]):
        centred = one - one.mean(axis=0)
        length = np.linalg.norm(centred, axis=0)
        varied = length > 1e-12 * np.abs(one).max(axis=0, initial=0) * math.sqrt(len(one))
        unit = centred[:, varied] / length[varied]
        together = unit.T @ unit
        np.fill_diagonal(together, -np.inf)
        values.append(float(together.max(axis=0).mean()) if len(together) > 1 else math.nan)
    return Score.of_splits(np.array(values), n=len(known))


def _fewer_channels(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average neighbouring channels in threes or fours if there are more than 600; a last group may be smaller."""
    channels = features.shape[1]
    if channels <= MOST_CHANNELS:
        return features
    starts = np.arange(0, channels, 3 if channels % 3 == 0 else 4)
    sizes = np.diff(starts, append=channels)
    return np.add.reduceat(features, starts, axis=1) / sizes[:, None, None]


def _checked_maps(maps: ArrayLike) -> NDArray[np.float64]:
    known = np.asarray(maps, np.float64)
    if known.ndim != 4 or 0 in known.shape or not np.isfinite(known).all():
        raise CornetError(
            f"maps of shape {known.shape} must be finite numbers (image, y, x, neuroid); leave out neuroids without "
            "responses at some positions."
        )
    if len(known) < LEAST_IMAGES:
        raise CornetError(
            f"there are maps of {len(known)} image{'' if len(known) == 1 else 's'}, and leaving one out needs "
            f"{LEAST_IMAGES}; record more images."
        )
    if (np.ptp(known, axis=(1, 2)) == 0).all():
        raise CornetError(
            "all maps are constant over positions, so nothing can be predicted; check the responses."
        )
    return known


def _mean_over_splits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over splits of (split, neuroid), NaN skipped; NaN where all are."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(len(count), math.nan), where=count > 0)


def _mean_map_agreement(predicted: NDArray[np.float64], maps: NDArray[np.float64]) -> float:
    """Spearman's r over positions of the mean maps over neuroids, averaged over images; NaN if undefined in all."""
    found = []
    for guess, known in zip(predicted, maps, strict=True):
        usable = np.isfinite(guess).all(axis=(0, 1))
        if not usable.any():
            continue
        a, b = (rankdata(one[..., usable].mean(axis=-1)) for one in (guess, known))
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            found.append(float(np.corrcoef(a, b)[0, 1]))
    return float(np.mean(found)) if found else math.nan
