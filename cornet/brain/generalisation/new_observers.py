"""New observers: people whose answers were not used for a fit; and new kinds of images for their answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.benchmarks.behaviour import (
    ConsistencyBenchmark,
    I2nBenchmark,
    picture_ids,
    stimulus_labels,
)
from cornet.brain.data.columns import categories
from cornet.brain.data.trials import HumanTrials
from cornet.brain.generalisation.new_kinds import kind_splits, texts
from cornet.brain.generalisation.rows import Measured, Row, over_people, row
from cornet.brain.metrics.choices.behaviour import i2n_ceiling
from cornet.brain.metrics.choices.class_choices import Choices
from cornet.brain.metrics.choices.consistency import error_consistency
from cornet.brain.metrics.choices.readout import readout_probabilities
from cornet.brain.subjects.subject import Recording, Subject
from cornet.errors import CornetError

__all__ = [
    "HalvedTrials",
    "consistency_kind",
    "consistency_kinds_of",
    "consistency_observers",
    "i2n_observers",
]

HALVINGS = 5
FOLDS = 10
MIN_OBSERVERS = 4


def consistency_observers(benchmark: ConsistencyBenchmark, subject: Subject, recording: Recording) -> Row:
    """Fit a read-out to the answers of half of the observers, and compare its choices with the other half.

    The read-out learns each image's most frequent answer, errors included (ties: the first in the alphabet; images
    without an answer and answers to fewer images than folds are not learned), and chooses for images of other folds (10
    folds; both versions of a picture are in one fold). Error consistency (Cohen's kappa) is that with each observer of
    the other half. Five random halvings are used in both directions.

    reference: a read-out fitted in the same way to the answers of the tested observers themselves. The drop is 0 if
    observers err alike. The ordinary row differs: its read-out is fitted to the objects, or follows ImageNet's classes.
    The ceiling is kappa among the tested observers. The interval is over observers.

    Raises CornetError for fewer than 4 observers.
    """
    answers, names, ids = benchmark._answers()
    if len(names) < MIN_OBSERVERS:
        raise CornetError(
            f"{benchmark.name} has {len(names)} observers, but two halves need at least {MIN_OBSERVERS}; add more."
        )
    labels = stimulus_labels(benchmark.data.assembly, ids)
    site = subject.readout_site()
    features = benchmark._rows(recording, site, ids)
    truth, condition = labels["truth"].to_numpy(str), labels["condition"].to_numpy(str)
    groups = picture_ids(ids, labels["condition"])
    rng = np.random.default_rng(0)
    kappas: list[dict[str, list[float]]] = [{}, {}]
    ceilings, scores = [], []
    for _ in range(HALVINGS):
        order = rng.permutation(len(names))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        choices = [learned(features, answers[half], groups, str(benchmark.device)) for half in halves]
        for one in (0, 1):
            test = halves[1 - one]
            for place, choice in enumerate((choices[one], choices[1 - one])):
                score = error_consistency(choice, answers[test], truth, condition, names[test])
                for name, value in zip(score.details["subjects"], score.values, strict=True):
                    kappas[place].setdefault(str(name), []).append(float(value))
                scores.append(score)
                ceilings.append(score.ceiling)
    ceiling = float(np.mean(ceilings))
    notes = tuple(note for note in scores[0].notes if "missing answers of the subjects" not in note)
    across, within = (
        over_people(
            np.array([np.nanmean(one[name]) for name in sorted(one)]), ceiling, "r/c", len(ids), notes
        )
        for one in kappas
    )
    return row(
        subject.name,
        benchmark.name,
        "new observers",
        across,
        site=str(site),
        fitted="answers of half of the observers, other images",
        tested="the other half",
        against="answers of the tested half, other images",
        reference=within,
    )


def learned(
    features: NDArray[Any], answers: NDArray[np.str_], groups: NDArray[np.str_], device: str
) -> Choices:
    """Choices (image,) of a read-out that learned the most frequent answers (observer, image) to other images."""
    frequent = np.array([most_frequent(column) for column in answers.T])
    known, counts = np.unique(frequent, return_counts=True)
    usable = known[(counts >= FOLDS) & (known != "")]
    if len(usable) < 2:
        raise CornetError(
            f"the observers give fewer than two answers to at least {FOLDS} images each, so a read-out cannot learn "
            "them; use more images."
        )
    rng = np.random.default_rng(0)
    pictures = rng.permutation(np.unique(groups))
    choice = np.empty(len(groups), dtype=answers.dtype)
    for fold in np.array_split(pictures, FOLDS):
        held = np.isin(groups, fold)
        fit = ~held & np.isin(frequent, usable)
        probabilities, objects = readout_probabilities(
            features[fit], frequent[fit], features[held], device=device
        )
        choice[held] = objects[probabilities.argmax(axis=1)]
    return Choices(
        choice, f"choices by a linear read-out of the observers' answers to other images ({FOLDS} folds)"
    )


def most_frequent(answers: NDArray[np.str_]) -> str:
    """The most frequent answer that is not ""; "" if all are missing."""
    given, counts = np.unique(answers[answers != ""], return_counts=True)
    return str(given[counts.argmax()]) if len(given) else ""


def consistency_kinds_of(benchmark: ConsistencyBenchmark, column: str) -> NDArray[np.str_]:
    """The kind of each stimulus, (stimulus,), in the order of the answers. Raises CornetError for an unknown column."""
    _, _, ids = benchmark._answers()
    labels = stimulus_labels(benchmark.data.assembly, ids)
    table = benchmark.stimuli.table.iloc[benchmark.stimuli.positions(list(ids))]
    source = labels if column in labels else table
    if column not in source:
        raise CornetError(
            f"the stimuli of {benchmark.name} have no column {column!r}; add it to stimulus_set.csv."
        )
    return categories(source[column], column, f"the table of stimuli of {benchmark.name}", ids)


def consistency_kind(
    benchmark: ConsistencyBenchmark,
    subject: Subject,
    recording: Recording,
    column: str,
    fitted: str,
    tested: str,
) -> Row:
    """Out of distribution: a read-out of the objects is fitted on one kind of images, and chooses for another kind.

    Folds and reference are as in `cornet.brain.generalisation.new_kinds.new_kind`. Versions of one picture are never on
    both sides. The raw value is error consistency with the observers over the images of the tested kind; the ceiling is
    that among the observers for these images. The interval is over observers.

    Raises CornetError as `new_kind`, and for an object that a training set lacks.
    """
    answers, names, ids = benchmark._answers()
    labels = stimulus_labels(benchmark.data.assembly, ids)
    kinds = consistency_kinds_of(benchmark, column)
    truth = labels["truth"].to_numpy(str)
    pictures = picture_ids(ids, labels["condition"])
    site = subject.readout_site()
    features = benchmark._rows(recording, site, ids)
    both = kind_splits(kinds, fitted, tested, pictures, pictures)
    shown = np.flatnonzero(kinds == tested)
    found = []
    for splits in both:
        choice = np.full(len(ids), "", dtype=truth.dtype)
        for train, test in splits:
            p, objects = readout_probabilities(
                features[train], truth[train], features[test], device=str(benchmark.device)
            )
            choice[test] = objects[p.argmax(axis=1)]
        score = error_consistency(choice[shown], answers[:, shown], truth[shown], None, names)
        notes = tuple(note for note in score.notes if "missing answers of the subjects" not in note)
        found.append(over_people(score.values, score.ceiling, "r/c", len(shown), notes))
    where = texts(column, fitted, tested, both[0])
    return row(
        subject.name, benchmark.name, "new kind", found[0], site=str(site), reference=found[1], **where
    )


class HalvedTrials(HumanTrials):
    """Trials whose halves are of different observers. observers: (trial,) who made each choice, as names.

    Raises CornetError for fewer than 4 observers.
    """

    def __init__(self, trials: HumanTrials, observers: NDArray[np.str_], name: str) -> None:
        self.__dict__.update({key: value for key, value in vars(trials).items() if key != "halves"})
        who = np.unique(observers)
        if len(who) < MIN_OBSERVERS:
            raise CornetError(
                f"{name} has {len(who)} observers, but two halves need at least {MIN_OBSERVERS}; add more."
            )
        rng = np.random.default_rng(0)
        halves = []
        for _ in range(HALVINGS):
            first = np.isin(observers, rng.permutation(who)[: len(who) // 2])
            pair = self.dprime(np.flatnonzero(first)), self.dprime(np.flatnonzero(~first))
            halves += [pair, pair[::-1]]
        self.__dict__["halves"] = halves


def i2n_observers(benchmark: I2nBenchmark, subject: Subject, recording: Recording, ordinary: Measured) -> Row:
    """Compare i2n with half of the observers; the ceiling is the agreement with the other half.

    The ordinary ceiling compares two halves of the trials, in both of which every observer may have trials, so it
    contains what is peculiar to an observer. Here the halves are of different observers (five halvings, both
    directions): a model is measured against what people have in common. The read-out is fitted to the objects, never to
    the choices. reference: the ordinary score; the drop has no interval, since the trials are not the same.

    Raises CornetError if the choices do not name their observers, and for fewer than 4.
    """
    observers = benchmark.data.observers
    if observers is None:
        raise CornetError(
            f"the choices of {benchmark.name} do not say who made them; add the coordinate subject to the assembly."
        )
    halved = HalvedTrials(benchmark.data.trials, observers, benchmark.name)
    raw = benchmark.compared(recording, subject, halved)
    score = raw.with_ceiling(i2n_ceiling(halved), benchmark.scale)
    return row(
        subject.name,
        benchmark.name,
        "new observers",
        Measured(score, np.empty(0)),
        site=str(subject.readout_site()),
        fitted="the objects",
        tested="half of the observers",
        against="ordinary",
        reference=ordinary,
    )
