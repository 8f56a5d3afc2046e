"""The public benchmarks end to end, on small files in the layout and under the names of the published ones."""

import dataclasses
import hashlib
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cornet import brain, create_model
from cornet.brain.benchmarks import TimesBenchmark, open_benchmarks, run_battery
from cornet.brain.data.public import listing as public_data
from cornet.brain.data.public.kar2019 import SolutionTimeData
from cornet.brain.subjects.subject import Site
from tests.helpers.brain.made_up_stimuli import stimuli
from tests.helpers.brain.small_bundles import ids, png, write_assembly

IMAGES = 60


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def subject():
    net = create_model("cornet_s", num_classes=10, width=0.125)
    return brain.NetworkSubject(net, "narrow", size=32)


def publish(monkeypatch, cache, name, table, assembly):
    """Put files under their published names where `cornet fetch` would, and take their own hashes for the published."""
    folder = cache / "data" / name
    folder.mkdir(parents=True)
    known = public_data.PUBLIC[name]
    table_file, archive_file = (
        next(f.name for f in known.files if f.name.endswith(end)) for end in (".csv", ".zip")
    )
    assembly_file = next(f.name for f in known.files if f.name.endswith(".nc"))
    table.to_csv(folder / table_file, index=False)
    with zipfile.ZipFile(folder / archive_file, "w") as archive:
        for number, image in enumerate(table["image_file_name"]):
            archive.writestr(image, png(number, 8))
    write_assembly(assembly, folder / assembly_file)
    files = tuple(
        public_data.PublicFile(f.name, hashlib.sha1((folder / f.name).read_bytes()).hexdigest())
        for f in known.files
    )
    monkeypatch.setattr(
        public_data, "PUBLIC", {**public_data.PUBLIC, name: dataclasses.replace(known, files=files)}
    )


def table(**columns):
    """As the older files have it: image_id and image_file_name."""
    return pd.DataFrame(
        {"image_id": ids(IMAGES), "image_file_name": [f"{i}.png" for i in ids(IMAGES)], **columns}
    )


def presentations(repetitions, neuroids, regions, starts, width, **columns):
    rng = np.random.default_rng(0)
    image = np.tile(np.arange(IMAGES), repetitions)
    order = rng.permutation(len(image))
    signal = rng.gamma(2, 5, (IMAGES, neuroids))
    values = rng.poisson(signal[image][:, :, None] * np.ones(len(starts)))[order].astype(np.float32)
    coords = {
        "image_id": ("presentation", ids(IMAGES)[image][order]),
        **{name: ("presentation", np.asarray(column)[image][order]) for name, column in columns.items()},
        "repetition": ("presentation", np.repeat(np.arange(repetitions), IMAGES)[order]),
        "neuroid_id": ("neuroid", [f"n{i}" for i in range(neuroids)]),
        "region": ("neuroid", regions),
        "time_bin_start": ("time_bin", np.asarray(starts)),
        "time_bin_end": ("time_bin", np.asarray(starts) + width),
    }
    return xr.DataArray(values, dims=("presentation", "neuroid", "time_bin"), coords=coords, name="public")


