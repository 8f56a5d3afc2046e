"""Responses in several time bins: opened from a bundle, compared with every step, and what is wrong."""

import json

import numpy as np
import pytest
import xarray as xr

from cornet import CornetError
from cornet.brain.benchmarks.over_time import open_over_time
from cornet.brain.metrics.temporal.grid import temporal_predictivity
from cornet.brain.subjects.subject import Recording, Site
from tests.helpers.brain.drawn_bundle import STIMULI, Drawn, assembly, write


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def binned(starts=(0, 50, 100), length=50, **options):
    """The drawn responses in the last bin, and noise before."""
    one = assembly(**options)
    rng = np.random.default_rng(5)
    parts = [one.copy(data=rng.standard_normal(one.shape).astype(np.float32)) for _ in starts[:-1]] + [one]
    parts = [
        part.assign_coords(time_bin_start=("time_bin", [start]), time_bin_end=("time_bin", [start + length]))
        for part, start in zip(parts, starts, strict=True)
    ]
    return xr.concat(parts, dim="time_bin")


def test_a_bundle_is_compared_bin_by_bin(tmp_path):
    folder = write(tmp_path / "mine", binned(), object_name=np.tile(["a", "b", "c"], 20))
    timed = open_over_time(f"{folder}:V4")
    assert (timed.name, timed.region, timed.simulated) == ("mine", "V4", False)
    assert timed.bins.tolist() == [[0, 50], [50, 100], [100, 150]]
    subject = Drawn()
    sites = subject.sites()
    score = timed.compare(subject.record(timed.stimuli, sites), sites, "ridge")
    rows = timed.stimuli.positions(list(timed.responses[0].stimulus_ids))
    by_hand = temporal_predictivity(
        {site: subject.record(timed.stimuli, sites)[site][rows] for site in sites},
        np.stack([one.mean for one in timed.responses]),
        timed.bins,
        "ridge",
        stratify=timed.responses[0].table["object_name"].to_numpy(str),
    )
    np.testing.assert_allclose(score.values, by_hand.values, atol=1e-12)
    assert score.raw[0, 2] > 0.7
    assert abs(score.raw[:, :2]).max() < 0.35
    assert score.ceiling[2] > 0.7 > abs(score.ceiling[0])
    assert score.sites == tuple(sites)


@pytest.mark.slow
def test_the_simulated_region_over_time(small_brain):
    timed = open_over_time("simulated")
    assert (timed.region, timed.simulated, len(timed.bins)) == ("IT", True, 18)
    features = np.random.default_rng(0).standard_normal((len(timed.stimuli), 10))
    score = timed.compare(Recording(timed.stimuli.ids, {Site("IT"): features}), [Site("IT")])
    assert score.raw.shape == (1, 18)
    assert abs(score.raw.mean()) < 0.15
    assert np.isfinite(score.ceiling).all()


@pytest.mark.slow
def test_the_known_order_of_signals_is_recovered_from_simulated_spikes(small_brain):
    """Position and size arrive at 85 ms, the category of the easiest image at 95 ms and of the hardest at 180."""
    timed = open_over_time("simulated")
    table = timed.responses[0].table
    place = np.column_stack([table[["x", "y"]], np.log2(table["size"])])
    names = table["category_name"].to_numpy(str)
    category = (names[:, None] == np.unique(names)).astype(float)
    score = temporal_predictivity(
        {"place[0]": place, "category[0]": category},
        np.stack([one.mean for one in timed.responses]),
        timed.bins,
        "ridgecv",
        stratify=timed.stratify,
    )
    first, second = (score.raw[k] for k in range(2))
    assert abs(score.raw[:, 0]).max() < 0.2  # 70 to 80 ms
    assert 85 <= score.peak("place").value <= 115 < score.peak("category").value
    assert first[2] > second[2] + 0.1  # 90 to 100 ms
    assert second[-1] > first[-1] + 0.1
    assert second[5] < second[-1]  # harder images later


def test_what_is_wrong(tmp_path):
    one = write(tmp_path / "one")
    with pytest.raises(CornetError, match="one has 1 time bin, but a comparison over time needs several"):
        open_over_time(str(one))
    overlapping = write(tmp_path / "overlapping", binned((0, 40)))
    with pytest.raises(CornetError, match="the bins 0 to 50 and 40 to 90 ms overlap"):
        open_over_time(str(overlapping))
    regions = write(tmp_path / "regions", binned(regions=("V4",) * 4 + ("IT",) * 4))
    with pytest.raises(CornetError, match="regions has several regions; name one: regions:IT, regions:V4"):
        open_over_time(str(regions))
    assert open_over_time(f"{regions}:IT").responses[0].mean.shape == (STIMULI, 4)
    with pytest.raises(CornetError, match="has no region 'V9', but IT, V4"):
        open_over_time(f"{regions}:V9")
    with pytest.raises(CornetError, match="is not a folder with a bundle of several time bins"):
        open_over_time("nowhere")
    fixed = write(tmp_path / "fixed", binned())
    ids = [str(one) for one in open_over_time(str(fixed)).stimuli.ids]
    (fixed / "bundle.json").write_text(json.dumps({"train": ids[:40], "test": ids[40:]}))
    with pytest.raises(CornetError, match="defines one fixed split, but time needs several"):
        open_over_time(str(fixed))
