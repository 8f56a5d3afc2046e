"""Means over seeds: their intervals against scipy and a simulation, what is averaged and what is kept apart."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from cornet.errors import CornetError
from cornet.report.seeds.read import read_seeds
from cornet.report.seeds.seed_runs import find_seeds, seed_folders
from cornet.report.statistics import mean_interval
from tests.helpers.report.made_up_runs import scores
from tests.helpers.report.made_up_seeds import TWO, measure, seed_run


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for seed, rise in ((0, 0.0), (2, 0.01), (10, 0.05)):
        seed_run(tmp_path / "default" / f"seed{seed}", seed, rise, 0.4 + rise)
    return tmp_path / "default"


finite = st.floats(-1e6, 1e6)


@settings(max_examples=50)
@given(st.lists(finite, min_size=2, max_size=12), st.floats(0.5, 0.999))
def test_the_interval_is_scipys(values: list[float], confidence: float):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cornet.report.statistics.CONFIDENCE", confidence)
        found = mean_interval(values)
    error = scipy.stats.sem(values)
    assert (found.mean, found.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    if error > 1e-9 * max(map(abs, values)):
        expected = scipy.stats.t.interval(confidence, len(values) - 1, np.mean(values), error)
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-9, abs=1e-9 * max(map(abs, values)))
    assert found.low <= found.mean <= found.high
    assert found.n == len(values)


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_the_interval_covers_the_truth_as_often_as_it_says(n: int):
    """4,000 draws: 95 % has a standard error of 0.34 %; with the normal quantile three seeds would cover 81 %."""
    rng = np.random.default_rng(n)
    intervals = [mean_interval(row) for row in rng.normal(0.3, 0.05, (4000, n))]
    covered = np.mean([one.low <= 0.3 <= one.high for one in intervals])
    assert 0.94 < covered < 0.96


def test_few_values():
    assert mean_interval([math.nan, math.inf]).n == 0
    assert math.isnan(mean_interval([]).mean)
    one = mean_interval([0.25, math.nan])
    assert (one.mean, one.n) == (0.25, 1)
    assert all(map(math.isnan, (one.sd, one.low, one.high)))
    same = mean_interval([0.5, 0.5, 0.5])
    assert (same.mean, same.sd, same.low, same.high) == (0.5, 0, 0.5, 0.5)


def test_means_over_seeds(three: Path):
    seeds = read_seeds(three)
    assert seeds.numbers == [0, 2, 10]
    assert [one.name for one in seeds.measures] == [
        *("val/top1", "val/loss"),
        *("brain/simulated.V1", "brain/simulated.V2", "brain/mean"),
    ]
    table = scores((0, 1, 2, 3), TWO).set_index(["benchmark", "epoch"])["value"]
    v1 = measure(seeds, "brain/simulated.V1")
    for epoch, found in v1.by_epoch.iterrows():
        values = table["simulated.V1", epoch] + np.array([0, 0.01, 0.05])
        low, high = scipy.stats.t.interval(0.95, 2, values.mean(), scipy.stats.sem(values))
        assert found.tolist() == pytest.approx([values.mean(), values.std(ddof=1), low, high, 3])
    assert v1.final.mean == pytest.approx(table["simulated.V1", 3] + 0.02)
    assert v1.at_best.mean == pytest.approx(table["simulated.V1", 1] + 0.02)
    assert (v1.region, v1.scale, v1.ceiling, v1.simulated) == ("V1", "r^2/c", 0.8, True)
    top1 = measure(seeds, "val/top1")
    assert top1.curves.index.tolist() == [1, 2, 3]
    assert top1.last.tolist() == pytest.approx([0.6, 0.61, 0.65])
    assert top1.best.tolist() == pytest.approx([0.5, 0.51, 0.55])
    assert measure(seeds, "val/loss").last.tolist() == [0, 0, 0]
    assert measure(seeds, "brain/mean").final.n == 3
    assert (seeds.left_out, seeds.notes) == ((), ())


def test_an_undefined_score_is_counted_and_no_zero(three: Path):
    table = scores((0, 1, 2, 3), TWO)
    lost = (table["benchmark"] == "simulated.V1") & (table["epoch"] == 3)
    table.loc[lost, ["value", "raw", "ceiling"]] = math.nan
    table["notes"] = table["notes"].mask(lost, "no split has a correlation")
    seed_run(three / "seed11", 11, scores=table)
    seeds = read_seeds(three)
    v1, mean = measure(seeds, "brain/simulated.V1"), measure(seeds, "brain/mean")
    assert (v1.final.n, mean.final.n, v1.at_best.n) == (3, 3, 4)
    assert v1.final.mean == pytest.approx(v1.last[[0, 2, 10]].mean())
    assert math.isnan(mean.last[11])
    assert (
        "simulated.V1: 1 of 4 seeds without a last value (11): left out of the mean: no split has a correlation"
        in seeds.notes
    )


def test_a_benchmark_that_one_seed_lacks_is_said(three: Path):
    seed_run(three / "seed11", 11, scores=scores((0, 1, 2, 3), TWO[:1]))
    seeds = read_seeds(three)
    assert measure(seeds, "brain/simulated.V2").final.n == 3
    assert any(note.startswith("simulated.V2: 1 of 4 seeds") for note in seeds.notes)


@pytest.mark.parametrize(
    ("column", "value"),
    [("version", 2), ("ceiling", 0.81), ("scale", "raw"), ("brain_data", "another")],
)
def test_what_was_compared_otherwise_is_never_averaged(column: str, value, three: Path):
    table = scores((0, 1, 2, 3), TWO).assign(brain_data="one")
    for seed in (11, 12):
        changed = table.copy()
        if seed == 12:
            changed[column] = changed[column].astype(object)
            changed.loc[changed["benchmark"] == "simulated.V1", column] = value
        seed_run(three / f"seed{seed}", seed, scores=changed)
    seeds = read_seeds(three)
    v1 = measure(seeds, "brain/simulated.V1")
    assert (v1.final.n, math.isnan(v1.final.mean), v1.last.notna().sum()) == (0, True, 5)
    assert column.replace("_", " ") in v1.incomparable
    assert "in seed 12" in v1.incomparable
    assert not v1.by_epoch["mean"].notna().any()
    assert measure(seeds, "brain/mean").incomparable.startswith("it includes simulated.V1")
    assert measure(seeds, "brain/simulated.V2").final.n == 5
    assert any(note.startswith("simulated.V1 is not averaged: its") for note in seeds.notes)


def test_ceilings_that_differ_in_their_last_digits_are_the_same(three: Path):
    table = scores((0, 1, 2, 3), TWO)
    seed_run(three / "seed11", 11, scores=table.assign(ceiling=table["ceiling"] * (1 + 1e-12)))
    assert measure(read_seeds(three), "brain/simulated.V1").final.n == 4


def test_unfinished_and_damaged_runs_are_said_and_left_out(three: Path):
    (seed_run(three / "seed3", 3, 9.0) / "finished.json").unlink()
    (seed_run(three / "seed4", 4, 9.0) / "finished.json").write_text("{")
    (seed_run(three / "seed5", 5, 9.0) / "identity.json").unlink()
    (seed_run(three / "seed6", 6, 9.0) / "scores.csv").write_text("a,b\n1,2,3\n")
    seed_run(three / "seed0.old1", 0, 9.0)
    seed_run(three / "seed0.rerun", 0, 9.0)
    seeds = read_seeds(three)
    assert seeds.numbers == [0, 2, 10]
    assert [one.path.name for one in seeds.left_out] == ["seed3", "seed4", "seed5", "seed6"]
    assert seeds.left_out[0].why == "it is not finished"
    assert measure(seeds, "brain/simulated.V1").last.max() < 1


def test_one_seed_has_no_interval(three: Path):
    seeds = read_seeds([three / "seed2"])
    assert seeds.notes == ("a single seed has no interval",)
    assert math.isnan(measure(seeds, "val/top1").final.low)
    assert measure(seeds, "val/top1").final.n == 1
    assert seeds.title == "cornet_s on objects, 1 seed"


def test_without_scores_and_without_accuracy(tmp_path: Path):
    for seed in (0, 1):
        seed_run(tmp_path / "a" / f"seed{seed}", seed, scores=None)
        (seed_run(tmp_path / "b" / f"seed{seed}", seed) / "metrics.csv").unlink()
    assert {one.kind for one in read_seeds(tmp_path / "a").measures} == {"accuracy", "loss"}
    assert {one.kind for one in read_seeds(tmp_path / "b").measures} == {"brain"}


def test_runs_that_differ_in_more_are_refused(three: Path, tmp_path: Path):
    other = seed_run(tmp_path / "wide" / "seed1", 1, model={"width": 0.5})
    with pytest.raises(
        CornetError, match=r"differ in more than their seed: model.width is 0.25 in .* 0.5 in"
    ):
        read_seeds([three / "seed0", other])
    more = seed_run(tmp_path / "more" / "seed1", 1, model={"bottleneck": 4})
    with pytest.raises(CornetError, match=r"model.bottleneck is missing in the first and 4"):
        read_seeds([three / "seed0", more])
    same = seed_run(tmp_path / "again" / "seed7", 0)
    with pytest.raises(CornetError, match=r"have the same seed, 0"):
        read_seeds([three / "seed0", same])
    fixed = seed_run(tmp_path / "fixed" / "seed1", 1, finished={})
    content = json.loads((fixed / "identity.json").read_text())
    content["loader"]["seed"] = 5
    (fixed / "identity.json").write_text(json.dumps(content))
    with pytest.raises(CornetError, match=r"loader.seed is 0 in the first and 5"):
        read_seeds([three / "seed0", fixed])


def test_other_versions_are_noted(three: Path):
    seed_run(three / "seed11", 11, versions={"torch": "2.16.0"})
    assert read_seeds(three).notes == ("the seeds used different versions of torch",)


def test_folders(three: Path, tmp_path: Path):
    assert [path.name for path in seed_folders(three)] == ["seed0", "seed2", "seed10"]
    assert find_seeds(three) == find_seeds(tmp_path) == three
    assert find_seeds(three / "seed0") is None
    assert find_seeds(tmp_path / "absent") is None
    seed_run(tmp_path / "other" / "seed0")
    assert find_seeds(tmp_path) is None
    assert find_seeds(tmp_path / "other") is None
    elsewhere = seed_run(tmp_path / "x" / "y" / "seed5", 5)
    assert read_seeds([three / "seed0", elsewhere]).folder == tmp_path
    with pytest.raises(CornetError, match=r"contains no folders seed<k>"):
        read_seeds(tmp_path)
    for path in three.glob("*/finished.json"):
        path.unlink()
    with pytest.raises(
        CornetError, match=r"contains 3 runs, none of which is finished \(seed0: it is not finished\)"
    ):
        read_seeds(three)
