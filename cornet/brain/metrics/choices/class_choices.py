"""Convert a network's outputs to choices among the observers' object names.

Either by the published mapping (bethgelab/model-vs-human; Geirhos et al. 2018, 2019), which chooses the category, one
of 16, whose ImageNet classes have the highest mean probability. It excludes ambiguous words: 109 of 118 dogs and 49 of
59 birds count, "knife" is only the cleaver, and "oven" the rotisserie. Or by a read-out fitted on other images.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.choices.readout import held_out_probabilities
from cornet.errors import CornetError

__all__ = [
    "CATEGORIES",
    "IMAGENET_CLASSES",
    "Choices",
    "category_probabilities",
    "first_choices",
    "mapped_choices",
    "readout_choices",
]

IMAGENET_CLASSES = 1000
# Cairn, Lhasa, kelpie, boxer, dalmatian, Samoyed, ...
_SECOND_SENSES = {192, 204, 227, 242, 251, 258, 260, 264}

CATEGORIES: dict[str, tuple[int, ...]] = {
    "airplane": (404,),
    "bear": (294, 295, 296, 297),
    "bicycle": (444, 671),
    "bird": (
        *(8, *range(10, 17), *range(18, 21), *range(22, 25)),
        *(*range(80, 84), *range(87, 97), *range(98, 101)),
        *(*range(127, 134), *range(135, 146)),
    ),
    "boat": (472, 554, 625, 814, 914),
    "bottle": (440, 720, 737, 898, 899, 901, 907),
    "car": (436, 511, 817),
    "cat": (281, 282, 283, 284, 285, 286),
    "chair": (423, 559, 765, 857),
    "clock": (409, 530, 892),
    "dog": tuple(k for k in range(152, 269) if k not in _SECOND_SENSES),
    "elephant": (385, 386),
    "keyboard": (508, 878),
    "knife": (499,),
    "oven": (766,),
    "truck": (555, 569, 656, 675, 717, 734, 864, 867),
}
"""ImageNet classes (0 to 999) of each category, in alphabetical order of the categories."""


@dataclass(frozen=True, eq=False)
class Choices:
    """choice: (image,), the network's choices. way: how they were computed, for the score's notes."""

    choice: NDArray[np.str_]
    way: str


def category_probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Average the probabilities of ImageNet's classes, (image, 1000), over each category: (image, 16).

    Raises CornetError for a different number of columns and for values that are not probabilities.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[1] != IMAGENET_CLASSES:
        raise CornetError(
            f"probabilities of shape {p.shape} must be (image, {IMAGENET_CLASSES}), in ImageNet's order; use "
            "readout_choices for networks with other classes."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise CornetError(
            f"the probabilities range from {p.min():.3g} to {p.max():.3g}, but must be between 0 and 1; apply softmax "
            "to the network's output."
        )
    return np.stack([p[:, classes].mean(axis=1) for classes in map(list, CATEGORIES.values())], axis=1)


def mapped_choices(probabilities: ArrayLike) -> Choices:
    """Choose the category with the highest mean probability; ties go to the first in alphabetical order."""
    names = np.array(list(CATEGORIES))
    answers = names[category_probabilities(probabilities).argmax(axis=1)]
    return Choices(answers, "choices by the published mapping of ImageNet's 1000 classes to 16 categories")


def first_choices(logits: ArrayLike) -> Choices:
    """Choose the category of the highest logit among all ImageNet classes that belong to one of the 16.

    logits: (image, 1000). The rule of Feather et al. 2023 (Nat. Neurosci. 26), which goes down the logits until a class
    belongs to a category; the categories are those of `CATEGORIES`. Raises CornetError for a different number of
    columns.
    """
    values = np.asarray(logits, np.float64)
    if values.ndim != 2 or values.shape[1] != IMAGENET_CLASSES:
        raise CornetError(
            f"logits of shape {values.shape} must be (image, {IMAGENET_CLASSES}), in ImageNet's order; use "
            "the classes of the network itself for others."
        )
    best = np.stack([values[:, classes].max(axis=1) for classes in map(list, CATEGORIES.values())], axis=1)
    answers = np.array(list(CATEGORIES))[best.argmax(axis=1)]
    return Choices(
        answers, "choices by the highest of ImageNet's classes that belongs to one of 16 categories"
    )


def readout_choices(
    features: Any,
    labels: ArrayLike,
    folds: int | ArrayLike = 10,
    seed: int = 0,
    groups: ArrayLike | None = None,
    C: float = 1e-3,
    device: str = "cpu",
) -> Choices:
    """Choose each image's most probable object by a read-out fitted on other folds; see `held_out_probabilities`."""
    probabilities, names = held_out_probabilities(features, labels, folds, seed, groups, C, device)
    count = folds if np.ndim(folds) == 0 else len(np.unique(np.asarray(folds)))
    way = f"choices by a linear read-out fitted on other images ({count} folds, C = {C:g})"
    return Choices(names[probabilities.argmax(axis=1)].astype(str), way)
