"""A metric of your own: a test response is predicted by the mean over the nearest training stimuli.

    python examples/own_metric.py

Once the class is defined, its name can be used wherever a metric is named in this program: cornet.score, BrainScore,
open_benchmarks. The commands know it if the file is in cornet/brain/metrics/neural.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

import cornet
from cornet import brain
from cornet.brain.metrics.neural.base import NeuralMetric
from cornet.brain.metrics.neural.registry import register
from cornet.brain.metrics.splits import Split
from cornet.brain.score import Score


@register("neighbours")
class Neighbours(NeuralMetric):
    """Pearson's r of measured responses and the mean over the five nearest training stimuli in the features."""

    summary = "mean response to the five nearest training stimuli"
    nearest = 5

    def score(
        self,
        features: Any,
        responses: ArrayLike,
        splits: Sequence[Split],
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> Score:
        features, responses = np.asarray(features, float), np.asarray(responses, float)
        values = []
        for train, test in splits:
            distances = torch.cdist(torch.from_numpy(features[test]), torch.from_numpy(features[train]))
            nearest = distances.argsort(dim=1)[:, : self.nearest].numpy()
            predicted, measured = responses[train][nearest].mean(axis=1), responses[test]
            pairs = zip(predicted.T, measured.T, strict=True)
            values.append([np.corrcoef(one, other)[0, 1] for one, other in pairs])
        return Score.of_splits(np.array(values), n=len(responses))

    def ceiling(self, repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
        return brain.internal_consistency(repetitions, weights=weights)


def main() -> None:
    for metric in ("neighbours", "pls"):
        (row,) = cornet.score("gabor", on=["simulated.V1"], metric=metric).itertuples()
        print(f"{metric}: {row.value:.3f} of a ceiling of 1 (r^2/c, a simulated brain)")


if __name__ == "__main__":
    main()
