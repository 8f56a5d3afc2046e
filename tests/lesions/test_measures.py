"""Drops and segregation: closed forms, and networks whose units are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from cornet.errors import CornetError
from cornet.lesions import (
    ByClass,
    Images,
    LesionStudy,
    find_places,
    random_halves,
    segregation,
    segregation_table,
)
from cornet.lesions.measures import interval, proportional_drop, resampled
from cornet.lesions.study import COLUMNS, RANDOM, TASKS
from tests.helpers.hand_made import GROUPS, one_hot_images, separate_units, shared_units


def study(repeats=2, **settings):
    images, labels = one_hot_images(repeats)
    both = Images(images, labels.numpy())
    return LesionStudy(both, both, GROUPS, **{"shares": (0.5,), "halves": 0, **settings})


def test_separate_units_give_a_segregation_of_one():
    net = separate_units()
    table = study().run(net, find_places(net, 1)[:1])
    row = segregation_table(table).iloc[0]
    assert row["segregation"] == row["segregation_low"] == row["segregation_high"] == 1
    # All units of a task are silenced: each logit is 0, and the first class is chosen, which is right for one of four.
    assert [row[f"drop_{i}{j}"] for i in (1, 2) for j in (1, 2)] == [75, 0, 0, 100]
    assert 0 <= row["random_1"] <= 75
    assert 0 <= row["random_2"] <= 100


def test_shared_units_give_a_segregation_of_zero():
    net = shared_units()
    table = study().run(net, find_places(net, 1)[:1])
    row = segregation_table(table).iloc[0]
    assert abs(row["segregation"]) < 0.05
    assert row["drop_11"] == row["drop_12"] == 25
    assert row["drop_22"] == row["drop_21"] == 50


def test_random_halves_of_separate_units_mix_the_tasks():
    net = separate_units()
    table = study(halves=2).run(net, find_places(net, 1)[:1])
    assert set(table["grouping"]) == {TASKS, "halves 0", "halves 1"}
    halves = random_halves(range(8), 0)
    assert sorted(halves["half 1"] + halves["half 2"]) == list(range(8))
    assert halves == random_halves(range(8), 0) != random_halves(range(8), 1)


def test_every_test_image_is_used_once_and_before_is_the_ordinary_accuracy():
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 8)).eval()
    images, labels = torch.randn(37, 8), torch.arange(37) % 8
    whole = LesionStudy(
        Images(images, labels.numpy()), Images(images, labels.numpy()), GROUPS, batch=5, halves=1
    )
    table = whole.run(net, find_places(net, 8))
    assert list(table) == list(COLUMNS)
    tasks = table[table["grouping"] == TASKS]
    with torch.no_grad():
        right = (net(images).argmax(1) == labels).numpy()
    for task, group in GROUPS.items():
        here, rows = np.isin(labels, list(group)), tasks[tasks["group"] == task]
        assert set(rows["images"]) == {int(here.sum())}
        assert set(rows["accuracy_before"]) == {right[here].sum() / here.sum()}
    pd.testing.assert_frame_equal(table, whole.run(net, find_places(net, 8)))


def test_units_that_a_task_needs_cost_it_more_than_random_ones():
    net = separate_units()
    table = study(random=50, shares=(0.25, 0.5)).run(net, find_places(net, 1)[:1])
    for _, rows in table.groupby(["share", "group"]):
        drops = rows.set_index("ranked_by")["drop"]
        assert drops[rows["group"].iloc[0]] > drops[RANDOM] > 0


@pytest.mark.parametrize(
    ("drops", "expected"),
    [
        ([[50, 0], [0, 30]], 1.0),
        ([[40, 40], [20, 20]], 0.0),
        ([[30, 10], [10, 10]], 0.25),
        ([[10, 30], [30, 10]], -0.5),
        ([[50, -3], [0, 30]], 1.0),  # a lesion that helps counts as no drop
        ([[0.9, 0.5], [20, 10]], np.nan),  # of too little of an accuracy
        ([[np.nan, np.nan], [20, 10]], np.nan),
    ],
)
def test_segregation_of_four_drops(drops, expected):
    assert segregation(drops) == pytest.approx(expected, nan_ok=True)


def test_proportional_drop():
    found = proportional_drop([0.8, 0.5, 0.0], [0.2, 0.6, 0.0])
    assert found == pytest.approx([75, -20, np.nan], nan_ok=True)


def test_the_bootstrap_draws_classes_of_each_task():
    labels = np.repeat(np.arange(6), [2, 2, 2, 4, 4, 4])
    hits = np.array([(np.arange(18) % 2 == 0), np.ones(18)])
    counts = ByClass.from_hits(hits, labels, [range(3), range(3, 6)])
    weights = resampled(counts, draws=200)
    assert (weights[:, :3].sum(1) == 3).all()
    assert (weights[:, 3:].sum(1) == 3).all()
    assert counts.accuracy(0) == pytest.approx([0.5, 1])
    assert counts.accuracy(1) == pytest.approx([0.5, 1])
    assert np.allclose(counts.accuracy(0, weights), [0.5, 1])  # all classes alike: no spread
    # Classes that are all right or all wrong: the accuracy is the mean of three draws of 0, 0, 1.
    counts = ByClass.from_hits([np.isin(labels, [0, 3])], labels, [range(3), range(3, 6)])
    drawn = counts.accuracy(0, resampled(counts, draws=20_000))[:, 0]
    assert drawn.mean() == pytest.approx(1 / 3, abs=0.01)
    assert drawn.var() == pytest.approx(2 / 27, abs=0.005)
    assert interval(1 / 3, drawn)[1:] == pytest.approx((0, 1))


def test_an_interval_of_mostly_undefined_draws_is_undefined():
    assert np.isnan(interval(0.5, np.array([0.4, np.nan, np.nan]))[1:]).all()


def test_wrong_studies_are_refused():
    images, labels = one_hot_images()
    both = Images(images, labels.numpy())
    with pytest.raises(CornetError, match="two groups of classes, not 1"):
        LesionStudy(both, both, {"faces": range(4)})
    with pytest.raises(CornetError, match="objects has no test images"):
        LesionStudy(both, both.of(range(4)), GROUPS)
    with pytest.raises(CornetError, match="between 0 and 1"):
        study(shares=(1.2,))
