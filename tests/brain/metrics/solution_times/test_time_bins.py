"""Identical time bins are found by identity and by content."""

import numpy as np
import pytest
import torch

from cornet.brain.metrics.solution_times.time_bins import distinct_bins
from cornet.errors import CornetError

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 70, 3))


@pytest.mark.parametrize(
    "features",
    [
        [A, A, B, A],
        [A, A.copy(), B, A.copy()],
        np.stack([A, A, B, A], -1),
        torch.from_numpy(np.stack([A, A, B, A], -1)),
        [torch.from_numpy(x) for x in (A, A, B, A)],
    ],
)
def test_identical_bins_are_one(features: object) -> None:
    bins = distinct_bins(features)
    assert bins.of_bin.tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(bins.states[0], A)
    np.testing.assert_array_equal(bins.states[1], B)


def test_the_same_object_is_not_copied() -> None:
    bins = distinct_bins([A, B, A])
    assert bins.states[0] is A
    assert bins.states[1] is B


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (A, "must be"),
        ([A, B[:5]], "of one shape"),
        ([], "none"),
        (np.empty((0, 3, 2)), "empty"),
        ([A, np.where(A > 1, np.nan, A)], "NaN or infinite"),
        ([A.astype(str)], "not numbers"),
    ],
)
def test_bad_features(features: object, message: str) -> None:
    with pytest.raises(CornetError, match=message):
        distinct_bins(features)


def test_missing_values_are_counted() -> None:
    bad = A.copy()
    bad[2, 1], bad[69, 0] = np.nan, np.inf
    with pytest.raises(CornetError, match=r"^2 of 210 "):
        distinct_bins([A, bad])
