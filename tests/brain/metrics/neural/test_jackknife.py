"""The grouped jackknife."""

import numpy as np
import pytest

from cornet.brain.metrics.neural.jackknife import jackknife_error, jackknife_groups, leave_out


def test_the_error_of_a_mean_is_its_standard_error():
    """With one observation a group, the jackknife of a mean is s / sqrt(n) exactly."""
    values = np.random.default_rng(0).standard_normal(25)
    left = leave_out(lambda mask: values[mask].mean(), jackknife_groups(25, groups=25))
    assert jackknife_error(left) == pytest.approx(values.std(ddof=1) / 5)


def test_groups_are_of_equal_size_and_the_same_every_time():
    groups = jackknife_groups(43)
    assert sorted(np.bincount(groups)) == [4] * 7 + [5] * 3
    assert (groups == jackknife_groups(43)).all()
    assert (np.diff(groups) != 0).any()
    assert len(np.unique(jackknife_groups(7))) == 7


def test_labels_stay_together():
    labels = np.array([f"film {k}" for k in np.random.default_rng(0).integers(0, 25, 300)])
    groups = jackknife_groups(300, labels)
    assert all(len(set(groups[labels == one])) == 1 for one in labels)
    assert (
        np.bincount(groups).max() - np.bincount(groups).min()
        <= np.unique(labels, return_counts=True)[1].max()
    )
    assert len(np.unique(groups)) == 10
    assert len(np.unique(jackknife_groups(300, np.repeat(["a", "b", "c"], 100)))) == 3


def test_the_error_of_one_group_or_of_undefined_values_is_unknown():
    assert np.isnan(jackknife_error(np.array([0.3])))
    assert np.isnan(jackknife_error(np.array([0.3, np.nan, 0.4])))
