"""Match single units of a subject with single neuroids, without a fitted mapping.

C (unit, neuroid) is Pearson's r over stimuli. Matches are made from the training stimuli of a split and tested on the
others; made and tested on the same stimuli, they would match noise.

* one_to_one: the injective pairing of the smaller side that maximises the sum of C (rectangular assignment).
* semi: each unit with its best neuroid, and each neuroid with its best unit; the score is the mean of both directions.
* soft: the transport plan T >= 0 with rows of 1 / units and columns of 1 / neuroids that maximises sum(T C) (Khosla &
  Williams 2024, arXiv 2311.09466). For equal numbers of units it is one-to-one.
* partial: the same with rows and columns of at most that much and a total `mass` (arXiv 2602.19331). The score is the
  mean correlation of what is matched, sum(T C) / mass, whereas that paper's code gives 1 - mass + sum(T C), which tends
  to 1 with less mass.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from cornet.brain.data.responses import missing_notes
from cornet.brain.metrics.ceiling import checked_repetitions, weighted_mean
from cornet.brain.metrics.correlation import missing_patterns
from cornet.brain.metrics.mapping.cross_products import cross_products
from cornet.brain.metrics.mapping.gram import MEMORY, RowView
from cornet.brain.metrics.predictivity import as_pair
from cornet.brain.metrics.splits import Split, half_splits, make_splits
from cornet.brain.score import Score
from cornet.errors import CornetError, check_choice

__all__ = ["Method", "correlations", "match_ceiling", "match_units", "pairs_of", "transport_plan"]

Method = Literal["one_to_one", "semi", "soft", "partial"]

MAX_CELLS = 5_000_000
"""Units x neuroids for which the exact transport plan is computed."""


def match_units(
    features: Any,
    responses: ArrayLike,
    method: Method = "one_to_one",
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    *,
    mass: float = 0.5,
    device: torch.device | str = "cpu",
    memory: int = MEMORY,
) -> Score:
    """Match units with neuroids on the training stimuli of each split; correlate the matches over its test stimuli.

    features: (stimulus, unit) real numbers, read in blocks. responses: (stimulus, neuroid), NaN where missing. method,
    mass: see above; mass, above 0 and at most 1, is that of "partial". Others: as in `neural_predictivity`.

    Returns a raw Score: values (split,), the mean r of the matches on the test stimuli; raw, their mean. details:
    x_to_y and y_to_x (split,), the mean over units and over neuroids (of "semi"; of the others both are the value);
    pairs (of "one_to_one"): for each split (pair, 2), unit and neuroid; in_sample (split,), on the training stimuli.
    Units and neuroids that are constant in a training set are left out and counted; so are matches that are constant
    in the test set.

    Raises CornetError for shapes that do not match and unknown options; for "soft" and "partial" also without the
    package POT, and for more than 5 million pairs.
    """
    check_choice("method", method, get_args(Method))
    if method == "partial" and not 0 < mass <= 1:
        raise CornetError(f"mass={mass!r} must be above 0 and at most 1.")
    features, answers = as_pair(features, responses)
    drawn = make_splits(
        len(answers),
        stratify=stratify,
        groups=groups,
        splits=splits,
        train_fraction=train_fraction,
        seed=seed,
    )
    count = len(drawn)
    found = {key: np.full(count, math.nan) for key in ("x_to_y", "y_to_x", "in_sample")}
    pairs: list[NDArray[np.int64]] = []
    left_out: list[tuple[int, int]] = []
    for number, (made, tested) in enumerate(both_sides(features, answers, drawn, device, memory)):
        units, neuroids = np.isfinite(made).any(axis=1), np.isfinite(made).any(axis=0)
        left_out.append((int((~units).sum()), int((~neuroids).sum())))
        kept = np.ix_(units, neuroids)
        if made[kept].size:
            x, y, own, chosen = matched(made[kept], tested[kept], method, mass)
            found["x_to_y"][number], found["y_to_x"][number], found["in_sample"][number] = x, y, own
            pairs.append(
                np.stack(
                    [np.flatnonzero(units)[chosen[:, 0]], np.flatnonzero(neuroids)[chosen[:, 1]]], axis=1
                )
            )
    values = (found["x_to_y"] + found["y_to_x"]) / 2
    notes = missing_notes(answers)
    units_lost, neuroids_lost = (max(one) for one in zip(*left_out, strict=True))
    if units_lost:
        notes.append(
            f"skipped up to {units_lost} of {features.shape[1]} units that are constant in a training set"
        )
    if neuroids_lost:
        notes.append(
            f"skipped up to {neuroids_lost} of {answers.shape[1]} neuroids that are constant in a training set"
        )
    details: dict[str, Any] = {"method": method, **found}
    if method == "one_to_one":
        details["pairs"] = pairs
    if method == "partial":
        details["mass"] = mass
    shown = int(np.isfinite(answers).any(axis=1).sum())
    return Score.of_splits(values, n=shown, notes=notes, details=details)


def match_ceiling(
    repetitions: ArrayLike,
    method: Method = "one_to_one",
    weights: ArrayLike | None = None,
    *,
    mass: float = 0.5,
    halves: int = 10,
    seed: int = 1,
    **options: Any,
) -> Score:
    """Match the neuroids of one half of the repetitions with those of the other half, by the same method.

    repetitions: (repetition, stimulus, neuroid), NaN where missing. weights: as in `internal_consistency`. halves,
    seed: random halves. options: of the splits of stimuli, as in `match_units`. A half has more noise than all
    repetitions, so that this is a lower bound. Returns a raw Score with one value for each division.

    Raises CornetError for fewer than two repetitions, and as `match_units`.
    """
    array, counts = checked_repetitions(repetitions, weights)
    values = []
    for sides in half_splits(len(array), halves, seed):
        a, b = (weighted_mean(array[half], None if counts is None else counts[half]) for half in sides)
        known = np.isfinite(a).all(axis=1)
        values.append(match_units(a[known], b[known], method, mass=mass, **options).raw)
    return Score.of_splits(np.array(values), n=array.shape[1])


def both_sides(
    features: Any,
    answers: NDArray[np.float64],
    drawn: Sequence[Split],
    device: torch.device | str,
    memory: int,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Correlations over the training and the test stimuli of each split. Several splits share a pass."""
    step = max(1, memory // (2 * 8 * features.shape[1] * answers.shape[1]))
    for start in range(0, len(drawn), step):
        some = drawn[start : start + step]
        sets = [side for pair in some for side in pair]
        found = correlations(features, answers, sets, device=device, memory=memory)
        yield from zip(found[::2], found[1::2], strict=True)


def correlations(
    features: Any,
    responses: NDArray[np.float64],
    sets: Sequence[NDArray[np.int64]],
    *,
    device: torch.device | str = "cpu",
    memory: int = MEMORY,
) -> list[NDArray[np.float64]]:
    """Pearson's r (unit, neuroid) over each set of stimuli; NaN for constant units and neuroids.

    Each neuroid is correlated over the stimuli for which it has responses.
    """
    target = torch.device(device)
    found = [np.full((features.shape[1], responses.shape[1]), math.nan) for _ in sets]
    for present, columns in missing_patterns(responses):
        place = np.cumsum(present) - 1
        own = [place[rows[present[rows]]] for rows in sets]
        valid = [number for number, rows in enumerate(own) if len(rows) >= 2]
        if not valid:
            continue
        X = torch.from_numpy(responses[present][:, columns]).to(target)
        shown = features if present.all() else RowView(features, np.flatnonzero(present))
        rows_of = [torch.from_numpy(own[number]).to(target) for number in valid]
        crosses, variances = cross_products(X, shown, rows_of, target, memory)
        for number, rows, S, squares in zip(valid, rows_of, crosses, variances, strict=True):
            known = X[rows] - X[rows].mean(dim=0)
            length = known.norm(dim=0)
            level = X[rows].abs().amax(dim=0) * (1e-14 * math.sqrt(len(rows)))
            length = torch.where(length > level, length, math.nan)
            units = torch.where(squares > 0, squares, math.nan).sqrt()
            r = S.div_(length[:, None]).div_(units).clamp_(-1, 1)
            found[number][:, columns] = r.T.cpu().numpy()
    return found


def pairs_of(C: NDArray[np.float64]) -> NDArray[np.int64]:
    """The injective pairing with the largest sum of C: (pair, 2), unit and neuroid, by unit."""
    return np.stack(linear_sum_assignment(C, maximize=True), axis=1).astype(np.int64)


def transport_plan(C: NDArray[np.float64], mass: float = 1.0) -> NDArray[np.float64]:
    """The plan T (unit, neuroid) that maximises sum(T C), exactly. mass: its sum; below 1 it is partial.

    A partial plan is an ordinary one with a dummy unit and a dummy neuroid of mass 1 - mass each, which cost nothing
    with real partners and too much with each other. Raises CornetError without POT, and for too many pairs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about POT's own source
            import ot
    except ImportError:
        raise CornetError(
            "soft and partial matching need the package POT; install it with pip install 'cornet-ventral[matching]'."
        ) from None
    units, neuroids = C.shape
    if units * neuroids > MAX_CELLS:
        raise CornetError(
            f"{units:,} units x {neuroids:,} neuroids are more than {MAX_CELLS:,} pairs, for which an exact plan takes "
            "too long; use fewer units, or method='one_to_one' or 'semi'."
        )
    a, b, cost = np.full(units, 1 / units), np.full(neuroids, 1 / neuroids), 1 - C
    rest = 1 - mass
    if rest > 0:
        cost = np.pad(cost, ((0, 1), (0, 1)))
        cost[-1, -1] = 10 * max(1.0, float(cost.max()))
        a, b = np.append(a, rest), np.append(b, rest)
    plan = ot.emd(a, b, np.ascontiguousarray(cost), numItermax=50_000_000)
    return np.asarray(plan[:units, :neuroids])


def matched(
    made: NDArray[np.float64], tested: NDArray[np.float64], method: Method, mass: float
) -> tuple[float, float, float, NDArray[np.int64]]:
    """Mean test correlation over units and over neuroids, that on the training stimuli, and the pairs.

    made, tested: (unit, neuroid), correlations over the training and the test stimuli.
    """
    none = np.empty((0, 2), np.int64)
    if method == "one_to_one":
        chosen = pairs_of(made)
        values = tested[chosen[:, 0], chosen[:, 1]]
        mean = mean_of(values)
        return mean, mean, float(made[chosen[:, 0], chosen[:, 1]].mean()), chosen
    if method == "semi":
        forward, back = made.argmax(axis=1), made.argmax(axis=0)
        x = mean_of(tested[np.arange(len(made)), forward])
        y = mean_of(tested[back, np.arange(made.shape[1])])
        return x, y, float((made.max(axis=1).mean() + made.max(axis=0).mean()) / 2), none
    plan = transport_plan(made, 1.0 if method == "soft" else mass)
    known = np.isfinite(tested)
    total = float(plan[known].sum())
    mean = float((plan[known] * tested[known]).sum() / total) if total > 0 else math.nan
    return mean, mean, float((plan * made).sum() / plan.sum()), none


def mean_of(values: NDArray[np.float64]) -> float:
    """The mean, NaN skipped; NaN if all are."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
