"""The published numbers that runs are compared with, and what is computed of them."""

import math
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cornet.brain.metrics.difference import holm
from cornet.brain.scales import SCALES
from cornet.report.published.numbers import (
    CORNET_S,
    CURVE,
    HIGH,
    PANELS,
    TITLES,
    correlations,
    published_models,
    published_training,
)
from cornet.report.statistics import Correlation, pearson

OURS = {
    "Model": "model",
    "ImageNet": "imagenet",
    "CIFAR-100": "cifar100",
    "V4": "v4",
    "IT": "it",
    "IT (new data)": "it_new_data",
    "IT (new images)": "it_new_images",
    "Behavior": "behaviour",
    "Behavior (new data)": "behaviour_new_data",
    "OST": "ost",
    "Brain-Score": "brain_score",
    "Depth": "depth",
}


def test_the_networks():
    models = published_models()
    assert len(models) == models["model"].nunique() == 243
    parts = models[["v4", "it", "ost", "behaviour"]].mean(axis=1, skipna=False)
    there = models["brain_score"].notna()
    np.testing.assert_allclose(parts[there], models["brain_score"][there], atol=2e-6)
    assert there.sum() == 238
    assert list(models["model"][models["ost"] > 0]) == [CORNET_S]
    assert models["brain_score"].idxmax() == 0
    ours = models.set_index("model").loc[CORNET_S]
    assert (ours["imagenet"], ours["behaviour"], ours["ost"], ours["depth"]) == (0.731, 0.382, 0.25, 15)
    assert 0.64 < ours["v4"] < 0.66  # raw, and not divided by a ceiling, which would make it .73
    assert set(TITLES) == set(models) - {"model"}


def test_the_tables_name_their_source():
    for name, words in {
        "models_2019.csv": "NeurIPS, arXiv 1909.06161",
        "cornet_s_training.csv": "ImageNet",
    }.items():
        head = (files("cornet.report.published") / "data" / name).read_text().splitlines()[0:3]
        assert all(line.startswith("# ") for line in head)
        assert words in " ".join(head)


def test_they_are_the_published_tables(shared_data):
    tables = shared_data.parent / "tables"
    if not tables.is_dir():
        pytest.skip("the published tables are not here")
    whole = pd.read_csv(tables / "published_scores_2019.csv").rename(columns=OURS)
    pd.testing.assert_frame_equal(
        whole[list(published_models())], published_models(), check_dtype=False, rtol=1e-5
    )
    curve, ours = pd.read_csv(tables / "cornet_s_training_curve.csv"), published_training()
    for name, column in {
        "v1": "V1-pls",
        "it": "IT-pls",
        "ost": "ost",
        "top1": "top1",
        "behaviour": "i2n",
    }.items():
        (found,) = [one for one in curve if one.endswith(column)]
        np.testing.assert_allclose(curve[found], ours[name], rtol=1e-5)


def test_the_training_of_cornet_s():
    curve = published_training().set_index("epoch")
    assert list(curve) == list(CURVE)
    assert all(one.scale in SCALES for one in CURVE.values() if one.benchmark)
    assert (curve.loc[0.0, "top1"], curve.loc[43.0, "top1"]) == (0.001, 0.69218)
    assert curve.index.is_monotonic_increasing
    last, model = curve.loc[43.0], published_models().iloc[0]
    assert last["behaviour"] == pytest.approx(
        model["behaviour"] / math.sqrt(0.479), abs=0.01
    )  # r / sqrt(ceiling)
    assert last["it"] == pytest.approx((model["it"] / 0.817) ** 2, abs=0.01)  # (r / ceiling)^2


def test_the_correlations_of_the_paper():
    found = {(one.panel, one.which): one for one in correlations()}
    low = found["imagenet", "below .70"].correlation
    assert (round(low.r, 2), low.n) == (0.90, 214)
    assert low.p < 1e-70
    high = found["imagenet", "from .70 on, without CORnet-S"]
    assert high.correlation.n == 23
    assert high.correlation.p > 0.05
    assert high.correlation.low < 0 < high.correlation.high
    for key, r, n in (("it", 0.823, 238), ("behaviour", 0.952, 242), ("ost", 0.110, 243)):
        one = found[f"imagenet-{key}", ""].correlation
        assert (round(one.r, 3), one.n) == (r, n)
    assert {one.panel for one in correlations()} == {panel.key for panel in PANELS}
    assert [one.holm for one in correlations()] == holm([one.correlation.p for one in correlations()])


def test_no_network_is_on_both_sides():
    models = published_models()
    exactly = models[models["imagenet"] == HIGH]
    assert list(exactly["model"]) == ["MobileNet v1_1.0_192"]  # counted above
    assert (models["imagenet"] < HIGH).sum() + 24 == models["brain_score"].notna().sum() + 5


@given(st.integers(4, 40), st.floats(-0.99, 0.99), st.integers(0, 1000))
def test_pearson_is_scipys(n: int, slope: float, seed: int):
    x, noise = np.random.default_rng(seed).normal(size=(2, n))
    y = slope * x + noise
    found, known = pearson(x, y), stats.pearsonr(x, y)
    np.testing.assert_allclose((found.r, found.p), (known.statistic, known.pvalue), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose((found.low, found.high), known.confidence_interval(), rtol=1e-6, atol=1e-9)


def test_pearson_of_what_there_is():
    nan = math.nan
    whole = pearson([1, 2, 3, 5, 4], [2, 1, 4, 3, 6])
    assert pearson([1, 2, nan, 3, 5, 4, 9], [2, 1, 3, 4, 3, 6, nan]) == whole
    assert whole.n == 5
    for x, y in (([], []), ([1, 2], [3, 4]), ([1, 1, 1, 1], [1, 2, 3, 4]), ([1, nan, 2], [nan, 1, 3])):
        assert math.isnan(pearson(x, y).r)
        assert math.isnan(pearson(x, y).p)
    three = pearson([1, 2, 3], [1, 2, 4])
    assert math.isfinite(three.p)
    assert math.isnan(three.low)
    assert pearson([1, 2, 3, 4], [2, 4, 6, 8]) == Correlation(1.0, 1.0, 1.0, 0.0, 4)


def test_holm():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    with_nan = holm([0.01, math.nan, 0.02])
    assert with_nan[0] == 0.02  # of two
    assert math.isnan(with_nan[1])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_the_order(ps: list[float]):
    found = holm(ps)
    assert all(p <= h <= 1 for p, h in zip(ps, found, strict=True))
    for one, other in zip(np.argsort(ps, kind="stable"), np.argsort(ps, kind="stable")[1:], strict=False):
        assert found[one] <= found[other]
