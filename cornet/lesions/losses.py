"""The loss, and the images that are right, of a network with each of many lesions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.lesions.masked import Before, open_lesions
from cornet.lesions.places import Place

__all__ = ["LesionedImages"]

Group = Sequence[int]


class LesionedImages:
    """Labelled images, and the network with one place that can be lesioned.

    net: in evaluation mode. batches: (images, labels) of normalised images (image, channel, y, x), or what `normalise`
    makes normalised. rows: images times lesions in one pass. memory: bytes of what comes before the place that may stay
    in memory for all images; more is computed again for each round. whole: as in `open_lesions`.
    """

    def __init__(
        self,
        net: nn.Module,
        place: Place,
        batches: Sequence[tuple[Tensor, Tensor]],
        normalise: Callable[[Tensor], Tensor] = lambda images: images,
        rows: int = 512,
        memory: int = 2 * 2**30,
        whole: bool = False,
    ) -> None:
        self.lesions, self.place = open_lesions(net, place, whole), place
        self.batches, self.normalise, self.rows, self.memory = list(batches), normalise, rows, memory
        self._stored: dict[int, Before] = {}
        self._used = 0

    def before(self) -> Iterator[tuple[Before, Tensor]]:
        """What was computed before the place, and the labels, batch by batch."""
        for number, (images, labels) in enumerate(self.batches):
            found = self._stored.get(number)
            if found is None:
                found = self.lesions.prepare(self.normalise(images))
                size = sum(one.numel() * one.element_size() for one in found)
                if self._used + size <= self.memory:
                    self._stored[number], self._used = found, self._used + size
            yield found, labels

    @torch.no_grad()
    def run(self, masks: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Apply `measure` to logits (copy, image, class) and labels; returns (copy, image) of all images in order."""
        parts = []
        for before, labels in self.before():
            masks, copies = masks.to(before[0].device), max(1, self.rows // len(labels))
            found: list[Any] = []
            for start in range(0, len(masks), copies):
                logits = self.lesions.logits(before, masks[start : start + copies])
                found.append(measure(logits.float(), labels.to(logits.device)))
            parts.append(torch.cat(found))
        return torch.cat(parts, dim=1)

    def mean_losses(self, masks: Tensor) -> Tensor:
        """Mean cross-entropy over all classes and all images, (copy,) float64, of each lesion (copy, unit)."""
        return self.run(masks, cross_entropy).double().mean(dim=1).cpu()

    def hits(self, masks: Tensor, within: Sequence[Sequence[Group]] = ()) -> Tensor:
        """Whether each image is right, (copy, image, 1 + groupings) bool.

        First among all classes; then, for each of the groupings `within`, lists of groups of classes, among the
        classes of the label's group only.
        """
        groupings = [[torch.tensor(list(group)) for group in groups] for groups in within]

        def measure(logits: Tensor, labels: Tensor) -> Tensor:
            return torch.stack([right(logits, labels, groups) for groups in (None, *groupings)], dim=-1)

        return self.run(masks, measure).cpu()

    def masks(self, silenced: Sequence[Sequence[int]]) -> Tensor:
        """(copy, unit) of ones, with the units of each list set to 0."""
        found = torch.ones(len(silenced), self.place.units)
        for row, units in zip(found, silenced, strict=True):
            row[list(units)] = 0
        return found


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (copy, image) from logits (copy, image, class)."""
    copies, images, classes = logits.shape
    every = labels.expand(copies, images).reshape(-1)
    return F.cross_entropy(logits.reshape(-1, classes), every, reduction="none").view(copies, images)


def right(logits: Tensor, labels: Tensor, groups: Sequence[Tensor] | None) -> Tensor:
    """Whether the highest logit is that of the label, (copy, image)."""
    if groups is not None:
        allowed = torch.zeros(len(labels), logits.shape[-1], dtype=torch.bool, device=logits.device)
        for group in groups:
            here = group.to(logits.device)
            members = torch.zeros_like(allowed[0]).index_fill(0, here, True)
            allowed |= torch.isin(labels, here)[:, None] & members
        logits = logits.masked_fill(~allowed, -torch.inf)
    return logits.argmax(-1) == labels
