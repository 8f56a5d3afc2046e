"""The statistics of a sweep against scipy, numpy, brute force and made-up sweeps whose effects are known."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from cornet.report.seeds.measures import Measure
from cornet.report.statistics import pair_difference, welch_difference
from cornet.report.sweep.changes import changes_of, find_base, published_variants
from cornet.report.sweep.factors import design_of, effects, explain, held_out_share
from cornet.report.sweep.keys import Factor
from cornet.report.sweep.plots import pareto_front
from cornet.report.sweep.variants import Cost, Sweep, Variant

SEEDS = (0, 1, 2)
NAMES = ("best top-1", "score")


def in_memory(
    grid: Mapping[str, Sequence[Any]], value: Callable[[Mapping[str, Any], int, int], float], seeds=SEEDS
) -> Sweep:
    """A made-up sweep without folders. value: of a variant's factors, the seed and the place of the measure."""
    factors = tuple(
        Factor(key, key, key, all(isinstance(v, int | float) for v in values)) for key, values in grid.items()
    )
    variants = []
    for number, values in enumerate(product(*grid.values()), 1):
        held = dict(zip(grid, values, strict=True))
        measures = {}
        for place, name in enumerate(NAMES):
            column = pd.Series({seed: value(held, seed, place) for seed in seeds}, dtype=float)
            inner = "val/top1" if place == 0 else "brain/score"
            kind = "accuracy" if place == 0 else "brain"
            table = pd.DataFrame([column])
            measures[name] = Measure(
                name=inner, label=name, kind=kind, curves=table, last=column, best=column
            )
        label = ", ".join(f"{key} {value}" for key, value in held.items())
        variants.append(
            Variant(number, label, held, (), tuple(seeds), measures, "cornet_s", (1, 2, 4, 2), Cost(), {})
        )
    return Sweep(Path("made-up"), tuple(variants), factors, variants[0].measures, (), ())


def planted(rng: np.random.Generator, effect: float = 0.05, noise: float = 0.01):
    """Factor a moves every measure by `effect` a doubling; b moves nothing. Seeds have an offset of their own."""
    offset = {seed: rng.normal(0, noise) for seed in SEEDS}
    return lambda held, seed, _: 0.4 + effect * np.log2(held["a"]) + offset[seed] + rng.normal(0, noise)


GRID = {"a": [1, 2, 4, 8], "b": [1, 2, 4]}


@pytest.mark.parametrize("n", [2, 3, 8])
def test_paired_changes_are_scipys(n: int):
    rng = np.random.default_rng(n)
    one, two = rng.normal(0.5, 0.1, n), rng.normal(0.4, 0.1, n)
    found, told = pair_difference(one, two), scipy.stats.ttest_rel(one, two)
    interval = told.confidence_interval(0.95)
    assert (found.p, found.low, found.high) == pytest.approx((told.pvalue, interval.low, interval.high))
    assert (found.mean, found.n, found.paired) == (pytest.approx((one - two).mean()), (n, n), True)
    holes = pair_difference([*one, 0.3], [*two, np.nan])
    assert (holes[:4], holes.n) == (pytest.approx(found[:4]), found.n)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 5), (9, 4)])
def test_changes_of_other_seeds_are_welchs(n: int, m: int):
    rng = np.random.default_rng(n)
    one, two = rng.normal(0.5, 0.1, n), rng.normal(0.4, 0.02, m)
    found, told = welch_difference(one, two), scipy.stats.ttest_ind(one, two, equal_var=False)
    interval = told.confidence_interval(0.95)
    assert (found.p, found.low, found.high) == pytest.approx((told.pvalue, interval.low, interval.high))
    assert (found.n, found.paired) == ((n, m), False)


