"""Networks that classify images: who recognises a metamer?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.metrics.choices.class_choices import CATEGORIES, IMAGENET_CLASSES, first_choices
from cornet.brain.subjects.networks import LOGITS
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.synthesis.stage import Stage, stage_site

__all__ = ["Observer", "Share", "share_right"]

DRAWS = 1000
"""Bootstrap samples of images behind a standard error, as published."""


class Observer:
    """A network that names what it sees, at its own image size and with its own normalisation.

    subject: a network. classes: names of its classes, in the order of its outputs; empty: unknown. Networks of 1,000
    unnamed classes choose among 16 categories (`first_choices`); others name their class, or its number.

    Raises CornetError for a subject without a network, whose outputs are not one number per class, or whose classes
    do not fit `classes`.
    """

    def __init__(self, subject: Subject, classes: Sequence[str], device: torch.device, batch: int) -> None:
        self.subject, self.name, self.device, self.batch = subject, subject.name, device, batch
        site: Site = stage_site(subject, LOGITS)
        self.stage = Stage(subject, site).to(device)  # type: ignore[arg-type]
        self.size: int = self.stage.size
        with torch.no_grad():
            shape = self.stage(torch.full((2, 3, self.size, self.size), 0.5, device=device)).shape
        if len(shape) != 2 or shape[1] < 2 or (classes and shape[1] != len(classes)):
            raise CornetError(
                f"{self.name} has outputs of shape {tuple(shape[1:])}, which are not one for each of its "
                f"{len(classes) or 'two or more'} classes; name a network that classifies."
            )
        self.outputs = int(shape[1])
        self.sixteen = not classes and self.outputs == IMAGENET_CLASSES
        self.classes = list(CATEGORIES) if self.sixteen else list(classes)

    @property
    def choices(self) -> int:
        """Number of classes that are chosen from."""
        return len(CATEGORIES) if self.sixteen else self.outputs

    def logits(self, images: Tensor) -> Tensor:
        """images: (image, 3, y, x) in 0..1, resized to the network's own size. Returns (image, class) on the CPU."""
        found = []
        with torch.no_grad():
            for part in images.split(self.batch):
                shown = part.to(self.device)
                if tuple(part.shape[-2:]) != (self.size, self.size):
                    size = (self.size, self.size)
                    shown = F.interpolate(shown, size=size, mode="bilinear", antialias=True)
                found.append(self.stage(shown).float().cpu())
        return torch.cat(found)

    def answers(self, images: Tensor) -> NDArray[np.str_]:
        """The class of each image, by name, or "class 3" without names. images: as for `logits`."""
        logits = self.logits(images)
        if self.sixteen:
            return first_choices(logits).choice
        names = np.array(self.classes or [f"class {number}" for number in range(self.outputs)])
        return names[logits.argmax(dim=1).numpy()]


@dataclass(frozen=True)
class Share:
    """A share of images. value: NaN for none. error: standard error, by bootstrap over images. n: images."""

    value: float
    error: float
    n: int = field(default=0)


def share_right(right: NDArray[np.bool_], seed: int = 0) -> Share:
    """The share of True, with its standard error over `DRAWS` bootstrap samples of images."""
    if not len(right):
        return Share(float("nan"), float("nan"))
    rows = np.random.default_rng(seed).integers(0, len(right), (DRAWS, len(right)))
    return Share(float(right.mean()), float(right[rows].mean(axis=1).std(ddof=1)), len(right))
