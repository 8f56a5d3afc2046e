"""Decode object solution times from recorded spikes: when a population distinguishes the objects.

Uses the same decoders as for networks, on spike counts in a sliding window. Sequentially recorded neurons form a
pseudo-population (the r-th presentation of each), which loses noise correlations.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedKFold

from cornet.brain.data.columns import check_one_value
from cornet.brain.data.responses import check_responses
from cornet.brain.metrics.choices.dprime import dprime, mean_over_distractors
from cornet.brain.metrics.solution_times.decoding import Task
from cornet.brain.metrics.solution_times.time_decoders import DECODERS, decode
from cornet.brain.metrics.solution_times.timing import solution_times
from cornet.errors import CornetError, check_choice

__all__ = ["DecodedTime", "decode_over_time"]

LEVELS = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class DecodedTime:
    """Cross-validated decoding over time. Intervals are 95 % bootstrap intervals over presentations.

    start, end: (window,) ms. objects: (object,). kept: (presentation,), rows of the counts that were decoded.
    probabilities: (window, presentation, object). accuracy: (window,). accuracy_interval: (window, 2).
    i1: (presentation, window), mean d' against the other objects.
    stimuli: (stimulus,). stimulus_i1: (stimulus, window), mean i1. stimulus_interval: (stimulus, window, 2).
    object_curve: (object, window), mean i1 or accuracy of the object's presentations.
    solution_time: (object,) ms, when its curve first reaches `threshold`, interpolated from the window before; NaN if
        never.
    solution_interval: (object, 2) ms, over the resamples that reach it. solved: (object,), the share of these.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    objects: NDArray[np.str_]
    kept: NDArray[np.intp]
    probabilities: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    accuracy_interval: NDArray[np.float64]
    i1: NDArray[np.float64]
    stimuli: NDArray[np.str_]
    stimulus_i1: NDArray[np.float64]
    stimulus_interval: NDArray[np.float64]
    object_curve: NDArray[np.float64]
    threshold: float
    solution_time: NDArray[np.float64]
    solution_interval: NDArray[np.float64]
    solved: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def decode_over_time(
    counts: ArrayLike,
    labels: ArrayLike,
    time_bin_start: ArrayLike,
    window: float | None = None,
    step: float | None = None,
    decoder: str = "optimum",
    measure: str = "i1",
    threshold: float = 1.0,
    search_from: float = 0.0,
    folds: int = 10,
    stimulus_ids: ArrayLike | None = None,
    missing: str = "mean",
    bootstrap: int = 1000,
    seed: int = 0,
    device: str | torch.device | None = None,
    memory: int | None = None,
) -> DecodedTime:
    """Decode the object from spike counts, window by window.

    counts: (presentation, neuroid, time), NaN if a neuron has no such trial. labels: (presentation,), the object.
    time_bin_start: (time,) ms after onset, evenly spaced. window: width in ms, a multiple of the bins (None: one bin).
        step: ms between windows (None: one bin). The time of a window is its end, when its counts are complete.
    decoder: "optimum" or "reference". The latter draws its initial weights from `seed`, and its short training is far
        from the optimum with as few features as neurons: accuracy .22 on 132, against .84.
    measure: "i1" or "accuracy", the curve that determines the solution time of an object.
    threshold: in units of `measure`. search_from: ms; windows that end by then are skipped, since crossings before the
        first spikes are due to chance.
    folds: number of cross-validation folds, stratified by object and shuffled by `seed`.
    stimulus_ids: (presentation,), for means per stimulus; None: the objects.
    missing: "mean": replace a missing count by the neuron's mean over the fold's training presentations in that
        window, which carries no information; "complete": skip presentations with missing counts.

    d' is computed as in `metrics.dprime` over all test presentations. Decoders are not refitted to bootstrap
    resamples. Raises CornetError for shapes that do not match, unevenly spaced times, a stimulus with two objects,
    fewer presentations of an object than folds, and a neuron without counts in a training set.
    """
    check_choice("decoder", decoder, DECODERS)
    array, names, starts = (
        np.asarray(counts, np.float64),
        np.asarray(labels),
        np.asarray(time_bin_start, float),
    )
    ids = names if stimulus_ids is None else np.asarray(stimulus_ids)
    width = _check(array, names, starts, ids, measure, missing)
    summed, begin, end = _windows(array, starts, width, window, step)
    absent = np.isnan(summed).any((1, 2))
    notes: tuple[str, ...] = ()
    kept = np.arange(len(names))
    if absent.any():
        action = "skipped" if missing == "complete" else "filled with the training mean"
        notes = (f"{absent.sum()} of {len(names)} presentations have missing counts and are {action}",)
        if missing == "complete":
            kept = np.flatnonzero(~absent)
    summed, names, ids = summed[kept], names[kept], ids[kept]
    objects, truth = np.unique(names, return_inverse=True)
    shown = np.bincount(truth, minlength=1)
    if len(objects) < 2 or folds < 2 or shown.min() < folds:
        raise CornetError(
            f"{folds} folds need at least 2 objects and {folds} presentations of each, but there are {len(objects)} "
            f"objects with at least {shown.min()}; use fewer folds (at least 2) or missing='mean'."
        )
    probabilities = np.empty((len(begin), len(names), len(objects)))
    for inside, outside in StratifiedKFold(folds, shuffle=True, random_state=seed).split(truth, truth):
        task = Task(inside[None], outside[None], truth[inside][None], len(objects))
        states = _filled(summed, inside)
        answers, decoder_notes = decode(states, task, decoder, seed=seed, device=device, memory=memory)
        probabilities[:, outside] = answers[:, 0]
        notes += tuple(note for note in decoder_notes if note not in notes)

    i1 = mean_over_distractors(dprime(probabilities, truth)).T
    correct = (probabilities.argmax(-1) == truth).T.astype(float)
    rng = np.random.default_rng(seed)
    stimuli, group = np.unique(ids, return_inverse=True)
    curve, draws = _resampled(i1 if measure == "i1" else correct, truth, bootstrap, rng)
    late = end > search_from
    if not late.any():
        raise CornetError(
            f"search_from={search_from:g} ms is after all windows; choose a time before {end[-1]:g} ms."
        )
    times, _ = solution_times(curve[:, late], threshold, end[late], from_highest=False)
    resampled_times, _ = solution_times(draws[:, :, late], threshold, end[late], from_highest=False)
    every = _resampled(correct, np.zeros(len(truth), np.intp), bootstrap, rng)[1]
    stimulus_i1, of_stimuli = _resampled(i1, group, bootstrap, rng)
    return DecodedTime(
        start=begin,
        end=end,
        objects=objects,
        kept=kept,
        probabilities=probabilities,
        accuracy=correct.mean(0),
        accuracy_interval=_interval(every)[0],
        i1=i1,
        stimuli=stimuli,
        stimulus_i1=stimulus_i1,
        stimulus_interval=_interval(of_stimuli),
        object_curve=curve,
        threshold=threshold,
        solution_time=times,
        solution_interval=_interval(resampled_times[..., None])[:, 0],
        solved=np.isfinite(resampled_times).mean(0) if bootstrap else np.full(len(objects), np.nan),
        notes=notes,
    )


