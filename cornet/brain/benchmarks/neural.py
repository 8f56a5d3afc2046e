"""Neural benchmarks: compare a subject's features with the responses of a brain region, by any metric."""

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import Benchmark, rows_of
from cornet.brain.cache import cached_arrays
from cornet.brain.data.bundle import Bundle
from cornet.brain.data.columns import categories
from cornet.brain.data.responses import Responses
from cornet.brain.data.same_images import image_keys, shared_images
from cornet.brain.data.split_rule import SplitRule
from cornet.brain.metrics.by_subject import bootstrap_error, combined, subject_ceiling, tested_on
from cornet.brain.metrics.ceiling import stated_ceiling
from cornet.brain.metrics.mapping.gram import RowView
from cornet.brain.metrics.neural.registry import neural_metric
from cornet.brain.metrics.splits import Split, fixed_splits, make_splits
from cornet.brain.score import Score
from cornet.brain.subjects.step_times import DEFAULT_BIN, check_bin
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError

__all__ = ["NeuralBenchmark"]


class NeuralBenchmark(Benchmark[Bundle]):
    """A comparison with one region of a bundle. The ceiling is the metric's own, from the repetitions.

    stratify, groups: columns of the stimulus table that define the splits; None: not used. rule: split rule of a local
        bundle, which replaces both.
    metric: a name, see `cornet.brain.metrics.neural.registry`.
    response_bin: time bin of the responses, in ms; None: the only one.
    step_bin: time bin, in ms, that selects the subject's step.
    area: region or layer of the subject to compare; None: the region of the same name.
    """

    def __init__(
        self,
        name: str,
        region: str,
        description: str,
        load: Callable[[], Bundle],
        *,
        stratify: str | None = None,
        groups: str | None = None,
        rule: SplitRule | None = None,
        metric: str = "pls",
        response_bin: tuple[float, float] | None = None,
        step_bin: tuple[float, float] = DEFAULT_BIN,
        scale: str = "r^2/c",
        area: str | Site | None = None,
        degrees: float | None = None,
        simulated: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        for time_bin in (response_bin, step_bin):
            if time_bin is not None:
                check_bin(time_bin)
        self.rule = SplitRule(groups, stratify) if rule is None else rule
        self.comparison = neural_metric(metric)
        super().__init__(
            name,
            region,
            description,
            load,
            scale=scale,
            degrees=degrees,
            time_bin=response_bin,
            split_rule=self._split_text(),
            simulated=simulated,
            device=device,
        )
        self.stratify, self.groups = self.rule.stratify, self.rule.groups
        self.metric, self.area = metric, area
        self.step_bin = step_bin
        self._suffix = ""
        self._origin: NeuralBenchmark | None = None

    def with_metric(self, metric: str, suffix: str = "") -> "NeuralBenchmark":
        """Copy with another metric, which shares the data and the responses. suffix: added to the name."""
        result = copy.copy(self)
        for computed in ("ceiling", "splits", "equal_images"):
            result.__dict__.pop(computed, None)
        result.metric, result.comparison = metric, neural_metric(metric)
        result.name, result._suffix = f"{self.name.removesuffix(self.suffix)}{suffix}", suffix
        result.split_rule, result._origin = result._split_text(), self
        return result

    @property
    def suffix(self) -> str:
        return self._suffix

    def _split_text(self) -> str:
        if self.comparison.is_mapping:
            return str(self.rule)
        return f"all stimuli{f', grouped by {self.rule.groups}' if self.rule.groups else ''}"

    @cached_property
    def data(self) -> Bundle:
        """The bundle, loaded on first use."""
        return self._load() if self._origin is None else self._origin.data

    def fingerprint_parts(self) -> list[Any]:
        responses = self.responses
        columns = [responses.stimulus_ids, self._column(self.stratify), self._column(self.groups)]
        return [
            responses.mean,
            responses.repetitions,
            responses.weights,
            responses.time_bin,
            self.step_bin,
            *columns,
            self.rule.fixed,
            *([self.rule.ood] if self.rule.ood else []),
            *(one for one in (responses.subjects, responses.ceilings) if one is not None),
        ]

    @cached_property
    def responses(self) -> Responses:
        """Responses of the region, averaged and by repetition, in the stimulus order that splits index."""
        if self._origin is not None:
            return self._origin.responses
        tested = None
        if self.rule.fixed:  # as in the reference, the ceiling is that of the test stimuli
            tested = [*self.rule.fixed[1], *(one for _, ids in self.rule.ood for one in ids)]
        return self.load_responses(tested)

    def load_responses(self, repeated: Sequence[str] | None = None) -> Responses:
        """The responses, with the repetitions of the stimuli `repeated`; None: of all."""
        rule = self.rule
        options: Any = {"subject_by": rule.subject_by, "ceiling_by": rule.ceiling_by, "repeated": repeated}
        limits = dict(rule.keep_above)
        return self.data.responses(self.region, self.time_bin, rule.ignore, keep_above=limits, **options)

    @cached_property
    def ood(self) -> dict[str, NDArray[np.int64]]:
        """Positions of the stimuli of further test sets, by name."""
        ids = self.responses.stimulus_ids
        return {name: np.flatnonzero(np.isin(ids, own)) for name, own in self.rule.ood}

    @cached_property
    def splits(self) -> list[Split]:
        """Train and test indices, drawn once for all subjects; [] for a metric that compares all stimuli at once."""
        if not self.comparison.is_mapping:
            return []
        stimuli = len(self.responses.stimulus_ids)
        if self.rule.fixed:
            sides = [np.flatnonzero(np.isin(self.responses.stimulus_ids, ids)) for ids in self.rule.fixed]
            return fixed_splits(stimuli, [(sides[0], sides[1])])
        order = np.arange(stimuli)
        if self.comparison.splits_in_stimulus_order:
            order = np.argsort(self.stimuli.positions(list(self.responses.stimulus_ids)), kind="stable")
        stratify, groups = (
            None if values is None else values[order]
            for values in (self._column(self.stratify), self._column(self.groups))
        )
        drawn = make_splits(stimuli, stratify=stratify, groups=groups)
        return [(order[train], order[test]) for train, test in drawn]

    @cached_property
    def ceiling(self) -> Score | None:
        """The metric's ceiling from the repetitions; None if the responses are averaged already.

        With a fixed split it is that of the test stimuli.
        """
        return self.ceiling_of(None if not self.ood else self.splits[0][1] if self.splits else self.inside)

    @property
    def inside(self) -> NDArray[np.int64]:
        """Positions of the stimuli that are in no further test set."""
        return np.setdiff1d(
            np.arange(len(self.responses.stimulus_ids)), np.concatenate(list(self.ood.values()))
        )

    def ceiling_of(
        self, stimuli: NDArray[np.int64] | None, columns: NDArray[Any] | None = None
    ) -> Score | None:
        """The ceiling of some of the stimuli and neuroids; None: of all that have repetitions."""
        repetitions, weights = self.responses.repetitions, self.responses.weights
        stated = self.responses.ceilings
        if stated is not None and self.comparison.is_mapping:
            return stated_ceiling(stated if columns is None else stated[columns])
        if repetitions is None:
            return None
        if stimuli is not None:
            own = self.responses.repeated
            kept = stimuli if own is None else np.flatnonzero(np.isin(own, stimuli))
            repetitions = repetitions[:, kept]
            weights = None if weights is None else weights[:, kept]
        if columns is not None:
            repetitions = repetitions[:, :, columns]
            weights = None if weights is None else weights[:, :, columns]
        if not repetitions.shape[1]:
            return None

        def compute() -> dict[str, NDArray[Any]]:
            score = self.comparison.ceiling(repetitions, weights)
            return {"values": score.values, "notes": np.array(score.notes, str)}

        key = {"repetitions": repetitions, "weights": weights, "metric": self.metric}
        # Metrics are found by name, so nothing imports their modules.
        modules = [type(self.comparison).__module__]
        arrays = cached_arrays("ceilings", key, compute, modules) if self.data.identity else compute()
        return Score.of_splits(arrays["values"], notes=arrays["notes"].tolist())

    def sites(self, subject: Subject) -> list[Site]:
        if isinstance(self.area, Site):
            return [self.area]
        return [subject.site(self.area or self.region, self.step_bin)]

    def with_site(self, site: Site) -> "NeuralBenchmark":
        """Copy of the benchmark that compares this site of the subject."""
        self.prepare()
        result = copy.copy(self)
        result.area = site
        return result

    def exclusions(self) -> Sequence[str]:
        split = self.comparison.is_mapping or self.rule.groups
        return (*self.responses.notes, *(self.rule.notes if split else ()), *self.equal_images)

    @cached_property
    def equal_images(self) -> list[str]:
        """A note that counts the test stimuli whose image is in the training set too; [] if there are none."""
        keys = image_keys(self.stimuli, self.responses.stimulus_ids)
        shared = shared_images(self.splits, keys)
        tested = sum(len(test) for _, test in self.splits)
        return [
            f"{shared:,} of {tested:,} test stimuli show an image that is in the training set too, so the score is too "
            "high; group equal images by a column (--groups, or bundle.json)"
        ] * (shared > 0)

    def score(self, recording: Recording, subject: Subject) -> Score:
        """details: by_subject, a table, if the bundle names subjects; ood, {name: Score} of further test sets."""
        (site,) = self.sites(subject)
        features = rows_of(recording, site, self.stimuli, self.responses.stimulus_ids)
        score, further = self._compare(features)
        details = {**score.details, "metric": self.metric}
        if further:
            details["ood"] = further
        score = dataclasses.replace(score, details=details)
        if self.ceiling is None:
            note = "the responses are averaged already, so the ceiling is unknown and the value is raw"
            score = dataclasses.replace(score, notes=(*score.notes, note))
        return score

    def _compare(self, features: Any) -> tuple[Score, dict[str, Score]]:
        """The score on the scale of the benchmark, and those of further test sets."""
        mean, columns = self.responses.mean, self._column(self.groups)
        subjects = self.responses.subjects
        options: Any = {"groups": columns, "device": self.device}
        if not self.comparison.is_mapping and self.ood:
            sets = {"": self.inside, **self.ood}
            found = {}
            for name, rows in sets.items():
                own = {**options, "groups": None if columns is None else columns[rows]}
                raw = self.comparison.score_subjects(RowView(features, rows), mean[rows], [], subjects, **own)
                found[name] = self._scaled(raw, rows)
            return found.pop(""), found
        if self.comparison.has_suffix or not self.rule.fixed:
            fits = {"": self.splits, **{name: [(self.splits[0][0], test)] for name, test in self.ood.items()}}
            found = {}
            for name, splits in fits.items():
                raw = self.comparison.score_subjects(features, mean, splits, subjects, **options)
                if self.rule.fixed and splits:  # without predictions there is nothing to resample
                    note = "error: unknown, since there is one split"
                    raw = {
                        key: dataclasses.replace(one, n=len(splits[0][1]), error=math.nan).with_notes(note)
                        for key, one in raw.items()
                    }
                found[name] = self._scaled(raw, splits[0][1] if self.ood else None)
            return found.pop(""), found
        train, test = self.splits[0]
        joined = np.concatenate([test, *self.ood.values()])  # one mapping, tested on all sets
        raw = self.comparison.score_subjects(features, mean, [(train, joined)], subjects, **options)
        further = {name: self._scaled(self._on(raw, own), own) for name, own in self.ood.items()}
        return self._scaled(self._on(raw, test), test), further

    def _on(self, raw: Mapping[str, Score], test: NDArray[np.int64]) -> dict[str, Score]:
        """Scores by subject on a part of the test stimuli, with the error of a bootstrap over them."""
        found = {}
        for name, one in raw.items():
            mean = self.responses.mean[:, self.neuroids_of(name)]
            part = tested_on(one, mean, test)
            note = "error: bootstrap over test stimuli"
            found[name] = dataclasses.replace(part, error=bootstrap_error(part, mean)).with_notes(note)
        return found

    def neuroids_of(self, subject: str) -> NDArray[np.int64]:
        """Positions of the neuroids of a recorded subject, or of all for ""."""
        labels = self.responses.subjects
        return (
            np.flatnonzero(labels == subject)
            if labels is not None
            else np.arange(self.responses.mean.shape[1])
        )

    def _scaled(self, raw: Mapping[str, Score], stimuli: NDArray[np.int64] | None) -> Score:
        """Put raw scores by subject on the benchmark's scale. stimuli: those of the ceiling; None: all."""
        ceiling = self.ceiling if stimuli is None else self.ceiling_of(stimuli)
        if self.responses.subjects is None:
            score = raw[""]
            return score if ceiling is None else score.with_ceiling(ceiling, self.scale)
        columns = [self.neuroids_of(name) for name in raw]
        if ceiling is None:
            return combined(raw, math.nan, "raw", columns)
        scaled = {}
        for (name, one), own in zip(raw.items(), columns, strict=True):
            if ceiling.values.ndim == 2:
                limit = subject_ceiling(ceiling.values, own)
            else:  # of all neuroids together
                part = self.ceiling_of(stimuli, own)
                limit = math.nan if part is None else part.raw
            scaled[name] = one.with_ceiling(limit, self.scale)
        return combined(scaled, ceiling.raw, self.scale, columns).with_notes(*ceiling.notes)

    def prepare(self) -> None:
        self.responses, self.splits, self.ceiling  # noqa: B018

    def memory(self, width: int) -> int:
        """Bytes of the responses, twice (as loaded and by repetition), and of the comparison."""
        presentations, neuroids = self._response_shape()
        return 8 * 2 * presentations * neuroids + self.comparison.memory(len(self.stimuli), width)

    def describe_size(self) -> str:
        presentations, neuroids = self._response_shape()
        return f"{presentations:,} presentations to {neuroids:,} neuroids"

    def _response_shape(self) -> tuple[int, int]:
        """Numbers of presentations and neuroids of the region, without loading the responses."""
        assembly = self.data.assembly
        neuroids = assembly.sizes.get("neuroid", 1)
        if "region" in assembly.coords:
            neuroids = int((assembly.coords["region"].values.astype(str) == self.region).sum())
        return assembly.sizes["presentation"], neuroids

    def _column(self, name: str | None) -> NDArray[Any] | None:
        """Values of a stimulus column, in the order of `responses.stimulus_ids`; None for no name."""
        if name is None:
            return None
        table = self.responses.table
        if name not in table:
            raise CornetError(
                f"{self.name} splits stimuli by the column {name!r}, but the stimuli have the columns "
                f"{', '.join(map(str, table.columns))}; add it to stimulus_set.csv."
            )
        return categories(table[name], name, f"the table of stimuli of {self.name}", table["stimulus_id"])
