"""Silence the units that each of two tasks needs most, at many places of a network, and measure both tasks.

study = LesionStudy(train, test, groups, normalise=..., images=256)
table = study.run(net, places)                  # a row for each place, ranking and task
segregation_table(table)                        # a row for each place: the four drops, and the segregation
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.lesions.losses import LesionedImages
from cornet.lesions.measures import ByClass, interval, proportional_drop, resampled, segregation
from cornet.lesions.places import Place
from cornet.lesions.ranking import GROUP, SHARE, Units, random_units, rank_units, units_at
from cornet.sizes import check_positive_int
from cornet.stimuli.two_tasks.splits import choose_evenly

__all__ = ["COLUMNS", "RANDOM", "TASKS", "LesionStudy", "random_halves", "segregation_table"]

log = logging.getLogger("cornet")

TASKS, RANDOM = "tasks", "random"
"""The grouping of classes by task, and the ranking of randomly chosen units."""

COLUMNS = {
    "grouping": "tasks, or halves 0, halves 1, ...: two random halves of all classes",
    "place": "label of the layer or area, with the step in brackets if one step is silenced",
    "layer": "module or area",
    "step": "of an area, from 0; empty: all steps, or a layer",
    "units": "of the place",
    "silenced": "how many of them are silenced",
    "share": "the share of units that was asked for",
    "ranked_by": "the group of classes that needs these units most, or random: the mean of several random choices",
    "group": "the group of classes that is tested",
    "images": "number of test images",
    "accuracy_before": "top-1 over all classes, without lesion",
    "accuracy": "top-1 over all classes",
    "drop": "percent of the accuracy that is lost",
    "drop_low": "95 % interval, bootstrap over test classes",
    "drop_high": "",
    "within_before": "top-1 among the classes of the group only, without lesion",
    "within": "top-1 among the classes of the group only",
    "segregation": "of the two groups at this place and share; the same in all rows of them",
    "segregation_low": "95 % interval, bootstrap over test classes",
    "segregation_high": "",
}
"""Columns of the table, and their meaning."""

Groups = Mapping[str, Sequence[int]]


@dataclass
class Images:
    """Images uint8 (image, channel, y, x) with labels (image,)."""

    images: Tensor
    labels: Units

    def of(self, group: Sequence[int], count: int | None = None) -> "Images":
        """The images of a group of classes; count: the most images, spread evenly over the classes."""
        here = np.flatnonzero(np.isin(self.labels, list(group)))
        if count is not None:
            here = here[choose_evenly(self.labels[here], min(count, len(here)))]
        return Images(self.images[torch.from_numpy(here)], self.labels[here])

    def batches(self, size: int) -> list[tuple[Tensor, Tensor]]:
        labels = torch.from_numpy(self.labels)
        return [(self.images[k : k + size], labels[k : k + size]) for k in range(0, len(labels), size)]


@dataclass
class LesionStudy:
    """What is measured, and on which images.

    train: images on which units are ranked. test: other images, on which accuracies are measured, each used once.
    groups: {task: labels of its classes}, two of them. normalise: images uint8 to what the network takes.
    images: training images of each task for a ranking. shares: of the units, that are silenced. group: of the units,
    that are ranked at a time (`rank_units`). halves: number of control groupings, into random halves of all classes.
    random: number of choices of random units, which are averaged. batch: images in a batch. rows: images times lesions
    in one pass. seed: of the controls and the bootstrap.

    Raises CornetError for other than two groups, groups without training or test images, and values out of range.
    """

    train: Images
    test: Images
    groups: Groups
    normalise: Callable[[Tensor], Tensor] = field(default=lambda images: images)
    images: int = 6400
    shares: Sequence[float] = (0.1, SHARE)
    group: float | None = GROUP
    halves: int = 1
    random: int = 5
    batch: int = 128
    rows: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.groups) != 2:
            raise CornetError(
                f"lesions compare two groups of classes, not {len(self.groups)}; give a source of two tasks."
            )
        for word in ("images", "random", "batch", "rows"):
            check_positive_int(word, getattr(self, word))
        for share in self.shares:
            if not 0 < share < 1:
                raise CornetError(f"shares={list(self.shares)} must be between 0 and 1, such as [0.1, 0.2].")
        for task, group in self.groups.items():
            for what, one in (("training", self.train), ("test", self.test)):
                if not np.isin(one.labels, list(group)).any():
                    raise CornetError(f"{task} has no {what} images, so units cannot be compared; give some.")

    def groupings(self) -> dict[str, Groups]:
        """The tasks, and the controls."""
        every = [label for group in self.groups.values() for label in group]
        controls = {f"halves {k}": random_halves(every, self.seed + k) for k in range(self.halves)}
        return {TASKS: self.groups, **controls}

    def run(self, net: nn.Module, places: Sequence[Place]) -> pd.DataFrame:
        """Lesion a network at each place. Returns a table with `COLUMNS`. The network is as before afterwards."""
        training = net.training
        net.eval()
        try:
            rows = [row for place in places for row in self.at(net, place)]
        finally:
            net.train(training)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def at(self, net: nn.Module, place: Place) -> list[dict[str, Any]]:
        """The rows of one place."""
        most, groupings = max(self.shares), self.groupings()
        ranked = {
            (grouping, name): rank_units(
                self._open(net, place, self.train.of(group, self.images)), most, self.group
            )
            for grouping, groups in groupings.items()
            for name, group in groups.items()
        }
        chosen = {
            (RANDOM, str(k)): random_units(place.units, most, self.seed + k) for k in range(self.random)
        }
        tested = self._open(net, place, self.test)
        lists: dict[Any, list[int]] = {(): []}
        for share in self.shares:
            count = units_at(share, place.units)
            lists |= {(share, *key): units[:count].tolist() for key, units in (ranked | chosen).items()}
        hits = tested.hits(
            tested.masks(list(lists.values())), [list(one.values()) for one in groupings.values()]
        )
        numbers = {key: number for number, key in enumerate(lists)}
        rows = []
        for position, (grouping, groups) in enumerate(groupings.items(), start=1):
            for share in self.shares:
                by = [(share, grouping, name) for name in groups]
                random = [(share, *key) for key in chosen]
                shown = hits[[numbers[key] for key in ((), *by, *random)]]
                facts = (
                    grouping,
                    str(place),
                    place.layer,
                    place.step,
                    place.units,
                    units_at(share, place.units),
                    share,
                )
                rows += self._rows(facts, groups, shown[..., 0].numpy(), shown[..., position].numpy())
        log.info("lesions of %s: %d units", place, place.units)
        return rows

    def _open(self, net: nn.Module, place: Place, images: Images) -> LesionedImages:
        return LesionedImages(net, place, images.batches(self.batch), self.normalise, self.rows)

    def _rows(
        self, facts: Sequence[Any], groups: Groups, hits: NDArray[Any], within: NDArray[Any]
    ) -> list[dict[str, Any]]:
        """Rows of one grouping and share. hits, within: (lesion, image): none, by each group, random units."""
        members = list(groups.values())
        counts = ByClass.from_hits(hits, self.test.labels, members)
        inner = ByClass.from_hits(within, self.test.labels, members)
        weights = resampled(counts, seed=self.seed)
        accuracy = [summed(counts.accuracy(task)) for task in (0, 1)]
        drawn = [summed(counts.accuracy(task, weights)) for task in (0, 1)]
        inside = [summed(inner.accuracy(task)) for task in (0, 1)]
        drops = np.stack([proportional_drop(one[..., :1], one) for one in accuracy])  # (task, lesion)
        drawn_drops = np.stack(
            [proportional_drop(one[..., :1], one) for one in drawn]
        )  # (task, draw, lesion)
        value = float(segregation(drops[:, 1:3]))
        separate = interval(value, segregation(np.moveaxis(drawn_drops[:, :, 1:3], 1, 0)))
        rows = []
        for lesion, by in enumerate((*groups, RANDOM), start=1):
            for task, name in enumerate(groups):
                images = int(counts.images[counts.task == task].sum())
                drop = interval(float(drops[task, lesion]), drawn_drops[task, :, lesion])
                own = accuracy[task][0], accuracy[task][lesion], *drop, inside[task][0], inside[task][lesion]
                rows.append(dict(zip(COLUMNS, (*facts, by, name, images, *own, *separate), strict=True)))
        return rows


def summed(values: Any) -> Any:
    """Accuracies (..., lesion) without lesion, of two rankings and of random units, of which the mean is taken."""
    return np.concatenate([values[..., :3], values[..., 3:].mean(-1, keepdims=True)], axis=-1)


def random_halves(labels: Sequence[int], seed: int) -> dict[str, list[int]]:
    """Two halves of the classes at random, in ascending order; of an odd number, the second has one more."""
    order = np.random.default_rng([seed, len(labels)]).permutation(list(labels))
    half = len(order) // 2
    return {"half 1": sorted(order[:half].tolist()), "half 2": sorted(order[half:].tolist())}


def segregation_table(table: pd.DataFrame, share: float | None = None) -> pd.DataFrame:
    """A row for each grouping and place at one share (None: the largest), in the order of the table.

    Columns: grouping, place, layer, step, units, silenced, segregation with its interval, and the four drops in
    percent: drop_11 (of the first group, ranked by itself), drop_12 (of the first, ranked by the second), drop_21,
    drop_22; random_1, random_2: with random units.
    """
    share = float(table["share"].max()) if share is None else share
    rows = []
    for (grouping, place), part in table[table["share"] == share].groupby(["grouping", "place"], sort=False):
        names = list(dict.fromkeys(part["group"]))
        cells = part.set_index(["group", "ranked_by"])["drop"]
        first = part.iloc[0]
        row: dict[str, Any] = {"grouping": grouping, "place": place}
        kept = ("layer", "step", "units", "silenced", "segregation", "segregation_low", "segregation_high")
        row |= {name: first[name] for name in kept}
        for i, name in enumerate(names, 1):
            row |= {f"drop_{i}{j}": float(cells[name, other]) for j, other in enumerate(names, 1)}
            row[f"random_{i}"] = float(cells[name, RANDOM])
        rows.append(row)
    return pd.DataFrame(rows)
