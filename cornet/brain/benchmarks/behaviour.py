"""Behavioural benchmarks: i2n for choices between two objects, error consistency for choices among many."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import Benchmark, rows_of
from cornet.brain.data.bundle import Bundle
from cornet.brain.data.columns import categories, check_one_value, check_spelling
from cornet.brain.data.trials import HumanTrials
from cornet.brain.metrics.choices.behaviour import i2n, i2n_ceiling
from cornet.brain.metrics.choices.class_choices import IMAGENET_CLASSES, mapped_choices, readout_choices
from cornet.brain.metrics.choices.consistency import choices_by_subject, error_consistency
from cornet.brain.metrics.choices.readout import held_out_probabilities, readout_probabilities
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["ConsistencyBenchmark", "HumanChoices", "I2nBenchmark", "human_choices", "trials_of"]

LOGITS = "logits"


@dataclass(frozen=True, eq=False)
class HumanChoices:
    """Stimuli, and human choices between two objects for each. observers: (trial,), who chose; None: unknown."""

    stimuli: StimulusSet
    trials: HumanTrials
    observers: NDArray[np.str_] | None = None


class I2nBenchmark(Benchmark[HumanChoices]):
    """i2n of a read-out of the subject's readout site (Rajalingham et al. 2018).

    held_out: False, as published: the read-out is fitted and tested on the same images. True: 10-fold cross-validation,
    stratified by object.
    """

    def __init__(
        self,
        name: str,
        description: str,
        load: Callable[[], HumanChoices],
        *,
        held_out: bool = False,
        **options: Any,
    ) -> None:
        rule = (
            "read-out fitted on other images (10 folds)" if held_out else "read-out fitted on the same images"
        )
        super().__init__(name, "behaviour", description, load, scale="r/sqrt(c)", split_rule=rule, **options)
        self.held_out = held_out

    def fingerprint_parts(self) -> list[NDArray[Any]]:
        return self.data.trials.as_arrays()

    @cached_property
    def ceiling(self) -> Score:
        return i2n_ceiling(self.data.trials)

    def sites(self, subject: Subject) -> list[Site]:
        return [subject.readout_site()]

    def exclusions(self) -> list[str]:
        return self.missing_note(self.data.trials.stimulus_ids, "trials")

    def score(self, recording: Recording, subject: Subject) -> Score:
        return self.compared(recording, subject, self.data.trials).with_ceiling(self.ceiling, self.scale)

    def compared(self, recording: Recording, subject: Subject, trials: HumanTrials) -> Score:
        """The raw score on these trials of the benchmark's stimuli."""
        ids = trials.stimulus_ids
        view = rows_of(recording, subject.readout_site(), self.stimuli, ids)
        features = np.asarray(view[:, : view.shape[1]])
        truth = trials.objects[trials.truth]
        device = str(self.device)
        if self.held_out:
            probabilities, choices = held_out_probabilities(features, truth, device=device)
        else:
            probabilities, choices = readout_probabilities(features, truth, features, device=device)
        return i2n(probabilities, choices, ids, trials)


