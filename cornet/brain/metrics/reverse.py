"""Reverse predictivity: how well neuroids predict the units of a subject (Muzellec2026, `reverse_pls`).

The forward comparison with source and target exchanged: PLS with 25 components from neuroids to units. There are few
neuroids (p) and many units (q), so everything is of size p x p or p x q, and the units are read twice in blocks. With X
the centred responses of a training set and Y the units, S = X'Y and M = S S', the reference's unconverged iteration
w <- M w / |M w| runs on p numbers (see `cornet.brain.metrics.mapping.pls`).
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cornet.brain.metrics.ceiling import checked_repetitions, correlate_neuroids, weighted_mean
from cornet.brain.metrics.correlation import pearson
from cornet.brain.metrics.mapping.cross_products import cross_products
from cornet.brain.metrics.mapping.gram import MEMORY, RowView, column_blocks
from cornet.brain.metrics.mapping.pls import COMPONENTS, MAX_ITERATIONS, TOLERANCE
from cornet.brain.metrics.neural.complete_data import complete_data
from cornet.brain.metrics.predictivity import as_pair
from cornet.brain.metrics.splits import make_splits
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["reverse_ceiling", "reverse_predictivity"]

EXHAUSTED = 1e-9
"""Share of its variance below which a unit counts as fitted exactly."""

MIN_STIMULI = 10
"""Stimuli below which the reference gives no ceiling."""


def reverse_predictivity(
    features: Any,
    responses: ArrayLike,
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    *,
    components: int = COMPONENTS,
    device: torch.device | str = "cpu",
    memory: int = MEMORY,
) -> Score:
    """Predict each unit from the responses of all neuroids, and correlate over the test stimuli of each split.

    features: (stimulus, unit) real numbers, read twice in blocks of columns. responses: (stimulus, neuroid), averaged
    over repetitions; stimuli without responses and neuroids with missing ones are left out and counted. The order of
    the stimuli matters for the random splits: the reference draws them in the order of the model's rows, not in that of
    the forward comparison.
    Others: as in `neural_predictivity`.

    Returns a raw Score: values (split, unit) are Pearson's r, NaN for units that are constant in a training or test set
    (after a ReLU there can be many; they are counted), raw the median over units, averaged over splits. It is not
    comparable in size with the forward score: show both, not their mean.

    Raises CornetError for shapes that do not match, and if no neuroid has responses without gaps.
    """
    features, answers = as_pair(features, responses)
    stimuli, units = features.shape
    pairs = make_splits(
        stimuli, stratify=stratify, groups=groups, splits=splits, train_fraction=train_fraction, seed=seed
    )
    used = complete_data(np.isfinite(answers))
    if not len(used.neuroids) or len(used.stimuli) < 3:
        raise CornetError(
            f"{len(used.neuroids)} neuroids have responses to {len(used.stimuli)} stimuli without gaps, but predictors "
            "need at least 3; use other neuroids or stimuli."
        )
    target = torch.device(device)
    X = torch.from_numpy(answers[np.ix_(used.stimuli, used.neuroids)]).to(target)
    X -= X.mean(dim=0)
    if len(used.stimuli) < stimuli:
        features = RowView(features, used.stimuli)
        place = np.full(stimuli, -1)
        place[used.stimuli] = np.arange(len(used.stimuli))
        pairs = [
            (train[train >= 0], test[test >= 0]) for train, test in ((place[a], place[b]) for a, b in pairs)
        ]
    sets = [tuple(torch.from_numpy(side).to(target) for side in pair) for pair in pairs]
    crosses, variances = cross_products(X, features, [train for train, _ in sets], target, memory)
    fits = [
        fit_components(X[train] - X[train].mean(dim=0), S, variance, components)
        for (train, _), S, variance in zip(sets, crosses, variances, strict=True)
    ]
    values = np.full((len(pairs), units), math.nan)
    start = 0
    for block in column_blocks(features, target, "features", memory // 2):
        stop = start + block.shape[1]
        for number, ((train, test), (R, Q)) in enumerate(zip(sets, fits, strict=True)):
            predicted = ((X[test] - X[train].mean(dim=0)) @ R) @ Q[:, start:stop]
            r = pearson(predicted, block[test])
            r[~(variances[number][start:stop] > 0)] = math.nan
            values[number, start:stop] = r.cpu().numpy()
        start = stop
    notes = used.notes(answers.shape)
    undefined = ~np.isfinite(values)
    if dead := int(undefined.all(axis=0).sum()):
        notes.append(f"skipped {dead} of {units} units that are constant")
    if some := int(undefined[:, ~undefined.all(axis=0)].sum()):
        notes.append(f"skipped {some} of {values.size} correlations of units that are constant in one split")
    fitted = min(Q.shape[0] for _, Q in fits)
    if fitted < components:
        notes.append(f"used {fitted} of {components} components: there are {len(used.neuroids)} neuroids")
    return Score.of_splits(values, n=len(used.stimuli), notes=notes, details={"metric": "reverse_pls"})


def fit_components(X: Tensor, S: Tensor, variances: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """PLS from neuroids to units: R (neuroid, component) and Q (component, unit), with coefficients R Q.

    X: centred training responses (stimulus, neuroid). S: X'Y. variances: sums of squares of the units. Deflation,
    S <- (I - p w') S, is collected in a matrix A (neuroid, neuroid), so that S itself is only read.
    """
    G, M = X.T @ X, S @ S.T
    A = torch.eye(len(S), dtype=S.dtype, device=S.device)
    remaining, total = variances.clone(), float(M.trace())
    R: list[Tensor] = []
    P: list[Tensor] = []
    Q: list[Tensor] = []
    for _ in range(min(components, X.shape[1], len(X) - 1)):
        active = remaining > EXHAUSTED * variances
        if not active.any():
            break
        w = direction(M, A @ S[:, int(torch.nonzero(active)[0])])
        if w is None:
            break
        r = w - sum((one * (p @ w) for one, p in zip(R, P, strict=True)), torch.zeros_like(w))
        moved = G @ r
        tt = float(r @ moved)
        if not tt > 0:
            break
        p, q = moved / tt, ((A.T @ w) @ S) / tt
        Mw = M @ w
        A = A - torch.outer(p, A.T @ w)
        M = M - torch.outer(p, Mw) - torch.outer(Mw, p) + (w @ Mw) * torch.outer(p, p)
        if float(M.trace()) < 1e-4 * total:  # before the subtractions lose digits
            deflated = A @ S
            M = deflated @ deflated.T
            total = float(M.trace())
        remaining = remaining - q.square() * tt
        R.append(r)
        P.append(p)
        Q.append(q)
    if not R:
        return X.new_zeros(X.shape[1], 1), S.new_zeros(1, S.shape[1])
    return torch.stack(R, dim=1), torch.stack(Q)


def direction(M: Tensor, start: Tensor) -> Tensor | None:
    """The direction at which the reference's power iteration stops; None if S is 0."""
    matrix: NDArray[np.float64] = M.cpu().numpy()
    w: NDArray[np.float64] = start.cpu().numpy()
    length = float(np.linalg.norm(w))
    if not length > 0:
        return None
    w = w / length
    for _ in range(MAX_ITERATIONS - 1):
        image = matrix @ w
        length = float(np.linalg.norm(image))
        if not length > 0:
            return None
        new = image / length
        moved = float(np.square(new - w).sum())
        w = new
        if moved < TOLERANCE:
            break
    return torch.from_numpy(w).to(M)


def reverse_ceiling(repetitions: ArrayLike, stimulus_ids: ArrayLike | None = None, splits: int = 10) -> Score:
    """Reliability of the predictors: split halves of each stimulus's own repetitions, corrected by 2 r / (1 + r).

    repetitions: (repetition, stimulus, neuroid), NaN where missing; stimuli may have different numbers of repetitions,
    and those with one are left out. stimulus_ids: (stimulus,); the repetitions of the stimuli are permuted in the order
    of their ids, as in the reference; None: the order given.

    Returns a raw Score: values (split, neuroid), raw the median over neuroids, averaged over splits. Source:
    `predictor_consistency` of brainscore_vision 2.4.2. Raises CornetError for fewer than two repetitions.
    """
    array, _ = checked_repetitions(repetitions, None)
    array = array.astype(np.float64)
    names = np.arange(array.shape[1]) if stimulus_ids is None else np.asarray(stimulus_ids).astype(str)
    if names.shape != (array.shape[1],):
        raise CornetError(
            f"stimulus_ids have the shape {names.shape}, but there are {array.shape[1]} stimuli; give one for each."
        )
    rng = np.random.default_rng(0)
    shown = np.isfinite(array).any(axis=2)
    values = np.full((splits, array.shape[2]), math.nan)
    order = [stimulus for stimulus in np.argsort(names, kind="stable") if shown[:, stimulus].sum() >= 2]
    for number in range(splits):
        halves = np.full((2, len(order), array.shape[2]), math.nan)
        for row, stimulus in enumerate(order):
            labels = rng.permutation(np.flatnonzero(shown[:, stimulus]))
            cut = len(labels) // 2
            for side, chosen in enumerate((labels[:cut], labels[cut:])):
                halves[side, row] = weighted_mean(array[chosen][:, stimulus], None)
        if len(order) >= MIN_STIMULI:
            r = correlate_neuroids(*halves)
            with np.errstate(divide="ignore", invalid="ignore"):
                corrected = 2 * r / (1 + r)
            values[number] = np.where(np.isfinite(corrected), corrected, math.nan)
    notes = []
    if skipped := array.shape[1] - len(order):
        notes.append(
            f"ceiling: skipped {skipped} of {array.shape[1]} stimuli with fewer than two repetitions"
        )
    if len(order) < MIN_STIMULI:
        notes.append(f"ceiling: undefined, since {len(order)} stimuli are fewer than {MIN_STIMULI}")
    return Score.of_splits(values, n=len(order), notes=notes)
