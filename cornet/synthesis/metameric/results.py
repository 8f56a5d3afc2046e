"""What a study of metamers found: by stage, by image, and by the networks that were shown the metamers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from cornet.synthesis.images import Shown
from cornet.synthesis.metameric.observers import Share
from cornet.synthesis.metameric.stages import StageName
from cornet.synthesis.metamers import FEW, Closeness, thresholds

__all__ = ["Judgement", "Schedule", "StageResult", "Study"]


@dataclass(frozen=True)
class Schedule:
    """first: length of the first steps. steps: of a block. blocks: each has half the length of the block before."""

    first: float
    steps: int
    blocks: int
    published: bool = False


@dataclass(frozen=True, eq=False)
class StageResult:
    """The metamers of one stage of one network.

    generator: name of the network. images: (image, 3, y, x) uint8, as saved. losses: (block + 1, image), at the start
    and after each block, before rounding; saved_loss: (image,), of the saved images. found, null: closeness of the
    saved metamers to their targets, and of pairs of different images. answers: (image,), the network's class of each
    metamer, and kept: whether it is that of the target; None if the network does not classify. closer: (image,),
    whether it is closer than all pairs. pixel_r: (image,), correlation of the pixels with the target's. seconds: to
    make them.
    """

    generator: str
    stage: StageName
    images: Tensor = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    saved_loss: NDArray[np.float64] = field(repr=False)
    found: Closeness = field(repr=False)
    null: Closeness = field(repr=False)
    answers: NDArray[np.str_] | None = field(repr=False)
    kept: NDArray[np.bool_] | None = field(repr=False)
    closer: NDArray[np.bool_] = field(repr=False)
    pixel_r: NDArray[np.float64] = field(repr=False)
    seconds: float = 0.0
    resumed: int = 0

    @property
    def passed(self) -> NDArray[np.bool_]:
        """Whether each metamer meets both criteria."""
        return self.closer if self.kept is None else self.closer & self.kept

    @property
    def thresholds(self) -> dict[str, float]:
        """What a metamer must surpass, by measure; without Spearman's r for a stage of few units."""
        return thresholds(self.null)

    @property
    def few_units(self) -> bool:
        return self.found.units < FEW


@dataclass(frozen=True)
class Judgement:
    """How a network sees the metamers of a stage that passed. stage: None for the unchanged images.

    right: the share that it gives the true class, where that is among its classes. same: the share that it gives the
    same class as the unchanged image.
    """

    judge: str
    generator: str
    stage: StageName | None
    right: Share
    same: Share


@dataclass(frozen=True, eq=False)
class Study:
    """All results. generators: names, with the number of classes each chooses from (0: none). judges: the same for the
    networks that were shown the metamers. start: (image, 3, y, x) uint8. null_name, null_pairs: of the null
    distribution. notes: the network that each is about ("": none), and its text."""

    shown: Shown
    start: Tensor = field(repr=False)
    generators: dict[str, int]
    judges: dict[str, int]
    results: list[StageResult] = field(repr=False)
    judgements: list[Judgement] = field(repr=False)
    schedule: Schedule
    null_name: str
    null_pairs: int
    seed: int
    notes: list[tuple[str, str]]

    def of(self, generator: str) -> list[StageResult]:
        return [one for one in self.results if one.generator == generator]

    def judged(self, generator: str, judge: str) -> list[Judgement]:
        """In the order of the stages; first the unchanged images."""
        return [one for one in self.judgements if (one.generator, one.judge) == (generator, judge)]

    def renamed(self, names: Mapping[str, str]) -> "Study":
        """The same with other names of the networks, for tables and pages. names: by the names here."""

        def new(name: str) -> str:
            return names.get(name, name)

        def judged(one: Judgement) -> Judgement:
            return replace(one, judge=new(one.judge), generator=new(one.generator))

        return replace(
            self,
            generators={new(name): count for name, count in self.generators.items()},
            judges={new(name): count for name, count in self.judges.items()},
            results=[replace(one, generator=new(one.generator)) for one in self.results],
            judgements=[judged(one) for one in self.judgements],
            notes=[(new(name), text) for name, text in self.notes],
        )

    @property
    def labelled(self) -> bool:
        """Whether the true class of every image is known."""
        return all(self.shown.labels)

    def table(self) -> pd.DataFrame:
        """One row for each metamer."""
        rows: list[dict[str, Any]] = []
        for one in self.results:
            for place, name in enumerate(self.shown.names):
                row: dict[str, Any] = {"model": one.generator, "area": one.stage.area, "step": one.stage.step}
                row |= {"units": one.found.units, "image": name, "label": self.shown.labels[place]}
                row |= {f"loss_{block}": loss for block, loss in enumerate(one.losses[:, place])}
                row |= {"loss_saved": one.saved_loss[place], "spearman": one.found.spearman[place]}
                row |= {"pearson": one.found.pearson[place], "snr_db": one.found.snr[place]}
                row |= {"pixel_r": one.pixel_r[place], "closer": bool(one.closer[place])}
                row["answer"] = "" if one.answers is None else str(one.answers[place])
                row["kept"] = "" if one.kept is None else bool(one.kept[place])
                row["passed"] = bool(one.passed[place])
                rows.append(row)
        return pd.DataFrame(rows)

    def stage_table(self) -> pd.DataFrame:
        """One row for each stage and judge; judge "" stands for the network itself."""
        rows: list[dict[str, Any]] = []
        for one in self.results:
            limits = {f"null_{name}": value for name, value in one.thresholds.items()}
            row: dict[str, Any] = {"model": one.generator, "area": one.stage.area, "step": one.stage.step}
            row |= {"units": one.found.units, "images": len(one.passed), "passed": int(one.passed.sum())}
            row |= {"null_pairs": self.null_pairs, "null_images": self.null_name, **limits}
            for said in self.judgements:
                if (said.generator, said.stage) == (one.generator, one.stage):
                    shares = {
                        "right": said.right.value,
                        "right_se": said.right.error,
                        "right_n": said.right.n,
                    }
                    shares |= {"same": said.same.value, "same_se": said.same.error, "same_n": said.same.n}
                    rows.append({**row, "judge": said.judge, **shares})
            if not any(
                (said.generator, said.stage) == (one.generator, one.stage) for said in self.judgements
            ):
                rows.append(row)
        return pd.DataFrame(rows)