class ConsistencyBenchmark(Benchmark[Bundle]):
    """Error consistency with observers who name one of several objects (Geirhos et al. 2020).

    The choices of ImageNet networks follow the published mapping of classes to 16 categories; those of other subjects
    come from a cross-validated read-out.
    """

    def __init__(self, name: str, description: str, load: Callable[[], Bundle], **options: Any) -> None:
        super().__init__(name, "behaviour", description, load, scale="r/c", split_rule="none", **options)

    def fingerprint_parts(self) -> list[NDArray[Any]]:
        answers, names, ids = self._answers()
        labels = stimulus_labels(self.data.assembly, ids)
        return [answers, names, ids, *(labels[name].to_numpy(str) for name in ("truth", "condition"))]

    def sites(self, subject: Subject) -> list[Site]:
        sites = [subject.readout_site()]
        if Site(LOGITS) in subject.sites() or hasattr(subject, "module"):
            sites.append(Site(LOGITS))
        return sites

    def exclusions(self) -> list[str]:
        return self.missing_note(self.data.assembly.coords["stimulus_id"].values, "answers")

    def score(self, recording: Recording, subject: Subject) -> Score:
        answers, names, ids = self._answers()
        labels = stimulus_labels(self.data.assembly, ids)
        sites = self.sites(subject)
        if len(sites) == 2 and recording[sites[1]].shape[1] == IMAGENET_CLASSES:
            logits = torch.from_numpy(self._rows(recording, sites[1], ids)).double()
            model = mapped_choices(logits.softmax(dim=1).numpy())
        else:
            groups = picture_ids(ids, labels["condition"])
            model = readout_choices(
                self._rows(recording, sites[0], ids), labels["truth"], groups=groups, device=str(self.device)
            )
        return error_consistency(
            model, answers, labels["truth"].to_numpy(), labels["condition"].to_numpy(), names
        )

    def _answers(self) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.str_]]:
        """Answers (subject, stimulus), subject names, stimulus ids."""
        coordinates = self.data.assembly.coords
        return choices_by_subject(
            coordinates["stimulus_id"].values, coordinates["subject"].values, self.data.assembly.values
        )

    def _rows(self, recording: Recording, site: Site, ids: NDArray[Any]) -> NDArray[Any]:
        view = rows_of(recording, site, self.stimuli, ids)
        return np.asarray(view[:, : view.shape[1]])


def stimulus_labels(assembly: xr.DataArray, ids: NDArray[Any]) -> pd.DataFrame:
    """Columns truth and condition for stimuli `ids`. Raises CornetError if a stimulus has two values of either."""
    coordinates = assembly.coords
    if "truth" not in coordinates:
        raise CornetError(
            f"the assembly {assembly.name} has no coordinate truth with the object of each stimulus; add it."
        )
    where = f"the assembly {assembly.name}"
    columns = {
        name: categories(coordinates[name].values, name, where, coordinates["stimulus_id"].values)
        for name in ("truth", "condition")
        if name in coordinates
    }
    columns.setdefault("condition", np.full(len(coordinates["stimulus_id"]), ""))
    for name, values in columns.items():
        check_one_value(coordinates["stimulus_id"].values, values, name, f"the assembly {assembly.name}")
    table = pd.DataFrame({"stimulus_id": coordinates["stimulus_id"].values.astype(str), **columns})
    return table.drop_duplicates("stimulus_id").set_index("stimulus_id").loc[list(ids)].reset_index()


def picture_ids(ids: NDArray[Any], conditions: pd.Series) -> NDArray[np.str_]:
    """Ids without the condition, as edge_airplane1 and silhouette_airplane1 show the same airplane."""
    return np.array([str(i).replace(c, "") if c else str(i) for i, c in zip(ids, conditions, strict=True)])


def human_choices(bundle: Bundle) -> HumanChoices:
    """The stimuli and the choices of a bundle. Raises CornetError as `trials_of` does."""
    assembly = bundle.assembly
    observers = None
    if "subject" in assembly.coords:
        observers = categories(assembly.coords["subject"].values, "subject", f"the assembly {assembly.name}")
    return HumanChoices(bundle.stimuli, trials_of(assembly), observers)


def trials_of(assembly: xr.DataArray) -> HumanTrials:
    """Read binary choices in brainscore's layout: the values are choices between the coordinates sample_obj and
    dist_obj. Raises CornetError for a missing coordinate."""
    columns = {}
    for name, spellings in {
        "sample": ("sample_obj", "sample", "truth"),
        "distractor": ("dist_obj", "distractor"),
    }.items():
        coordinate = next((spelling for spelling in spellings if spelling in assembly.coords), None)
        if coordinate is None:
            raise CornetError(
                f"the assembly {assembly.name} needs one of the coordinates {', '.join(spellings)} for every trial; "
                "add it."
            )
        columns[name] = assembly.coords[coordinate].values
    check_spelling(["choice"], map(str, assembly.coords), f"the assembly {assembly.name}")
    choice = assembly.coords["choice"].values if "choice" in assembly.coords else assembly.values
    ids = assembly.coords["stimulus_id"].values.astype(str)
    return HumanTrials(
        pd.DataFrame({"stimulus_id": ids, **columns, "choice": np.asarray(choice).reshape(-1)})
    )
