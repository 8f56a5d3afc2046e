"""Metrics that compare stimulus-by-stimulus matrices of features and of responses, over all stimuli at once."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.ceiling import checked_repetitions, weighted_mean
from cornet.brain.metrics.mapping.gram import MEMORY, as_matrix
from cornet.brain.metrics.neural.base import NeuralMetric
from cornet.brain.metrics.neural.complete_data import complete_data
from cornet.brain.metrics.neural.jackknife import jackknife_error, jackknife_groups, leave_out
from cornet.brain.metrics.predictivity import as_responses
from cornet.brain.metrics.splits import Split, half_splits, labels
from cornet.brain.score import Score
from cornet.errors import CornetError
from cornet.memory import first_that_fits

__all__ = ["Similarity"]

HALVINGS = 10

MIN_RELIABILITY = 0.5
"""Below it the ceiling is clearly too low, see `Similarity`."""

Matrix = TypeVar("Matrix")

Statistic = Callable[[NDArray[np.bool_]], float]
"""The similarity over some of the stimuli, given as a mask (stimulus,)."""


class Similarity(NeuralMetric):
    """The similarity of the features' and the averaged responses' geometry, without a mapping between them.

    Complete responses are needed: stimuli and neuroids without responses are left out as in `complete_data`.

    error: a jackknife over ten groups of stimuli (`jackknife_groups`), computed from parts of the same matrices.

    ceiling: the similarity c' of the mean responses in two random halves of the repetitions, with the Spearman-Brown
    correction c = 2 c' / (1 + c'); mean over ten halvings (those of `half_splits`), and its standard error.

    Derivation: the similarity is a correlation of the entries of two matrices. An entry of the brain's matrix is a
    signal, with variance s over pairs of stimuli, plus noise, with variance v for the mean of all repetitions. In two
    halves the noise is independent and has variance 2 v, so c' = s / (s + 2 v), and c = s / (s + v) is the reliability
    of the matrix of all repetitions. A perfect model has the signal alone: its similarity is s / sqrt(s (s + v)), which
    is sqrt(c). So the scales r^2/c, r/c and (r/c)^2 mean the same as for predictivity.

    Assumptions: the noise of an entry is linear in the noise of the responses, and does not distort both halves in the
    same way. Products of noise with noise break the first one: their variance falls with the square of the number of
    repetitions, so noisy data have a ceiling that is too low, and a perfect model exceeds sqrt(c). In simulations with
    Gaussian noise it did so by at most 2 % for c above .8, by 7 % for c from .5 to .8, and by 30 % at c = .1. A note is
    added below .5. The second one holds for CKA, and approximately for the correlations in an RDM.

    Spearman (1910) and Brown (1910), Br. J. Psychol. 3; geometries of noisy responses: Diedrichsen & Kriegeskorte
    (2017), PLoS Comput. Biol. 13, e1005508.
    """

    is_mapping = False
    min_stimuli: ClassVar[int] = 4
    min_neuroids: ClassVar[int] = 1

    @abstractmethod
    def matrix(self, patterns: Any, device: torch.device | str, memory: int) -> Any:
        """Compute the stimulus-by-stimulus matrix of (stimulus, feature), or of responses. memory: bytes for blocks."""

    @abstractmethod
    def part(self, matrix: Any, stimuli: NDArray[np.int64]) -> Any:
        """The matrix of some of the stimuli, as `matrix` would give it, up to constants that the comparison ignores."""

    @abstractmethod
    def comparison(self, a: Any, b: Any) -> Statistic:
        """Return the similarity of two matrices of the same stimuli as a function of the stimuli to use."""

    def used(self, features: Any, responses: Any) -> tuple[NDArray[np.bool_], list[str]]:
        """The stimuli that can be compared, (stimulus,), and notes on the others. features, responses: matrices."""
        return np.ones(len(features), bool), []

    def score(
        self,
        features: Any,
        responses: ArrayLike,
        splits: Sequence[Split] = (),
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> Score:
        """Compare features with responses over all stimuli. See `NeuralMetric.score`; splits are not used.

        The Score's values are (1,), the raw value; details have the values without each group (jackknife). If the
        similarity is undefined, since features or responses do not vary, it is NaN and a note states it.

        Raises CornetError for shapes that do not match, features that are not finite, and too few stimuli or neuroids.
        """
        features, answers = as_matrix(features), as_responses(responses)
        if features.shape[0] != len(answers):
            raise CornetError(
                f"features have {features.shape[0]} stimuli, but responses have {len(answers)}; provide one row per "
                "stimulus."
            )
        data = complete_data(np.isfinite(answers))
        stimuli = data.stimuli
        self.check_size(len(stimuli), len(data.neuroids))
        complete = answers[np.ix_(stimuli, data.neuroids)]

        def compare(memory: int) -> tuple[Statistic, NDArray[np.bool_], list[str]]:
            own = self.matrix(features, device, memory)
            own = own if len(stimuli) == len(own) else self.part(own, stimuli)
            brain = self.matrix(complete, device, memory)
            return self.comparison(own, brain), *self.used(own, brain)

        statistic, used, notes = first_that_fits(
            [partial(compare, MEMORY // part) for part in (1, 8, 64)],
            f"the comparison ({self.name}) of {len(stimuli):,} stimuli x {features.shape[1]:,} features on {device}",
        )
        raw = statistic(used)
        names = None if groups is None else labels(groups, len(answers), "groups")[stimuli]
        folds = jackknife_groups(len(stimuli), names)
        values = leave_out(lambda mask: statistic(mask & used), folds)
        if not np.isfinite(raw):
            notes = [
                *notes,
                f"{self.name} is undefined, as features or responses do not vary between stimuli",
            ]
        return Score(
            raw=raw,
            values=np.array([raw]),
            error=jackknife_error(values),
            n=int(used.sum()),
            notes=(*data.notes(answers.shape), *notes),
            details={"metric": self.name, "jackknife": values},
        )

    def ceiling(self, repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
        """The reliability of the matrix of the averaged responses. See `NeuralMetric.ceiling`, and the class.

        The Score's values are (halving,). Each halving leaves out stimuli and neuroids as `score` does, here those
        without responses in one half; notes count them.
        """
        array, counts = checked_repetitions(repetitions, weights)
        values = np.full(HALVINGS, np.nan)
        shown = np.isfinite(array).any(axis=0)
        lost_stimuli = lost_neuroids = 0
        for number, halves in enumerate(half_splits(len(array), HALVINGS)):
            a, b = (weighted_mean(array[half], None if counts is None else counts[half]) for half in halves)
            data = complete_data(np.isfinite(a) & np.isfinite(b))
            lost_stimuli += int(shown.any(axis=1).sum()) - len(data.stimuli)
            lost_neuroids += int(shown.any(axis=0).sum()) - len(data.neuroids)
            if len(data.stimuli) >= self.min_stimuli and len(data.neuroids) >= self.min_neuroids:
                part = np.ix_(data.stimuli, data.neuroids)
                one, other = (self.matrix(half[part], "cpu", MEMORY) for half in (a, b))
                half = self.comparison(one, other)(self.used(one, other)[0])
                values[number] = 2 * half / (1 + half) if half > -1 else np.nan
        notes = []
        stimuli, neuroids = (int(shown.any(axis=axis).sum()) for axis in (1, 0))
        if lost_stimuli:
            notes.append(
                f"ceiling: skipped {lost_stimuli} of {HALVINGS * stimuli} pairs of halving and stimulus without all "
                "responses in both halves"
            )
        if lost_neuroids:
            notes.append(
                f"ceiling: skipped {lost_neuroids} of {HALVINGS * neuroids} pairs of halving and neuroid without all "
                "responses in both halves"
            )
        if undefined := int(np.isnan(values).sum()):
            notes.append(f"ceiling: skipped {undefined} of {HALVINGS} halvings without a defined similarity")
        score = Score.of_splits(values, n=array.shape[1], notes=notes)
        if score.raw >= MIN_RELIABILITY or np.isnan(score.raw):
            return score
        return score.with_notes(
            f"ceiling: a reliability of {score.raw:.2f} is an underestimate, as all below {MIN_RELIABILITY}, so "
            "values on scales with a ceiling are too high"
        )

    def check_size(self, stimuli: int, neuroids: int) -> None:
        """Raise CornetError for too few stimuli or neuroids with complete responses."""
        if stimuli < self.min_stimuli or neuroids < self.min_neuroids:
            raise CornetError(
                f"{self.name} needs at least {self.min_stimuli} stimuli and {self.min_neuroids} neuroids without "
                f"missing responses, but there are {stimuli} and {neuroids}; use another metric, such as pls."
            )
