"""Map the states of a stage to the responses of neuroids, as a module that gradients pass.

Ridge regression with a penalty for each neuroid, chosen by inner cross-validation, is exact and fast: it is fitted from
the Gram matrix of the states. How well it predicts images that it was not fitted to is measured beside it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.brain.metrics.correlation import missing_patterns
from cornet.brain.metrics.mapping.gram import column_blocks, gram_matrix
from cornet.brain.metrics.resampling import weighted_correlations
from cornet.brain.neuron.estimators import inner_folds, predict
from cornet.brain.neuron.kernel_ridge import TrainingSet
from cornet.brain.neuron.layers import Layer
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError

__all__ = ["FittedMapping", "LinearMapping", "check_held_out", "fit_ridge", "held_out_r", "training_moments"]


@dataclass(frozen=True, eq=False)
class FittedMapping:
    """A mapping that was fitted to all images.

    module: states (image, ...) to predicted responses (image, neuroid), in their unit. r: (neuroid,), Pearson's r of
    cross-validated predictions and responses; NaN for a constant side. held_out: (image, neuroid), those predictions
    minus the mean response of their training images; NaN where there is none. penalties: (neuroid,). method: for the
    page. space: (neuroid, y, x), the weights of positions of a factorised mapping.
    """

    module: nn.Module
    r: NDArray[np.float64]
    held_out: NDArray[np.float64] = field(repr=False)
    penalties: NDArray[np.float64]
    method: str
    space: NDArray[np.float64] | None = None

    def subset(self, keep: NDArray[np.int64]) -> "FittedMapping":
        """What is known of some neuroids; the module still predicts all."""
        space = None if self.space is None else self.space[keep]
        return replace(
            self, r=self.r[keep], held_out=self.held_out[:, keep], penalties=self.penalties[keep], space=space
        )


class LinearMapping(nn.Module):
    """weights: (feature, neuroid). bias: (neuroid,). States are flattened to (image, feature)."""

    weights: Tensor
    bias: Tensor

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.register_buffer("bias", bias)

    def forward(self, states: Tensor) -> Tensor:
        """(image, ...) to (image, neuroid)."""
        return states.flatten(1) @ self.weights + self.bias


def fit_ridge(
    features: Any,
    responses: NDArray[np.float64],
    folds: NDArray[np.int64],
    groups: NDArray[Any] | None = None,
    device: torch.device | str = "cpu",
) -> FittedMapping:
    """Ridge regression of each neuroid on the features.

    features: (image, feature), read in blocks. responses: (image, neuroid), NaN where missing. folds: (image,), of the
    cross-validation that `r` comes from. groups: (image,), images of a group stay in one inner fold. The penalty of a
    neuroid is the one of 21 with the smallest error over ten inner folds.
    """
    device = torch.device(device)
    gram = gram_matrix(features, device).cpu()
    layer = Layer(Site("states"), features.shape[1], gram.numpy())
    held_out = predict(layer, responses, folds, "kernel_ridge", "folds", groups).values
    inner = inner_folds(folds, groups)
    images, neuroids = responses.shape
    weights, means = np.zeros((images, neuroids)), np.zeros(neuroids)
    penalties, shares = np.full(neuroids, np.nan), np.zeros((images, neuroids))
    for present, members in missing_patterns(responses):
        rows = np.flatnonzero(present)
        if len(rows) < 2:
            continue
        known = responses[np.ix_(rows, members)]
        means[members], shares[np.ix_(rows, members)] = known.mean(axis=0), 1 / len(rows)
        training = TrainingSet(gram, rows)
        if not training.constant:
            fitted = training.weights(known, inner[rows])
            weights[np.ix_(rows, members)], penalties[members] = (one.numpy() for one in fitted)
    own, spread = torch.from_numpy(weights).to(device), torch.from_numpy(shares).to(device)
    blocks, offsets = [], torch.zeros(neuroids, dtype=torch.float64, device=device)
    for block in column_blocks(features, device):
        blocks.append(block.T @ own)
        offsets += ((block.T @ spread) * blocks[-1]).sum(dim=0)
    bias = torch.from_numpy(means).to(device) - offsets
    module = LinearMapping(torch.cat(blocks).float(), bias.float())
    r = held_out_r(held_out, responses)
    return FittedMapping(module, r, held_out, penalties, "ridge, its penalty chosen by ten inner folds")


def held_out_r(predictions: NDArray[np.float64], responses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each neuroid, (neuroid,), over the images that have both; NaN if a side is constant."""
    r: NDArray[np.float64] = weighted_correlations(predictions, responses, np.ones((1, len(responses))))[0]
    return r


def training_moments(responses: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each neuroid's responses, (neuroid,), NaN skipped."""
    return np.nanmean(responses, axis=0), np.nanstd(responses, axis=0)


def check_held_out(names: NDArray[np.str_], r: NDArray[np.float64], force: bool = False) -> None:
    """Refuse neuroids that the mapping does not predict.

    names, r: (neuroid,), of those to be driven. Raises CornetError for the first with an r below 0 or without one,
    unless `force`.
    """
    wrong = np.flatnonzero(~(r >= 0))
    if not len(wrong) or force:
        return
    first = int(wrong[0])
    value = (
        f"is {r[first]:.2f}, below 0" if np.isfinite(r[first]) else "does not exist (constant predictions)"
    )
    more = f" ({len(wrong)} such neuroids)" if len(wrong) > 1 else ""
    raise CornetError(
        f"the mapping does not predict the neuroid {names[first]}: r of held-out images {value}{more}; choose other "
        "neuroids or --layers, or repeat with --force."
    )
