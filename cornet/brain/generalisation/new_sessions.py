"""New animals or sessions: what was fitted on one session is tested on another."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.generalisation.neural_case import Columns, NeuralCase
from cornet.brain.generalisation.new_neuroids import scored
from cornet.brain.generalisation.rows import Row
from cornet.brain.metrics.splits import Split
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["Session", "new_mapping", "new_site", "parts", "session_pairs"]

MIN_SHARED = 20
"""Minimum number of stimuli that two sessions must share."""


@dataclass(frozen=True, eq=False)
class Session:
    """The neuroids of a session or an animal. columns: their positions among those of the case."""

    name: str
    case: NeuralCase
    columns: Columns = field(repr=False)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Averaged responses, (stimulus, neuroid)."""
        return self.case.mean[:, self.columns]


def parts(case: NeuralCase, coordinate: str | None) -> list[Session]:
    """The sessions of a case: one for each value of a coordinate of its neuroids; None: a single one.

    Raises CornetError for an unknown coordinate.
    """
    benchmark = case.benchmark
    if coordinate is None:
        return [
            Session(benchmark.name.removesuffix(f".{benchmark.region}"), case, np.arange(case.mean.shape[1]))
        ]
    coordinates = benchmark.data.assembly.coords
    known = [str(name) for name, one in coordinates.items() if one.dims == ("neuroid",)]
    if coordinate not in known:
        raise CornetError(
            f"the neuroids of {benchmark.name} have no coordinate {coordinate!r}; choose one of {', '.join(known)}."
        )
    values = coordinates[coordinate].values.astype(str)
    if "region" in coordinates:
        values = values[coordinates["region"].values.astype(str) == benchmark.region]
    return [
        Session(f"{coordinate} {value}", case, np.flatnonzero(values == value)) for value in np.unique(values)
    ]


def session_pairs(sessions: list[Session]) -> list[tuple[Session, Session]]:
    """Ordered pairs of sessions of one region."""
    return [
        (a, b)
        for a in sessions
        for b in sessions
        if a is not b and a.case.benchmark.region == b.case.benchmark.region
    ]


def new_site(a: Session, b: Session) -> Row:
    """Choose the site on session a, and score it on session b: the sessions need not share images.

    Both use the ordinary splits of their own stimuli. reference: the best site for session b itself. The ceiling is
    that of session b. Raises CornetError for a model with one site.
    """
    if len(b.case.candidates) < 2:
        raise CornetError(
            "the model has one site, so no choice is made on a session; use a model with several."
        )
    site, best = a.case.best_site(a.columns), b.case.best_site(b.columns)
    measured, reference = (scored(b.case, one, b.columns) for one in (site, best))
    return b.case.row(
        "new session, site",
        measured,
        site=site,
        fitted=f"site chosen on {a.name}",
        tested=b.name,
        against=f"the best site of {b.name}, {best}",
        reference=reference,
    )


