"""What every benchmark is: stimuli to show, sites to record, and a comparison of what was recorded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.rounding import rounding_notes
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Benchmark", "RowView", "rows_of"]

Data = TypeVar("Data")


class Benchmark(ABC, Generic[Data]):
    """A comparison with a brain.

    name: e.g. "majajhong2015.IT". version: raised when it comes to give other numbers. region: V1, V2, V4, IT, or
    "behaviour". what: one line about the data and the rule. scale: on which its value is shown. degrees: visual angle
    of its stimuli; None: unknown, they fill the subject's own screen. time_bin: of the brain's responses, in ms after
    onset. split_rule: how stimuli are parted, in words. simulated: no brain was recorded.
    device: where comparisons are computed.
    """

    version = 1
    simulated = False

    def __init__(
        self,
        name: str,
        region: str,
        what: str,
        load: Callable[[], Data],
        *,
        scale: str,
        degrees: float | None = 8.0,
        time_bin: tuple[float, float] | None = None,
        split_rule: str = "",
        simulated: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name, self.region, self.what, self.scale = name, region, what, scale
        self.degrees, self.time_bin, self.split_rule = degrees, time_bin, split_rule
        self.simulated, self.device = simulated, device
        self._load = load

    @cached_property
    def data(self) -> Data:
        """The brain's side, read at its first use."""
        return self._load()

    @property
    @abstractmethod
    def stimuli(self) -> StimulusSet:
        """What is shown."""

    @abstractmethod
    def brain_side(self) -> Sequence[Any]:
        """Arrays that `compare` reads, columns of the splits, and options that choose among the data."""

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of a hash of the data: scores with the same one were taken on the same data.

        It covers the stimuli (ids, images, visual angle), the region and `brain_side`, but no paths or file names.
        Raises CornetError for data that cannot be read.
        """
        degrees = self.stimuli.degrees if self.degrees is None else self.degrees
        return digest(self.stimuli.identity, degrees, self.region, *self.brain_side())[:16]

    @abstractmethod
    def sites(self, subject: Subject) -> list[Site]:
        """What must be recorded of a subject."""

    @abstractmethod
    def exclusions(self) -> Sequence[str]:
        """Which of the brain's data are not compared, each kind with its count: notes of every score."""

    @abstractmethod
    def score(self, recording: Recording, subject: Subject) -> Score:
        """The comparison itself, on this benchmark's scale; its notes tell what it and its ceiling left out."""

    @final
    def compare(self, recording: Recording, subject: Subject) -> Score:
        """The score of what was recorded (all of `sites`), with the notes of all that it rests on: the brain's data,
        the recorded features, the comparison and the ceiling."""
        rounded = (note for site in self.sites(subject) for note in rounding_notes(recording[site], site))
        return self.score(recording, subject).noted(*self.exclusions(), *rounded)

    def without(self, ids: Sequence[str] | NDArray[Any], what: str) -> list[str]:
        """A note that counts the stimuli that are not among `ids`, those with `what`; none where all are."""
        lacking = len(self.stimuli) - len(np.unique(ids))
        return [f"{lacking} of {len(self.stimuli)} stimuli have no {what} and are left out"] * (lacking > 0)

    def prepare(self) -> None:
        """Read and compute all that does not depend on a subject; raises CornetError where that cannot be."""
        self.data  # noqa: B018

    def memory(self, width: int) -> int:
        """Bytes that reading and comparing take at least, besides the features as recorded; width: features."""
        return 8 * len(self.stimuli) * width

    def extent(self) -> str:
        """What its memory goes to, in words, besides the stimuli."""
        return "features in double precision"

    def run(self, subject: Subject, label: str = "") -> Score:
        """Record and compare. label: of a progress bar; "" for none."""
        recording = subject.record(self.stimuli, self.sites(subject), self.degrees, label=label)
        return self.compare(recording, subject)


class RowView:
    """Some rows of a matrix in some order, read in blocks of columns: the whole is never copied."""

    def __init__(self, matrix: Any, rows: NDArray[np.int64]) -> None:
        self.matrix, self.rows = matrix, rows
        self.shape = (len(rows), matrix.shape[1])
        self.dtype = matrix.dtype

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[Any]:
        chosen, columns = index
        return self.matrix[:, columns][self.rows[chosen]]

    def __len__(self) -> int:
        return len(self.rows)


def rows_of(recording: Recording, site: Site, stimuli: StimulusSet, ids: Sequence[str] | NDArray[Any]) -> Any:
    """Features of a site for these stimuli, in their order: the recording's own matrix where that is it already."""
    features = recording[site]
    rows = stimuli.positions(list(ids))
    if len(rows) == len(features) and (rows == np.arange(len(rows))).all():
        return features
    return RowView(features, rows)
