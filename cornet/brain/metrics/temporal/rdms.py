"""RDMs over model time and brain time: which layer and step resembles each bin most? CT-RSA of Net2Brain 1.3.1.

The largest value of a bin is chosen and reported on the same data, so it is too high; the baseline before the onset,
which is chosen in the same way, is subtracted for that reason. `chosen_by` chooses on other subjects instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.similarity import compare_rdms
from cornet.errors import CornetError

__all__ = ["BestSteps", "best_steps_by_bin", "rdms_over_time"]


@dataclass(frozen=True, eq=False)
class BestSteps:
    """By bin: r, the number of the layer, its step, and step / (steps - 1), 0 for a layer of one step. times: in s."""

    r: NDArray[np.float64]
    layer: NDArray[np.int64]
    step: NDArray[np.int64]
    share: NDArray[np.float64]
    times: NDArray[np.float64]


def rdms_over_time(models: Sequence[ArrayLike], brains: ArrayLike) -> list[NDArray[np.float64]]:
    """Compare the RDM of each step of each layer with that of each time bin: for each layer (step, bin).

    models: for each layer (step, pair), or (step, stimulus, stimulus). brains: (subject, bin, pair), or (subject, bin,
    stimulus, stimulus). Pairs are those of the upper triangle, row by row. Values are the mean over subjects of
    Spearman's correlation, as `best_steps_by_bin` takes them; a NaN in either RDM leaves the pair out.

    Raises CornetError for shapes that do not match.
    """
    recorded = np.asarray(brains, float)
    if recorded.ndim not in (3, 4) or 0 in recorded.shape:
        raise CornetError(
            f"brains of shape {recorded.shape} must be (subject, bin, pair) or (subject, bin, stimulus, stimulus)."
        )
    tables = []
    for number, one in enumerate(models):
        steps = np.asarray(one, float)
        if steps.ndim not in (2, 3) or 0 in steps.shape:
            raise CornetError(
                f"layer {number} of shape {steps.shape} must be (step, pair) or (step, stimulus, stimulus)."
            )
        r = [[[compare_rdms(model, b) for b in subject] for subject in recorded] for model in steps]
        tables.append(np.mean(r, axis=1))
    return tables


def best_steps_by_bin(
    correlations: Sequence[ArrayLike],
    rate: float = 50.0,
    before: float = 0.2,
    baseline: bool = True,
    chosen_by: Sequence[ArrayLike] | None = None,
) -> BestSteps:
    """Choose the layer and step of each bin.

    correlations: for each layer (step, bin), from `rdms_over_time`. rate: bins
    per second. before: seconds of bins before the onset. baseline: subtract the mean of the bins up to the onset.
    chosen_by: correlations of other subjects, by which to choose; None: the same.

    Layers of fewer steps are repeated: the most steps must be a multiple of theirs. The first of equal values wins: the
    earliest repeated step, then the first layer. Raises CornetError otherwise, and for shapes that do not match.
    """
    tables = [np.asarray(one, float) for one in correlations]
    guides = tables if chosen_by is None else [np.asarray(one, float) for one in chosen_by]
    if not tables or any(one.ndim != 2 or 0 in one.shape for one in tables):
        raise CornetError("correlations must have one table (step, bin) for each layer, and none empty.")
    if [one.shape for one in guides] != [one.shape for one in tables] or len(
        {one.shape[1] for one in tables}
    ) > 1:
        raise CornetError("all layers need the same bins, and chosen_by the shapes of correlations.")
    longest = max(len(one) for one in tables)
    for number, one in enumerate(tables):
        if longest % len(one):
            raise CornetError(
                f"layer {number} has {len(one)} steps, of which the most steps of a layer, {longest}, are no multiple; "
                "run it for another number of steps."
            )

    def stacked(parts: Sequence[NDArray[Any]]) -> NDArray[np.float64]:  # (repeated step, layer, bin)
        return np.stack([np.repeat(one, longest // len(one), axis=0) for one in parts], axis=1)

    bins = tables[0].shape[1]
    found, guide = stacked(tables), stacked(guides)
    place = guide.reshape(-1, bins).argmax(axis=0)
    r = found.reshape(-1, bins)[place, np.arange(bins)]
    repeated, layer = np.divmod(place, len(tables))
    counts = np.array([len(one) for one in tables])[layer]
    step = repeated * counts // longest
    share = np.divide(step, counts - 1, out=np.zeros(bins), where=counts > 1)
    times = np.arange(bins) / rate - before
    if baseline:
        quiet = (times >= -before - 1e-12) & (times <= 1e-12)
        r = r - r[quiet].mean()
    return BestSteps(r, layer, step, share, times)
