"""Compare a network's object solution times (when decoding reaches behavioural accuracy) with the brain's.

Kar et al. (2019), Nat. Neurosci. 22, 974, as in brainscore-vision 2.4.2, for all time bins and splits in parallel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import ShuffleSplit

from cornet.brain.metrics.choices.dprime import dprime, mean_over_distractors
from cornet.brain.metrics.solution_times.decoding import Task
from cornet.brain.metrics.solution_times.time_bins import TimeBins, distinct_bins
from cornet.brain.metrics.solution_times.time_decoders import DECODERS, decode
from cornet.brain.metrics.solution_times.timing import bootstrap_spearman, solution_times, spearman
from cornet.brain.score import Score
from cornet.errors import CornetError, check_choice

__all__ = ["object_solution_times"]

SPLITS = 10
TEST_SHARE = 0.1
MIN_IMAGES = 10
"""A note gives the number of images in a split's correlation if it is below this."""


def object_solution_times(
    features: Any,
    labels: ArrayLike,
    target_ost: ArrayLike,
    threshold_i1: ArrayLike,
    time_bin_start: ArrayLike,
    decoder: str = "reference",
    seed: int = 0,
    initial_weights: ArrayLike | None = None,
    stimulus_ids: ArrayLike | None = None,
    device: str | torch.device | None = None,
    memory: int | None = None,
    seeds: Sequence[int] = (),
    bootstrap: int = 1000,
) -> Score:
    """Compute Spearman's correlation between a network's and the brain's solution times, averaged over 10 splits.

    features: (stimulus, feature, time), or a sequence over time of (stimulus, feature) that may repeat an array.
        Identical bins are decoded once.
    labels: (stimulus,), the object in each image. target_ost: (stimulus,) ms, NaN if the brain never solves the image.
    threshold_i1: (stimulus,), the i1 to reach; NaN: the image has no solution time.
    time_bin_start: (time,) ms, increasing.
    decoder: "reference": as published, stopped long before the optimum, so that the initial weights matter; "optimum":
        the unique minimum of the same objective.
    seed: seed of the reference decoder's initial weights, shared by all bins and splits. initial_weights: (feature,
        class) used instead, with classes in the order of their first appearance in a split's training images.
    stimulus_ids: images are ordered by these ids before splitting; None: the given order.
    device: device for decoding; None: the CPU. memory: bytes for working arrays (default 1 GiB), besides features.
    seeds: additional seeds of the reference decoder, for details["raw_by_seed"]; they do not affect `raw`.
    bootstrap: number of resamples of the images for the interval.

    Returns a Score: values (split,), raw their mean, n the number of images with a target. For the published scale use
    score.with_ceiling(.79, "r/c"). If all bins are identical, there are no solution times: NaN and a note.
    details (per image in the given order; * averaged over the splits in which the image was tested, NaN if none):
        "entering" (split,): number of images in the correlation. "interval" (2,): 95 % bootstrap over images, with the
        same draw in all splits. "share_solved", "share_solved_first_bin": shares of tested images with a threshold.
        "i1" (stimulus, time) *. "predicted_ost" (stimulus,) ms, of the finite times *. "tested" (stimulus,): number of
        splits. "accuracy", "dprime" (time,): means over test images and splits. "distinct_bins". If `seeds` are set:
        "seeds", "raw_by_seed" (seed,), "values_by_seed" (seed, split).
    Report an untrained network's score for comparison: the published one is .19, trained networks have .24-.32.

    Raises CornetError if shapes do not match, values are missing, ids repeat, a training set lacks a class, the decoder
    is unknown, or memory is too small.
    """
    check_choice("decoder", decoder, DECODERS)
    bins = distinct_bins(features)
    images = _check_inputs(bins, labels, target_ost, threshold_i1, time_bin_start, stimulus_ids)
    if decoder != "reference" and (len(seeds) or initial_weights is not None):
        raise CornetError(
            f"decoder={decoder!r} does not use initial weights; omit seeds and initial_weights."
        )
    n = int(np.isfinite(images.target).sum())
    notes = [
        f"skipped {missing} of {len(values)} images without {what}"
        for values, what in (
            (images.target, "a solution time in the brain"),
            (images.threshold, "an i1 to reach"),
        )
        if (missing := int((~np.isfinite(values)).sum()))
    ]
    if len(bins.states) == 1:
        notes.append(f"no solution times, because all {len(bins.of_bin)} time bins are identical")
        return Score(raw=np.nan, values=np.full(SPLITS, np.nan), n=n, notes=tuple(notes))
    task, truth = _task(images)
    weights = _weights(initial_weights, bins, task)

    def run(with_seed: int, start: NDArray[Any] | None) -> _Outcome:
        answers, decoder_notes = decode(
            bins.states, task, decoder, seed=with_seed, initial_weights=start, device=device, memory=memory
        )
        return _outcome(answers, bins, task, truth, images, (*notes, *decoder_notes))

    main = run(seed, weights)
    details = _details(main, task, images, bootstrap) | {"distinct_bins": len(bins.states)}
    if len(seeds):
        others = [main if s == seed and weights is None else run(s, None) for s in seeds]
        values = np.array([other.values for other in others])
        means = [Score.of_splits(row).raw for row in values]
        details |= {"seeds": np.array(seeds), "raw_by_seed": np.array(means), "values_by_seed": values}
    return Score.of_splits(main.values, notes=main.notes, n=n, details=details)


