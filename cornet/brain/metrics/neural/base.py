"""The interface of metrics that compare features with the responses of neuroids."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.splits import Split
from cornet.brain.score import Score

__all__ = ["NeuralMetric"]


class NeuralMetric(ABC):
    """A comparison of features with responses, and its ceiling. `cornet.brain.metrics.neural.registry` has an example.

    name: given by `register`. summary: one line for lists. is_mapping: True if it fits a mapping on the training
    stimuli of each split and tests it on the others; False if it compares all stimuli at once. The benchmarks of the
    latter have the metric's name as a suffix (my-bundle.V4-cka), and layers are chosen without principal components.
    predicts_neuroids: False for a mapping whose values are not (split, neuroid) with predictions of the responses; its
    benchmarks have the suffix too.
    splits_in_stimulus_order: True if random splits are drawn in the order of the stimulus set, not of the responses.
    rotation_invariant: True if a rotation of the features changes no prediction, so that all principal components are
    as good as the features.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    is_mapping: ClassVar[bool] = True
    predicts_neuroids: ClassVar[bool] = True
    splits_in_stimulus_order: ClassVar[bool] = False
    rotation_invariant: ClassVar[bool] = False

    @property
    def has_suffix(self) -> bool:
        """Whether benchmarks have the metric's name as a suffix even if it is the only one."""
        return not (self.is_mapping and self.predicts_neuroids)

    @abstractmethod
    def score(
        self,
        features: Any,
        responses: ArrayLike,
        splits: Sequence[Split],
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> Score:
        """Return a raw Score, whose notes count what is left out.

        features: (stimulus, feature) real numbers, as in `neural_predictivity`. responses: (stimulus, neuroid),
        averaged over repetitions, NaN where missing. splits: positions of training and test stimuli; [] if not
        `is_mapping`. groups: (stimulus,), labels of stimuli that belong together, such as frames of a movie; None: no
        groups. device: where to compute.

        Raises CornetError for shapes that do not match, features that are not finite, and too few stimuli.
        """

    def score_subjects(
        self,
        features: Any,
        responses: NDArray[np.float64],
        splits: Sequence[Split],
        subjects: NDArray[np.str_] | None,
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> dict[str, Score]:
        """Return a raw Score for each recorded subject, fitted on its neuroids alone, sorted by name.

        subjects: (neuroid,), the subject of each; None: all are of one, whose name is "". Others: as in `score`.
        A metric with a mapping may override this to share work between subjects.
        """
        if subjects is None:
            return {"": self.score(features, responses, splits, groups=groups, device=device)}
        return {
            str(name): self.score(
                features, responses[:, subjects == name], splits, groups=groups, device=device
            )
            for name in np.unique(subjects)
        }

    @abstractmethod
    def ceiling(self, repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
        """Return a raw Score c of which a perfect model reaches the square root: the reliability of the averaged data.

        repetitions: (repetition, stimulus, neuroid), NaN where missing. weights: same shape, the number of
        presentations averaged into each response; None: one each.

        Raises CornetError for the wrong shape and for fewer than two repetitions.
        """

    def memory(self, stimuli: int, width: int) -> int:
        """Minimum bytes of `score`, without features and responses. width: number of features."""
        return 2 * 8 * min(width, stimuli) ** 2
