"""Neural predictivity: how well a subject's features predict each neuroid's responses to held-out stimuli.

Yamins et al. (2014), Schrimpf et al. (2018, 2020). The scores equal those of brainscore-vision 2.4.2.
"""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cornet.brain.data.responses import check_responses, missing_notes
from cornet.brain.metrics.correlation import missing_patterns
from cornet.brain.metrics.mapping.gram import MEMORY, PRECISIONS, as_matrix
from cornet.brain.metrics.mapping.mappings import Mapping, best_unit_correlations
from cornet.brain.metrics.mapping.pls import COMPONENTS
from cornet.brain.metrics.mapping.ridge_cv import Choice, as_penalties, choose_penalties
from cornet.brain.metrics.splits import Split, make_splits
from cornet.brain.score import Score
from cornet.errors import CornetError, check_choice
from cornet.memory import first_that_fits

__all__ = ["METRICS", "Metric", "neural_predictivity"]

Metric = Literal["pls", "ridge", "ridgecv", "linear", "neuron_to_neuron"]
AlphaPer = Literal["all", "subject", "neuroid"]
METRICS: tuple[str, ...] = get_args(Metric)


def neural_predictivity(
    features: Any,
    responses: ArrayLike,
    metric: Metric = "pls",
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    *,
    components: int = COMPONENTS,
    alpha: float = 1.0,
    alphas: str | ArrayLike | None = None,
    alpha_per: AlphaPer = "all",
    subjects: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    device: torch.device | str = "cpu",
    precision: str = "float64",
    memory: int = MEMORY,
) -> Score:
    """Fit a mapping on the training stimuli of each split and correlate its predictions with the test responses.

    features: (stimulus, feature) real numbers: an array, a memory map or a tensor, read once in blocks of columns. If
        there are more features than stimuli, only their Gram matrix is stored.
    responses: (stimulus, neuroid), averaged over repetitions; NaN where missing. Each neuroid is fitted on the stimuli
        for which it has responses.
    metric: "pls" (25 components, the reference's unconverged iteration), "ridge" (penalty `alpha`), "ridgecv" (penalty
        chosen from `alphas` by leave-one-out on each training set, as the reference's `ridgecv_split`; its registered
        `ridge_cv` is "ridge"), "linear" (least squares), "neuron_to_neuron" (the training set's best single feature).
    alphas: candidates of ridgecv: numbers, or the list "standard" (99 penalties; None), "reduced" (23) or "powers"
        (21), see `cornet.brain.metrics.mapping.ridge_cv`. They are absolute, and features are not scaled.
    alpha_per: what ridgecv chooses a penalty for: "all" neuroids together, by the mean squared error in their own
        units, so that loud neuroids weigh most; each "subject", which `subjects` (neuroid,) names; or each "neuroid".
    stratify, groups, splits, train_fraction, seed: see `cornet.brain.metrics.splits.make_splits`.
    targets: (neuroid,), labels: only neuroids with equal labels are fitted together by pls, whose directions depend on
        all of them; None: all. Other mappings fit each neuroid alone.
    precision: dtype of the Gram matrix products, "float64" or "float32"; everything else is float64. At 2,560 x 25,088
        float32 changed correlations by at most 4e-9 (pls) and 1e-6 (ridge), and at 3,200 by 1.0e-6 (pls).
    memory: bytes for blocks of features, in addition to the inputs and a few stimuli x stimuli matrices. If memory is
        short, smaller blocks are used.

    Returns a raw Score: values (split, neuroid) are Pearson's r over the test stimuli, raw their median over neuroids,
    averaged over splits; error the standard deviation (ddof 0) of the medians over sqrt(splits). Undefined values (a
    neuroid without responses, or constant in a training or test set) are NaN, and notes count them. details: tests, the
    test stimuli of each split, and predictions, (test stimulus, neuroid) for each split, up to a constant per neuroid;
    and of ridgecv alphas, the chosen penalties (split, neuroid); a note counts those at an end of the list.

    Raises CornetError for shapes that do not match, features that are not finite, too few stimuli, and unknown options;
    OutOfMemory if even small blocks do not fit.
    """
    check_choice("metric", metric, METRICS)
    check_choice("precision", precision, PRECISIONS)
    features, answers = as_pair(features, responses)
    stimuli = len(answers)
    pairs = make_splits(
        stimuli, stratify=stratify, groups=groups, splits=splits, train_fraction=train_fraction, seed=seed
    )
    target = torch.device(device)
    penalties, sharing = as_penalties(alphas), sharing_of(alpha_per, subjects, answers.shape[1])
    choices: list[Choice] = []

    predictions = [np.full((len(test), answers.shape[1]), math.nan) for _, test in pairs]

    def compare(block_memory: int) -> tuple[NDArray[np.float64], int, int]:
        if metric == "neuron_to_neuron":
            found = best_unit_correlations(features, answers, pairs, target, block_memory, predictions)
            return found, 0, 0
        if metric == "ridgecv":
            given = (features, answers, pairs, sharing, penalties, target, block_memory, predictions)
            choices[:] = [choose_penalties(*given)]
            return choices[0].values, 0, 0
        mapping = Mapping(features, metric, components, alpha, target, precision, block_memory)
        parts = [np.arange(answers.shape[1])]
        if targets is not None and metric == "pls":
            kinds = neuroid_labels(targets, "targets", answers.shape[1])
            parts = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
        return _correlate(mapping, answers, pairs, predictions, parts)

    values, used, rank = first_that_fits(
        [partial(compare, memory // part) for part in (1, 8, 64)],
        f"the comparison ({metric}) of {stimuli:,} stimuli x {features.shape[1]:,} features with "
        f"{answers.shape[1]:,} neuroids on {target}",
    )
    drawn = np.zeros(stimuli, bool)
    for train, test in pairs:
        drawn[train] = drawn[test] = True
    notes = missing_notes(answers)
    if not drawn.all():
        notes.append(f"skipped {int((~drawn).sum())} of {stimuli} stimuli that are not in any split")
    notes += undefined_notes(answers, values)
    if metric == "pls" and min(used, rank) < components:
        why = (
            f"the features have rank {rank}, or the responses are fitted exactly"
            if rank < used
            else f"there are {features.shape[1]} features and at least "
            f"{min(len(train) for train, _ in pairs)} training stimuli per split"
        )
        notes.append(f"used {min(used, rank)} of {components} components: {why}")
    notes += [note for choice in choices for note in choice.notes()]
    shown = int((np.isfinite(answers).any(axis=1) & drawn).sum())
    details: dict[str, Any] = {
        "metric": metric,
        "tests": [test for _, test in pairs],
        "predictions": predictions,
    }
    for choice in choices:
        details["alphas"] = choice.alphas
    return Score.of_splits(values, n=shown, notes=notes, details=details)


def _correlate(
    mapping: Mapping,
    answers: NDArray[np.float64],
    pairs: list[Split],
    predictions: list[NDArray[np.float64]],
    parts: list[NDArray[np.int64]],
) -> tuple[NDArray[np.float64], int, int]:
    """Return r (split, neuroid), the limit of PLS components from the smallest training set, and the fewest used.

    parts: positions of the neuroids that are fitted together.
    """
    values = np.full((len(pairs), answers.shape[1]), math.nan)
    for part in parts:
        for present, columns in missing_patterns(answers[:, part]):
            if present.any():
                mapping.correlate(answers, present, part[columns], pairs, values, predictions)
    return values, mapping.max_components, min(mapping.used, default=mapping.components)


def sharing_of(alpha_per: str, subjects: ArrayLike | None, neuroids: int) -> NDArray[Any] | None:
    """Labels (neuroid,) of the neuroids that share a penalty; None: all share one."""
    check_choice("alpha_per", alpha_per, get_args(AlphaPer))
    if alpha_per == "neuroid":
        return np.arange(neuroids)
    if alpha_per == "all":
        return None
    if subjects is None:
        raise CornetError(
            f"alpha_per='subject' needs subjects, the name of the subject of each of the {neuroids} neuroids; give "
            "them."
        )
    return neuroid_labels(subjects, "subjects", neuroids)


def neuroid_labels(values: ArrayLike, name: str, neuroids: int) -> NDArray[np.str_]:
    """Labels of neuroids as text, (neuroid,). Raises CornetError for another shape."""
    labels = np.asarray(values).astype(str)
    if labels.shape != (neuroids,):
        raise CornetError(
            f"{name} has the shape {labels.shape}, but there are {neuroids} neuroids; give one label for each."
        )
    return labels


def as_pair(features: Any, responses: ArrayLike) -> tuple[Any, NDArray[np.float64]]:
    """Check features (stimulus, feature) and responses (stimulus, neuroid) of the same stimuli."""
    matrix, answers = as_matrix(features), as_responses(responses)
    if matrix.shape[0] != len(answers):
        raise CornetError(
            f"features have {matrix.shape[0]} stimuli, but responses have {len(answers)}; provide one row per stimulus."
        )
    return matrix, answers


def as_responses(responses: ArrayLike) -> NDArray[np.float64]:
    """Check responses and return them as (stimulus, neuroid) float64. A vector counts as one neuroid."""
    try:
        array = np.asarray(responses.cpu() if isinstance(responses, Tensor) else responses, dtype=float)
    except (TypeError, ValueError):
        raise CornetError("responses must be numbers, (stimulus, neuroid), NaN where missing.") from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise CornetError(f"responses of shape {array.shape} must be (stimulus, neuroid) and not empty.")
    check_responses(array)
    return array


def undefined_notes(responses: NDArray[np.float64], values: NDArray[np.float64]) -> list[str]:
    """Return a note that counts the undefined correlations of neuroids that vary."""
    varies = np.fmax.reduce(responses, axis=0) > np.fmin.reduce(responses, axis=0)
    undefined = ~np.isfinite(values)[:, varies]
    return [
        f"skipped {int(undefined.sum())} of {undefined.size} undefined correlations (a neuroid or its prediction is "
        "constant in a split)"
    ] * bool(undefined.any())