def _check(
    counts: NDArray[np.float64],
    labels: NDArray[np.str_],
    starts: NDArray[np.float64],
    ids: NDArray[np.str_],
    measure: str,
    missing: str,
) -> float:
    """Check the inputs and return the width of a time bin in ms."""
    if counts.ndim != 3 or 0 in counts.shape:
        raise CornetError(
            f"counts of shape {counts.shape} must be (presentation, neuroid, time) and not empty."
        )
    for name, array, length in (
        ("labels", labels, counts.shape[0]),
        ("stimulus_ids", ids, counts.shape[0]),
        ("time_bin_start", starts, counts.shape[2]),
    ):
        if array.shape != (length,):
            raise CornetError(
                f"{name} of shape {array.shape} does not match counts of shape {counts.shape}; it must be ({length},)."
            )
    gaps = np.diff(starts) if len(starts) > 1 else np.array([1.0])
    if not np.isfinite(gaps).all() or gaps.min() <= 0 or not np.allclose(gaps, gaps[0]):
        raise CornetError("time_bin_start must increase in equal steps; sort the bins, or fill the gaps.")
    check_choice("measure", measure, ("i1", "accuracy"))
    check_choice("missing", missing, ("mean", "complete"))
    check_responses(counts, "the counts")
    check_one_value(ids, labels, "the object", "the presentations")
    return float(gaps[0])


def _windows(
    counts: NDArray[np.float64],
    starts: NDArray[np.float64],
    width: float,
    window: float | None,
    step: float | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum counts over windows: (presentation, neuroid, window), and the windows' start and end in ms.

    A window with a missing bin is missing."""
    bins = {}
    for name, value in (("window", window), ("step", step)):
        number = 1 if value is None else round(value / width)
        if number < 1 or (value is not None and not np.isclose(number * width, value)):
            raise CornetError(f"{name}={value:g} ms must be a multiple of the time bin of {width:g} ms.")
        bins[name] = number
    if bins["window"] > len(starts):
        raise CornetError(
            f"window={window:g} ms is longer than the recording of {len(starts) * width:g} ms; shorten it."
        )
    sliding = np.lib.stride_tricks.sliding_window_view(counts, bins["window"], axis=2)[:, :, :: bins["step"]]
    begin = starts[: len(starts) - bins["window"] + 1 : bins["step"]]
    return sliding.sum(-1), begin, begin + bins["window"] * width


def _filled(counts: NDArray[np.float64], inside: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    """Replace missing counts by the mean over presentations `inside`; returns (presentation, neuroid) per window."""
    valid = np.isfinite(counts)
    number = valid[inside].sum(0)
    if (number == 0).any():
        raise CornetError(
            f"{(number == 0).any(1).sum()} neurons have no counts in a training set; drop these neurons."
        )
    mean = np.where(valid, counts, 0.0)[inside].sum(0) / number
    filled = np.where(valid, counts, mean)
    return [np.ascontiguousarray(filled[:, :, k]) for k in range(counts.shape[2])]


def _resampled(
    values: NDArray[np.float64], group: NDArray[np.intp], resamples: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means per group (group, window), and means of bootstrap resamples (resample, group, window).

    values: (presentation, window), NaN skipped. Presentations are resampled within their group.
    """
    groups = int(group.max()) + 1
    valid = np.isfinite(values)
    means = np.full((groups, values.shape[1]), np.nan)
    draws = np.full((resamples, groups, values.shape[1]), np.nan)
    for g in range(groups):
        rows = np.flatnonzero(group == g)
        known, block = valid[rows].astype(float), np.where(valid[rows], values[rows], 0.0)
        counts = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), resamples).astype(float)
        for target, weights in ((means[g : g + 1], np.ones((1, len(rows)))), (draws[:, g], counts)):
            number = weights @ known
            target[:] = np.where(number > 0, weights @ block / np.maximum(number, 1), np.nan)
    return means, draws


def _interval(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return percentiles (..., window, 2) over resamples (resample, ..., window); NaN are skipped."""
    result = np.full((*draws.shape[1:], 2), np.nan)
    some = np.isfinite(draws).any(0)
    if some.any():
        result[some] = np.nanpercentile(draws[:, some], LEVELS, axis=0).T
    return result
