"""Join two image sources into one with the classes of both, and the same number of training images of each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cornet.errors import CornetError, check_choice
from cornet.names import escaped
from cornet.stimuli.normalisation import check_normalisation
from cornet.stimuli.two_tasks.splits import JoinedSplit, Part, Rows, choose_evenly, halved, labels_of

__all__ = ["TwoTasks"]


class TwoTasks:
    """The classes of two sources in one; an ImageSource with a third split, `test`, and `groups`.

    sources: {name of a task: ImageSource}, two of them, of one image size. Labels of the second task begin after those
        of the first: one classifier over all classes, which does not know the tasks.
    only: a task's name: its classes and images alone, the same images as in the network of both.
    train_images: training images of each task; None: as many as the task with fewer has. They are spread evenly over
        the classes of a task.
    grey: share of training images that are shown without colour (published: 0.2), because face sets differ in colour.
    mean, std: per channel, for images scaled to 0..1 (published: 0.5). seed: of `grey`.

    A source with a method `test` has its own test images; of any other, every other validation image of each class is
    a test image, and no validation image.

    groups: {task: labels of its classes}; of one task with `only`.
    Raises CornetError for other than two tasks, different image sizes, a class in both, too few training images, and
    values out of range.
    """

    def __init__(
        self,
        sources: Mapping[str, Any],
        *,
        only: str | None = None,
        train_images: int | None = None,
        grey: float = 0.0,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        seed: int = 0,
        name: str = "two_tasks",
    ) -> None:
        if len(sources) != 2:
            raise CornetError(
                f"{len(sources)} tasks are given ({', '.join(sources)}), but there must be two."
            )
        if only is not None:
            check_choice("only", only, sources)
        if not 0 <= grey <= 1:
            raise CornetError(f"grey={grey!r} must be a share of the images from 0 to 1, such as 0.2.")
        self.name, self.only, self.grey, self.seed = name, only, float(grey), int(seed)
        center, spread = check_normalisation(mean, std)
        self.mean, self.std = (center[0], center[1], center[2]), (spread[0], spread[1], spread[2])
        check_alike(sources)
        check_disjoint(sources)
        first = next(iter(sources.values()))
        self.size: int = first.size
        self.views: tuple[str, ...] = tuple(first.views)
        self.in_memory = all(bool(source.in_memory) for source in sources.values())
        self._train = {task: source.train() for task, source in sources.items()}
        labels = {task: labels_of(split) for task, split in self._train.items()}
        self.per_task = equal_number({task: len(one) for task, one in labels.items()}, sources, train_images)
        self.groups: dict[str, range] = {}
        self.classes: list[str] = []
        self.sources: dict[str, Any] = {}
        self._rows: dict[str, Rows] = {}
        self._labels = labels
        for task, source in sources.items():
            if only is not None and task != only:
                continue
            self.sources[task] = source
            self.groups[task] = range(len(self.classes), len(self.classes) + len(source.classes))
            self.classes += list(source.classes)
            self._rows[task] = choose_evenly(labels[task], self.per_task)

    def train(self) -> JoinedSplit:
        """Training images, (3, size, size), the same number of each task."""
        parts = [
            Part(self._train[task], self._rows[task], self.groups[task].start, self._labels[task])
            for task in self.sources
        ]
        return JoinedSplit(parts, self.grey, self.seed)

    def val(self) -> JoinedSplit:
        """Validation images, (view, 3, size, size)."""
        return JoinedSplit([self._held_out(task)[0] for task in self.sources])

    def test(self) -> JoinedSplit:
        """Test images, which are neither trained on nor validated on, (view, 3, size, size)."""
        return JoinedSplit([self._held_out(task)[1] for task in self.sources])

    def shown(self) -> JoinedSplit:
        """Training images, (3, size, size), all in colour; a source that shifts or crops does so here, too."""
        return JoinedSplit(self.train().parts)

    def _held_out(self, task: str) -> tuple[Part, Part]:
        """The validation and the test images of a task."""
        source, offset = self.sources[task], self.groups[task].start
        val = source.val()
        labels = labels_of(val)
        if hasattr(source, "test"):
            test = source.test()
            of_test = labels_of(test)
            return (
                Part(val, np.arange(len(val)), offset, labels),
                Part(test, np.arange(len(test)), offset, of_test),
            )
        kept, held = halved(labels)
        return Part(val, kept, offset, labels), Part(val, held, offset, labels)


def check_alike(sources: Mapping[str, Any]) -> None:
    """Raise CornetError unless all images have one size and one list of validation views."""
    for word in ("size", "views"):
        values = {task: getattr(source, word) for task, source in sources.items()}
        if len(set(values.values())) > 1:
            shown = " and ".join(f"{value} of {task}" for task, value in values.items())
            raise CornetError(
                f"the images of two tasks must have one {word}, not {shown}; give both the same."
            )


def check_disjoint(sources: Mapping[str, Any]) -> None:
    """Raise CornetError if both tasks have a class of one name."""
    first, second = (list(source.classes) for source in sources.values())
    if both := sorted(set(first) & set(second)):
        shown = ", ".join(map(escaped, both[:5])) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
        raise CornetError(
            f"{'class' if len(both) == 1 else 'classes'} {shown} belong{'s' if len(both) == 1 else ''} to both "
            f"{' and '.join(sources)}, but a class must belong to one task; rename or remove one of each two."
        )


def equal_number(counts: Mapping[str, int], sources: Mapping[str, Any], wanted: int | None) -> int:
    """Training images of each task. counts: those that each has. Raises CornetError if a task has too few."""
    number = min(counts.values()) if wanted is None else int(wanted)
    for task, count in counts.items():
        if count < number:
            raise CornetError(
                f"train_images={number} images of each task are asked for, but {task} has {count:,}; give at most "
                f"{min(counts.values()):,}, or null for as many as both have."
            )
        if number < (classes := len(sources[task].classes)):
            raise CornetError(
                f"{number:,} training images of each task are too few for the {classes:,} classes of {task}, which "
                f"need one each; give at least {max(len(one.classes) for one in sources.values()):,}, or fewer classes."
            )
    return number