def test_what_cannot_be_tested_is_nan():
    one = pair_difference([0.5], [0.25])
    assert one.mean == 0.25
    assert np.isnan([one.low, one.p]).all()
    same = pair_difference([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])  # the gaps differ by rounding alone
    assert same.mean == pytest.approx(0.1)
    assert np.isnan(same.p)
    assert np.isnan(welch_difference([0.5], [0.4, 0.3]).p)
    assert np.isnan(welch_difference([0.5, 0.5], [0.4, 0.4]).p)
    assert np.isnan(pair_difference([np.nan, np.nan], [1, 2]).mean)


@pytest.mark.slow  # many forests
def test_a_planted_effect_is_found_and_one_that_is_not_there_is_not():
    """200 made-up sweeps, Holm over all comparisons of each; a's step from the base is 20 standard deviations."""
    rng = np.random.default_rng(7)
    quiet = found = covered = counted = 0
    for _ in range(200):
        sweep = in_memory({"a": [1, 4], "b": [1, 2, 4]}, planted(rng, 0.1))
        base = find_base(sweep)
        changes = changes_of(sweep, base)
        assert len(changes) == 6
        for one in changes:
            if one.family == "a":
                truth = 0.1 * np.log2(one.variant.values["a"] / base.values["a"])
                found += one.difference.p < 0.05
                covered += one.difference.low <= truth <= one.difference.high
                counted += 1
        quiet += not any(one.holm < 0.05 for one in changes if one.family == "b")
    assert quiet >= 0.95 * 200
    assert found >= 0.95 * counted
    assert 0.92 <= covered / counted <= 0.98


def test_other_seeds_are_not_paired():
    sweep = in_memory({"a": [1, 2]}, planted(np.random.default_rng(0)))
    one, two = sweep.variants
    two.measures["score"].last.index = [0, 1, 5]
    told = {change.measure: change.difference.paired for change in changes_of(sweep, one)}
    assert told == {"best top-1": True, "score": False}


def test_linear_effects_are_least_squares_on_standardised_columns():
    sweep = in_memory(
        {"a": [1, 2, 4, 8], "b": [2, 3, 4], "c": ["soft", "hard"]}, planted(np.random.default_rng(1))
    )
    design = design_of(sweep, 1)
    assert [one.name for one in design.columns] == ["log2 a", "b", "c: hard"]  # 4 is no four-fold of 2
    y = np.array([one.by_seed("score")[seed] for one in sweep.variants for seed in SEEDS])
    x = np.array(
        [
            (np.log2(one.values["a"]), one.values["b"], one.values["c"] == "hard")
            for one in sweep.variants
            for _ in SEEDS
        ],
        float,
    )
    assert design.x == pytest.approx(x)
    z, t = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    expected = np.linalg.lstsq(np.column_stack([np.ones(len(z)), z]), t, rcond=None)[0][1:]
    told = explain(sweep, design, "score")
    assert [one.value for one in told.effects] == pytest.approx(expected)
    assert told.n == 72
    assert dict(told.importance)["a"] > 10 * max(abs(v) for k, v in told.importance if k != "a")
    assert told.share > 0.9
    for one in told.effects:
        assert (one.low <= 0 <= one.high) == (one.column.factor != "a")


def test_bootstrap_intervals_cover_the_truth(monkeypatch):
    """Drawing variants and seeds both errs on the wide side, so that 95 % is the least."""
    rng = np.random.default_rng(5)
    a, b = (column.ravel() for column in np.meshgrid([0.0, 1, 2, 3], [0.0, 1, 2]))
    x = np.repeat(np.column_stack([a, b]), 3, axis=0)
    variants, seeds = np.repeat(np.arange(12), 3), np.tile(np.arange(3), 12)
    noise = 0.5
    truth = x.std(axis=0) * (0.4, 0.0) / np.sqrt((0.4 * x[:, 0].std()) ** 2 + noise**2)
    inside = []
    monkeypatch.setattr("cornet.report.sweep.factors.DRAWS", 300)
    for k in range(100):
        y = 0.4 * x[:, 0] + rng.normal(0, noise, len(x))
        found = effects(x, y, variants, seeds, seed=k)
        inside.append((found[:, 1] <= truth) & (truth <= found[:, 2]))
    assert (np.mean(inside, axis=0) >= 0.93).all()