@dataclass(frozen=True, eq=False)
class _Images:
    """Checked inputs per image; `order`: the order of images for drawing splits."""

    labels: NDArray[Any]
    target: NDArray[np.float64]
    threshold: NDArray[np.float64]
    starts: NDArray[np.float64]
    order: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Decoder results: values (split,); i1, correct (split, test image, time); times, first (split, test image)."""

    values: NDArray[np.float64]
    i1: NDArray[np.float64]
    correct: NDArray[np.bool_]
    times: NDArray[np.float64]
    first: NDArray[np.bool_]
    notes: tuple[str, ...]


def _check_inputs(
    bins: TimeBins,
    labels: ArrayLike,
    target_ost: ArrayLike,
    threshold_i1: ArrayLike,
    time_bin_start: ArrayLike,
    stimulus_ids: ArrayLike | None,
) -> _Images:
    """Convert and check the inputs. Raises CornetError for shapes that do not match and for missing values."""
    stimuli, times = len(bins.states[0]), len(bins.of_bin)
    names = np.asarray(labels)
    target, threshold = np.asarray(target_ost, np.float64), np.asarray(threshold_i1, np.float64)
    starts = np.asarray(time_bin_start, np.float64)
    ids = np.arange(stimuli) if stimulus_ids is None else np.asarray(stimulus_ids)
    given = {"labels": names, "target_ost": target, "threshold_i1": threshold, "stimulus_ids": ids}
    for name, array in given.items():
        if array.shape != (stimuli,):
            raise CornetError(
                f"{name} of shape {array.shape} must have one entry per stimulus of the features, ({stimuli},)."
            )
    if starts.shape != (times,):
        raise CornetError(
            f"time_bin_start of shape {starts.shape} must have one entry per time bin, ({times},)."
        )
    if not (np.diff(starts) > 0).all() or not np.isfinite(starts).all():
        raise CornetError(
            f"time_bin_start {starts.tolist()} must increase; sort the time bins of the features."
        )
    for name, array in (("target_ost", target), ("threshold_i1", threshold)):
        if not np.isfinite(array).any():
            raise CornetError(f"{name} has no finite value for {stimuli} images, but needs one; correct it.")
    if len(np.unique(ids)) != stimuli:
        raise CornetError(
            f"stimulus_ids has {stimuli - len(np.unique(ids))} duplicates; average or drop them first."
        )
    if len(np.unique(names)) < 2:
        raise CornetError(
            f"labels has {len(np.unique(names))} object, but a decoder needs at least 2; add others."
        )
    if stimuli < 2 or stimuli < len(np.unique(names)) + 1:
        raise CornetError(
            f"{stimuli} stimuli are too few for {len(np.unique(names))} objects and a test set; add more."
        )
    return _Images(names, target, threshold, starts, np.argsort(ids, kind="stable"))


def _task(images: _Images) -> tuple[Task, NDArray[np.intp]]:
    """Draw the splits; returns the task and the class of each test image (split, test image)."""
    objects, whole = np.unique(images.labels, return_inverse=True)
    train, test, codes, truth = [], [], [], []
    splitter = ShuffleSplit(SPLITS, test_size=TEST_SHARE, random_state=1)
    for number, (inside, outside) in enumerate(splitter.split(images.order)):
        rows, held = images.order[np.sort(inside)], images.order[np.sort(outside)]
        shown, first = np.unique(whole[rows], return_index=True)
        if len(shown) < len(objects):
            missing = objects[np.setdiff1d(np.arange(len(objects)), shown)]
            raise CornetError(
                f"split {number} has no training image of {', '.join(map(str, missing))}; add images of it, or drop it."
            )
        code = np.empty(len(objects), np.intp)
        code[shown[np.argsort(first)]] = np.arange(len(objects))  # numbered by first appearance
        train.append(rows)
        test.append(held)
        codes.append(code[whole[rows]])
        truth.append(code[whole[held]])
    return Task(np.array(train), np.array(test), np.array(codes), len(objects)), np.array(truth)


def _weights(initial: ArrayLike | None, bins: TimeBins, task: Task) -> NDArray[Any] | None:
    """Check and convert the initial weights; None if not set."""
    if initial is None:
        return None
    weights = np.asarray(initial)
    needed = (bins.states[0].shape[1], task.classes)
    if weights.shape != needed or not np.isfinite(weights).all():
        raise CornetError(
            f"initial_weights of shape {weights.shape} must be finite and have the shape (feature, class) = {needed}."
        )
    return weights


def _outcome(
    answers: NDArray[np.float64],
    bins: TimeBins,
    task: Task,
    truth: NDArray[np.intp],
    images: _Images,
    notes: tuple[str, ...],
) -> _Outcome:
    """Compute solution times and correlations from probabilities (state, split, test image, class)."""
    splits, tests = task.test.shape
    i1 = np.empty((splits, tests, len(bins.of_bin)))
    correct = np.empty(i1.shape, bool)
    times = np.empty((splits, tests))
    first = np.empty((splits, tests), bool)
    values = np.empty(splits)
    for s in range(splits):
        by_state = mean_over_distractors(dprime(answers[:, s], truth[s]))
        i1[s] = by_state[bins.of_bin].T
        correct[s] = (answers[:, s].argmax(-1) == truth[s])[bins.of_bin].T
        times[s], first[s] = solution_times(i1[s], images.threshold[task.test[s]], images.starts)
        values[s] = spearman(times[s], images.target[task.test[s]])
    if undefined := int(np.isnan(values).sum()):
        notes += (
            f"{undefined} of {splits} splits have no correlation (fewer than two images with both times, or constant "
            "times)",
        )
    entering = (np.isfinite(times) & np.isfinite(images.target[task.test])).sum(1)
    asked = np.isfinite(images.target) & np.isfinite(images.threshold)
    compared = asked[task.test]
    if unsolved := int((compared & ~np.isfinite(times)).sum()):
        notes += (
            f"skipped {unsolved} of {int(compared.sum())} tests (all splits) in which the network never solves the "
            "image",
        )
    if untested := int((asked & ~np.isin(np.arange(len(asked)), task.test)).sum()):
        notes += (f"{untested} of {int(asked.sum())} images with a solution time are not in any test set",)
    if entering.min() < MIN_IMAGES:
        notes += (f"each split correlates only {entering.min()} to {entering.max()} images",)
    return _Outcome(values, i1, correct, times, first, notes)


def _details(outcome: _Outcome, task: Task, images: _Images, resamples: int) -> dict[str, Any]:
    """Compute the Score's details; see `object_solution_times`."""
    target = images.target[task.test]
    asked = np.isfinite(images.threshold[task.test])
    stimuli = len(images.labels)
    tested = np.bincount(task.test.ravel(), minlength=stimuli)
    interval = bootstrap_spearman(outcome.times, target, task.test, stimuli, resamples)
    return {
        "entering": (np.isfinite(outcome.times) & np.isfinite(target)).sum(1),
        "interval": interval,
        "share_solved": float(np.isfinite(outcome.times)[asked].mean()) if asked.any() else np.nan,
        "share_solved_first_bin": float(outcome.first[asked].mean()) if asked.any() else np.nan,
        "i1": _mean_by_image(outcome.i1, task.test, stimuli),
        "predicted_ost": _mean_by_image(outcome.times[..., None], task.test, stimuli)[:, 0],
        "tested": tested,
        "accuracy": outcome.correct.mean((0, 1)),
        "dprime": _mean_by_image(outcome.i1, np.zeros_like(task.test), 1)[0],
    }


def _mean_by_image(values: NDArray[np.float64], rows: NDArray[np.intp], stimuli: int) -> NDArray[np.float64]:
    """Average (split, test image, time) per image: (stimulus, time). NaN are skipped; NaN if none is left."""
    valid = np.isfinite(values)
    total, count = np.zeros((stimuli, values.shape[-1])), np.zeros((stimuli, values.shape[-1]))
    np.add.at(total, rows, np.where(valid, values, 0.0))
    np.add.at(count, rows, valid)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
