"""Base class of benchmarks: stimuli to show, sites to record, and a comparison of the recording with brain data."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.mapping.gram import RowView
from cornet.brain.metrics.mapping.rounding import rounding_notes
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Benchmark", "rows_of"]


class BrainData(Protocol):
    """Brain data with their stimuli."""

    @property
    def stimuli(self) -> StimulusSet: ...


Data = TypeVar("Data", bound=BrainData)


class Benchmark(ABC, Generic[Data]):
    """A comparison of a subject with brain data.

    name: e.g. "majajhong2015.IT". version: incremented when scores change. region: V1, V2, V4, IT, or "behaviour".
    description: one line on the data. scale: scale of the score's value. degrees: visual angle of the stimuli; None:
    unknown, so they fill the subject's screen. time_bin: (start, end) of the brain responses, in ms after onset.
    split_rule: how stimuli are split, as text. simulated: True for the simulated brain. device: where to compare.
    in_means: whether it counts in brain/mean, and as the score of its region, in training.
    """

    version = 1
    simulated = False
    in_means = True

    def __init__(
        self,
        name: str,
        region: str,
        description: str,
        load: Callable[[], Data],
        *,
        scale: str,
        degrees: float | None = 8.0,
        time_bin: tuple[float, float] | None = None,
        split_rule: str = "",
        simulated: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name, self.region, self.description, self.scale = name, region, description, scale
        self.degrees, self.time_bin, self.split_rule = degrees, time_bin, split_rule
        self.simulated, self.device = simulated, device
        self._load = load

    @cached_property
    def data(self) -> Data:
        """The brain data, loaded on first use."""
        return self._load()

    @property
    def stimuli(self) -> StimulusSet:
        """The stimuli to show."""
        return self.data.stimuli

    @property
    def suffix(self) -> str:
        """The end of the name that names the metric, such as "-cka"; "" without one."""
        return ""

    @abstractmethod
    def fingerprint_parts(self) -> Sequence[Any]:
        """Arrays that `compare` reads, columns that define the splits, and options that select data."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the data, 16 hexadecimal digits: scores with equal fingerprints used the same data.

        Covers the stimuli (ids, images, visual angle), the region and `fingerprint_parts`, but not paths or file names.
        Raises CornetError if the data cannot be read.
        """
        degrees = self.stimuli.degrees if self.degrees is None else self.degrees
        return digest(self.stimuli.identity, degrees, self.region, *self.fingerprint_parts())[:16]

    @abstractmethod
    def sites(self, subject: Subject) -> list[Site]:
        """The sites of the subject that must be recorded."""

    @abstractmethod
    def exclusions(self) -> Sequence[str]:
        """Notes for every score: which brain data are left out, with counts."""

    @abstractmethod
    def score(self, recording: Recording, subject: Subject) -> Score:
        """Compare, on this benchmark's scale; notes state what the comparison and the ceiling left out."""

    @final
    def compare(self, recording: Recording, subject: Subject) -> Score:
        """Score a recording of all `sites`, with notes on the brain data, features, comparison and ceiling."""
        rounding = (note for site in self.sites(subject) for note in rounding_notes(recording[site], site))
        return self.score(recording, subject).with_notes(*self.exclusions(), *rounding)

    def missing_note(self, ids: Sequence[str] | NDArray[Any], data: str) -> list[str]:
        """A note that counts the stimuli not in `ids`, which have no `data` (e.g. "trials"); [] if all are in `ids`."""
        missing = len(self.stimuli) - len(np.unique(ids))
        return [f"{missing} of {len(self.stimuli)} stimuli have no {data} and are left out"] * (missing > 0)

    def prepare(self) -> None:
        """Load and compute everything that does not depend on a subject. Raises CornetError if that fails."""
        self.data  # noqa: B018

    def memory(self, width: int) -> int:
        """Minimum bytes to load and compare, besides the recorded features. width: number of features."""
        return 8 * len(self.stimuli) * width

    def describe_size(self) -> str:
        """What takes the memory besides the stimuli, for messages."""
        return "features in double precision"

    def run(self, subject: Subject, label: str = "") -> Score:
        """Record and compare. label: label of the progress bar; "" for no bar."""
        recording = subject.record(self.stimuli, self.sites(subject), self.degrees, label=label)
        return self.compare(recording, subject)


def rows_of(recording: Recording, site: Site, stimuli: StimulusSet, ids: Sequence[str] | NDArray[Any]) -> Any:
    """Features of a site for stimuli `ids`, in that order; the recorded matrix itself if it has that order already."""
    features = recording[site]
    rows = stimuli.positions(list(ids))
    if len(rows) == len(features) and (rows == np.arange(len(rows))).all():
        return features
    return RowView(features, rows)
