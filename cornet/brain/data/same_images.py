"""Which stimuli show the same image, and which look alike: from the pixels, not from the ids."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from cornet.brain.cache import cached_arrays
from cornet.brain.metrics.splits import Split
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["clusters", "image_keys", "shared_images", "without_equal_images"]

THUMBNAIL = 8
"""Pixels per side of the images that are clustered."""

CLUSTERS = 10
"""As many as splits, so that each is tested once."""


def image_keys(stimuli: StimulusSet, ids: Sequence[str] | NDArray[Any]) -> NDArray[np.str_]:
    """A hash of the decoded pixels of each stimulus of `ids`: equal for equal images, whatever their ids are."""
    return seen(stimuli)["keys"][stimuli.positions(list(ids))]


def shared_images(splits: Sequence[Split], keys: NDArray[np.str_]) -> int:
    """The number of test stimuli over all splits whose image is in the training set too. keys: (stimulus,)."""
    return sum(int(np.isin(keys[test], keys[train]).sum()) for train, test in splits)


def clusters(stimuli: StimulusSet, ids: Sequence[str] | NDArray[Any]) -> NDArray[np.str_]:
    """The cluster of each stimulus of `ids`: k-means (k = 10, seed 0) of their colours on 8 x 8 pixels.

    No model is involved, and equal images are always in the same cluster. Raises CornetError if all images are equal.
    """
    colours = seen(stimuli)["thumbnails"][stimuli.positions(list(ids))]
    different = len(np.unique(colours, axis=0))
    if different < 2:
        raise CornetError(
            f"the {len(colours)} stimuli of {stimuli.name} show one image, so no images can be held out; use other "
            "stimuli."
        )
    found = KMeans(min(CLUSTERS, different), n_init=4, random_state=0).fit_predict(colours)
    return found.astype(str)


def without_equal_images(splits: Sequence[Split], keys: NDArray[np.str_]) -> list[Split]:
    """Remove from each training set the stimuli that show an image of the test set. keys: (stimulus,)."""
    return [(train[~np.isin(keys[train], keys[test])], test) for train, test in splits]


def seen(stimuli: StimulusSet) -> dict[str, NDArray[Any]]:
    """Keys (stimulus,) and thumbnails (stimulus, 192), of 0 to 1, of all stimuli; cached on disk."""

    def compute() -> dict[str, NDArray[Any]]:
        keys, thumbnails = [], []
        for number in range(len(stimuli)):
            picture = np.ascontiguousarray(stimuli.pictures[number])
            keys.append(hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()[:32])
            pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].double() / 255
            thumbnails.append(F.adaptive_avg_pool2d(pixels, THUMBNAIL).numpy().ravel())
        return {"keys": np.array(keys), "thumbnails": np.array(thumbnails)}

    return cached_arrays("same-images", {"stimuli": stimuli.identity, "code": stimuli.code}, compute)