def test_shuffled_scores_explain_nothing():
    rng = np.random.default_rng(2)
    a, b = (column.ravel() for column in np.meshgrid([0.0, 1, 2, 3], [0.0, 1, 2]))
    x, variants = np.repeat(np.column_stack([a, b]), 3, axis=0), np.repeat(np.arange(12), 3)
    y = x[:, 0] + rng.normal(0, 0.1, len(x))
    assert held_out_share(x, y, variants) > 0.95
    shares = [held_out_share(x, np.repeat(rng.permutation(y[::3]), 3), variants) for _ in range(40)]
    shares += [held_out_share(x, rng.permutation(y), variants) for _ in range(40)]
    assert np.mean(shares) <= 0


def test_too_little_is_said_in_a_sentence():
    rng = np.random.default_rng(3)
    few = in_memory({"a": [1, 2], "b": [1, 2]}, planted(rng))
    design = design_of(few)
    assert design.why == (
        "4 variants are too few to separate 2 factors or categories: this analysis needs at least 6, so it is not "
        "shown."
    )
    assert explain(few, design, "score").effects == ()
    whole = in_memory(GRID, planted(rng))
    for one in whole.variants:  # b follows a
        one.values["b"] = 2 * one.values["a"]  # type: ignore[index]
    assert "vary only together" in design_of(whole).why
    flat = in_memory(GRID, lambda *_: 0.5)
    assert "the same in all runs" in explain(flat, design_of(flat), "score").why
    holes = in_memory(GRID, lambda held, *_: np.nan if held["a"] > 1 else 0.1 * held["b"])
    assert "3 variants are too few" in explain(holes, design_of(holes), "score").why


def test_factors_that_vary_together_are_told_of():
    sweep = in_memory(GRID, planted(np.random.default_rng(4)))
    assert design_of(sweep).related == ()
    for one in sweep.variants:
        one.values["b"] = one.values["b"] + one.values["a"]  # type: ignore[index]
    ((first, second, r),) = design_of(sweep).related
    assert (first, second) == ("log2 a", "log2 b")
    assert r > 0.5


coordinate = st.integers(0, 6).map(float) | st.just(float("nan"))


@settings(max_examples=100)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=12))
def test_the_pareto_front_is_that_of_brute_force(points: list[tuple[float, float]]):
    gain, cost = np.array(points).T

    def better(k: int, m: int) -> bool:
        return gain[k] >= gain[m] and cost[k] <= cost[m] and (gain[k] > gain[m] or cost[k] < cost[m])

    expected = [
        bool(np.isfinite(points[m]).all()) and not any(better(k, m) for k in range(len(points)))
        for m in range(len(points))
    ]
    assert pareto_front(gain, cost).tolist() == expected


def test_the_published_changes_are_those_of_figure_4():
    table = published_variants()
    there = table[table["top1"].notna()]
    told = {f"{row.key} {row.value}": (row.top1, row.brain_score) for row in there.itertuples()}
    assert told == {
        "steps 1/1/1": (-7, -3),
        "steps 2/2/2": (-1, 0),
        "steps 4/4/4": (0, 0),
        "steps 4/8/4": (0, 0),
        "steps 10/10/10": (0, 0),
        "model.loop 2": (-2, 0),
        "model.gate soft": (0, 0),
        "model.bottleneck 1": (-8, -1),
        "model.bottleneck 2": (-4, -1),
        "model.bottleneck 6": (1, 0),
        "model.convolutions 2": (-3, 0),
        "model.skip false": (-2, -1),
        "model.norm group": (-1, 0),
        "model.areas 5": (-1, 0),
    }
    assert table["key"].nunique() == table["top1"].isna().sum() == 8
