"""New images: whole groups of images are held out of the fit."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.data.same_images import clusters, without_equal_images
from cornet.brain.generalisation.neural_case import NeuralCase
from cornet.brain.generalisation.rows import Row
from cornet.brain.metrics.ceiling import correlate_neuroids
from cornet.brain.metrics.splits import make_splits
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["new_images"]

FOLDS = 10

MIN_TEST = 5
"""Fewer stimuli in a test set have no useful correlation over stimuli."""


def new_images(case: NeuralCase, column: str | None = None) -> Row:
    """Fit without whole groups of images, and test on them.

    Ordinary splits draw stimuli at random, so that most test images have a similar image, of the same object for
    example, in the training set. Here the groups are the values of `column` (a column of the stimulus table), or else
    clusters of the images by colour and layout (`clusters`). Ten splits hold out a tenth of the groups each, and train
    on about as many stimuli as the ordinary splits; a note has both numbers. Training images that are equal to a test
    image are removed.

    Responses vary less within a group than over all stimuli, so the raw score falls even for a perfect model. Therefore
    the ceiling is computed for the stimuli of each test set, and averaged; and the reference is measured on the same
    test sets: its predictions come from ten random folds, so that other images of the group, but no equal ones, are in
    the training set. The drop is due to their absence. neuron_to_neuron has predictions that cannot be joined over
    folds: its reference is the ordinary score.

    Raises CornetError if the benchmark's own splits hold out groups already and no column is given, for an unknown
    column, for fewer than two groups, and if no group has enough stimuli.
    """
    groups, text = image_groups(case.benchmark, column)
    keys = case.keys
    drawn = without_equal_images(make_splits(len(groups), groups=groups), keys)
    splits = [(train, test) for train, test in drawn if len(test) >= MIN_TEST and len(train) >= MIN_TEST]
    if not splits:
        raise CornetError(
            f"no group of images ({text}) of {case.benchmark.name} has {MIN_TEST} stimuli; use a column with larger "
            "groups."
        )
    score = case.fit(case.features(case.site), case.mean, splits)
    ceiling = float(np.mean([case.ceiling(test) for _, test in splits]))
    trained = [float(np.mean([len(train) for train, _ in some])) for some in (splits, case.benchmark.splits)]
    notes = [f"trained on {trained[0]:.0f} stimuli per split, the ordinary splits on {trained[1]:.0f}"]
    if len(splits) < len(drawn):
        notes.append(
            f"skipped {len(drawn) - len(splits)} of {len(drawn)} splits with fewer than {MIN_TEST} stimuli"
        )
    score = dataclasses.replace(
        score.with_notes(*notes), n=len(np.unique(np.concatenate([test for _, test in splits])))
    )
    measured = case.measured(score, ceiling)
    common = {"fitted": f"other groups ({text})", "tested": f"held-out groups of {len(np.unique(groups))}"}
    if case.benchmark.metric == "neuron_to_neuron":
        return case.row("new images", measured, against="ordinary", reference=case.reference, **common)
    familiar = case.measured(similar_images(case, [test for _, test in splits]), ceiling)
    against = "a fit with images of the same groups"
    return case.row("new images", measured, against=against, reference=familiar, **common)


def similar_images(case: NeuralCase, tests: list[NDArray[np.int64]]) -> Score:
    """The score on these test sets of a fit that has seen similar images, but no equal ones."""
    names = np.random.default_rng(0).permutation(np.unique(case.keys))
    held = [np.isin(case.keys, fold) for fold in np.array_split(names, FOLDS)]
    splits = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in held if mask.any()]
    score = case.fit(case.features(case.site), case.mean, splits)
    predicted = np.full(case.mean.shape, np.nan)
    for (train, test), part in zip(splits, score.details["predictions"], strict=True):
        # Predictions have the mean of the training responses subtracted.
        known = np.isfinite(case.mean[train])
        total = np.where(known, case.mean[train], 0.0).sum(axis=0)
        predicted[test] = part + total / np.maximum(known.sum(axis=0), 1)
    values = np.array([correlate_neuroids(predicted[test], case.mean[test]) for test in tests])
    details = {"tests": tests, "predictions": [predicted[test] for test in tests]}
    return Score.of_splits(values, n=len(np.unique(np.concatenate(tests))), details=details)


def image_groups(benchmark: NeuralBenchmark, column: str | None) -> tuple[NDArray[np.str_], str]:
    """The group of each stimulus, and what defines the groups. Raises CornetError as `new_images`."""
    if column is not None:
        values = benchmark._column(column)
        assert values is not None
        if len(np.unique(values)) < 2:
            raise CornetError(f"the column {column!r} of {benchmark.name} has one value; use another column.")
        return values, column
    if benchmark.groups:
        raise CornetError(
            f"the ordinary splits hold out whole groups ({benchmark.groups}) already, so the ordinary row is that of "
            "new images; use --images-by COLUMN for other groups."
        )
    found = clusters(benchmark.stimuli, benchmark.responses.stimulus_ids)
    return found, "clusters of similar images"