def test_majajhong2015(monkeypatch, cache, subject):
    names = np.tile(["bear", "car", "face"], IMAGES // 3)
    data = presentations(8, 7, ["V4"] * 3 + ["IT"] * 4, [70], 100, object_name=names)
    publish(monkeypatch, cache, "majajhong2015", table(object_name=names), data)
    results = list(run_battery([subject], open_benchmarks(["majajhong2015"])))
    assert [r.benchmark.name for r in results] == ["majajhong2015.V4", "majajhong2015.IT"]
    assert [str(*r.sites) for r in results] == ["V4[0]", "IT[0]"]
    for result, neuroids in zip(results, (3, 4), strict=True):
        assert result.score.values.shape == (10, neuroids)
        assert result.score.ceiling > 0.8
        assert result.score.scale == "r^2/c"


def test_freemanziemba2013_takes_the_mean_of_its_window_and_half_the_screen(monkeypatch, cache, subject):
    kinds = np.tile(["texture", "noise"], IMAGES // 2)
    data = presentations(4, 6, ["V1", "V2"] * 3, np.arange(0, 260, 10), 10, texture_type=kinds)
    publish(monkeypatch, cache, "freemanziemba2013", table(texture_type=kinds), data)
    first, second = open_benchmarks(["freemanziemba2013"])
    expected = data.isel(time_bin=slice(5, 20)).mean("time_bin").isel(neuroid=slice(0, None, 2))
    assert np.allclose(first.responses.mean.mean(0), expected.mean("presentation"))
    assert (first.degrees, second.degrees) == (4, 4)
    results = list(run_battery([subject], [first, second]))
    assert [str(*r.sites) for r in results] == ["V1[0]", "V2[0]"]
    assert all(np.isfinite(r.score.raw) for r in results)


def test_rajalingham2018_as_published_and_held_out(monkeypatch, cache, subject):
    rng = np.random.default_rng(0)
    objects = np.array([f"object{k}" for k in range(6)])
    truth = np.tile(objects, IMAGES // 6)
    image = rng.integers(0, IMAGES, 5000)
    sample, distractor = truth[image], rng.choice(objects, 5000)
    keep = sample != distractor
    image, sample, distractor = image[keep], sample[keep], distractor[keep]
    choice = np.where(rng.random(len(image)) < 0.55 + 0.4 * (image // 6 % 2), sample, distractor)
    coords = {"image_id": ids(IMAGES)[image], "sample_obj": sample, "dist_obj": distractor}
    data = xr.DataArray(
        choice, dims="presentation", coords={k: ("presentation", v) for k, v in coords.items()}
    )
    publish(monkeypatch, cache, "rajalingham2018", table(truth=truth), data.rename("choices"))
    fitted, held_out = run_battery(
        [subject], open_benchmarks(["rajalingham2018-i2n", "rajalingham2018-i2n-heldout"])
    )
    assert str(*fitted.sites) == "decoder.avgpool[1]"
    assert fitted.score.ceiling == held_out.score.ceiling > 0.3
    assert fitted.score.raw != held_out.score.raw
    assert "same images" in fitted.benchmark.split_rule
    assert "other images" in held_out.benchmark.split_rule


def times(images, seed=0):
    rng = np.random.default_rng(seed)
    shown = stimuli(images)
    labels = np.array([f"object{k}" for k in np.arange(images) % 4])
    return SolutionTimeData(
        shown, labels, rng.uniform(0.2, 2, images), rng.uniform(80, 200, images), ("two found",)
    )


class Late:
    """A subject whose IT knows the object at its second step, from 150 ms on."""

    name = identity = "late"

    def site(self, region, time_bin=None):
        return Site(region, int(time_bin[0] >= 150))

    def record(self, shown, sites, degrees=None, label=""):
        rng = np.random.default_rng(0)
        noise = rng.standard_normal((len(shown), 40)).astype(np.float32)
        signal = np.repeat(np.eye(4, dtype=np.float32)[np.arange(len(shown)) % 4], 10, axis=1)
        strength = rng.uniform(0, 2, (len(shown), 1)).astype(np.float32)
        return brain.Recording(shown.ids, {site: noise + site.step * 3 * strength * signal for site in sites})


def test_solution_times_record_each_step_once_and_carry_their_notes():
    benchmark = TimesBenchmark("ost", "", lambda: times(200), decoder="optimum")
    assert benchmark.sites(Late()) == [Site("IT", 0), Site("IT", 1)]
    score = benchmark.run(Late())
    assert score.scale == "r/c"
    assert score.ceiling == 0.79
    assert score.value == pytest.approx(score.raw / 0.79, nan_ok=True)
    assert score.notes[0] == "two found"
    assert (
        "optimum decoder; compare it with the score of the untrained network, which need not be 0"
        in score.notes[-1]
    )
    by_hand = brain.object_solution_times(
        [Late().record(times(200).stimuli, [Site("IT", k)])[Site("IT", k)] for k in [0] * 8 + [1] * 10],
        times(200).labels,
        times(200).ost,
        times(200).i1,
        np.arange(70, 250, 10),
        decoder="optimum",
        stimulus_ids=times(200).stimuli.ids,
    )
    assert np.array_equal(score.values, by_hand.values, equal_nan=True)


def test_a_network_of_one_step_has_no_solution_times():
    net = create_model("cornet_z", num_classes=10, width=0.125)
    benchmark = TimesBenchmark("ost", "", lambda: times(40))
    score = benchmark.run(brain.NetworkSubject(net, "z", size=32))
    assert np.isnan(score.value)
    assert any("time bins are identical" in note for note in score.notes)