def new_mapping(a: Session, b: Session) -> list[Row]:
    """Carry a fitted model from session a to session b, and predict session b from session a without a model.

    All three fits use the stimuli of b whose images were also shown in a, with the ordinary splits of b, and b's site:

    * new session, mapping: the model is fitted to the neuroids of a on the training images. A second mapping, from the
      recorded neuroids of a to those of b, is fitted on the same images. The predicted responses of a to the test
      images go through it, and are compared with b. The model is never fitted to b.
    * session predicts session: the same second mapping, from the recorded responses of a to the test images. This is
      how well a brain predicts a brain; it is limited by the noise and the number of neuroids of a too.
    * reference of both: the model fitted to b.

    The ceiling is that of b over these stimuli. Images are compared by their pixels, not by their ids; responses of a
    to equal images are averaged.

    Raises CornetError if the sessions share fewer than 20 stimuli, and if no neuroid of a has responses to all of them.
    """
    shared, recorded = recorded_in(a, b)
    case = b.case
    position = np.full(len(b.mean), -1)
    position[shared] = np.arange(len(shared))
    splits = [
        (position[train][position[train] >= 0], position[test][position[test] >= 0])
        for train, test in case.benchmark.splits
    ]
    splits = [(train, test) for train, test in splits if len(train) >= 2 and len(test) >= 2]
    if not splits:
        raise CornetError(
            f"{a.name} and {b.name} share {len(shared)} images, but all are on one side of the splits; use other "
            "splits."
        )
    responses = b.mean[shared]
    features = case.features(case.site)
    features = np.asarray(features[:, : features.shape[1]])[shared]
    ceiling = case.ceiling(shared, b.columns)
    direct, brain, carried = (
        case.measured(score, ceiling, columns=b.columns, stimuli=shared)
        for score in (
            case.fit(features, responses, splits),
            case.fit(recorded, responses, splits),
            carry(case, features, recorded, responses, splits),
        )
    )
    common: dict[str, Any] = {
        "tested": b.name,
        "against": f"the model fitted to {b.name} on these images",
        "reference": direct,
    }
    used = f"{recorded.shape[1]} neuroids of {a.name}"
    return [
        case.row("new session, mapping", carried, fitted=f"the model to {used}", **common),
        case.row("session predicts session", brain, fitted=used, **{**common, "site": ""}),
    ]


def recorded_in(a: Session, b: Session) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of b's stimuli that were shown in a, and a's responses to them (stimulus, neuroid), without NaN.

    Neuroids of a that lack a response are left out. Raises CornetError as `new_mapping`."""
    names, inverse = np.unique(a.case.keys, return_inverse=True)
    where = np.searchsorted(names, b.case.keys)
    where[where == len(names)] = 0
    shared = np.flatnonzero(names[where] == b.case.keys)
    if len(shared) < MIN_SHARED:
        raise CornetError(
            f"{len(shared) or 'no'} images are shared with {a.name}, but a map between two recordings needs "
            f"{MIN_SHARED}; only the choice of the site can be tested."
        )
    valid = np.isfinite(a.mean)
    total = np.zeros((len(names), a.mean.shape[1]))
    count = np.zeros_like(total)
    np.add.at(total, inverse, np.where(valid, a.mean, 0.0))
    np.add.at(count, inverse, valid)
    with np.errstate(invalid="ignore"):
        recorded = (total / count)[where[shared]]
    complete = np.isfinite(recorded).all(axis=0)
    if not complete.any():
        raise CornetError(
            f"no neuroid of {a.name} has responses to all {len(shared)} images that it shares with {b.name}."
        )
    return shared, recorded[:, complete]


def carry(
    case: NeuralCase,
    features: NDArray[Any],
    recorded: NDArray[np.float64],
    responses: NDArray[np.float64],
    splits: list[Split],
) -> Score:
    """Features to one session's neuroids, and those to the other session's.

    features: (stimulus, feature). recorded: (stimulus, neuroid of a). responses: (stimulus, neuroid of b)."""
    first = case.fit(features, recorded, splits)
    scores = []
    for (train, test), predicted in zip(splits, first.details["predictions"], strict=True):
        # Predictions have the mean of the training responses subtracted.
        inputs = recorded.copy()
        inputs[test] = predicted + recorded[train].mean(axis=0)
        inputs = inputs[:, np.isfinite(inputs).all(axis=0)]
        scores.append(case.fit(inputs, responses, [(train, test)]))
    values = np.concatenate([score.values for score in scores])
    details: dict[str, Any] = {
        name: [score.details[name][0] for score in scores] for name in ("tests", "predictions")
    }
    found = Score.of_splits(values, n=first.n, details={**scores[0].details, **details})
    left = [note for score in scores for note in score.notes if not note.endswith("not in any split")]
    return dataclasses.replace(found, notes=tuple(dict.fromkeys(left)))
