"""Triple-N: sessions in the form H5, areas by position, reliability in the window of the responses."""

import json
import shutil

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from cornet.brain.data.convert.triple_n import window_reliability
from cornet.errors import CornetError
from tests.helpers.brain import published_files


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triple-n")
    published_files.triple_n(folder)
    return folder


@pytest.fixture
def triple_n(original, tmp_path):
    """A copy whose large file of images is shared."""
    folder = tmp_path / "NNN"
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("nsd_stimuli.hdf5"))
    (folder / "nsd_stimuli.hdf5").hardlink_to(original / "nsd_stimuli.hdf5")
    return folder


def test_values_ids_and_quality(triple_n, tmp_path, converted):
    bundle, values, _ = converted("triple-n", triple_n)
    assembly = bundle.assembly
    assert values.shape == (1000, 7, 1)
    shared = loadmat(triple_n / "nsd_expdesign.mat")["sharedix"][0]
    assert list(bundle.stimuli.ids) == [f"nsd_{number - 1:05d}" for number in shared]
    assert list(assembly["region"].values) == ["IT"] * 3 + ["V1", "V4", "V4", "EVC-other"]
    assert list(assembly["arealabel"].values) == ["MB1", "IT-other", "IT-other", "V1", "V4d", "V4d", "none"]
    assert list(assembly["subject"].values) == ["M1"] * 3 + ["M2"] * 4
    assert list(assembly["neuroid_id"].values) == ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3"]
    start = 0
    for session, count in ((1, 3), (2, 4)):
        stem = f"ses{session:02d}_24062{session}_M{session}_2"
        folder = triple_n / "Raw/H5FILES"
        with h5py.File(folder / f"{stem}.h5") as file:
            response, raster = file["response_matrix_img"][:], file["raster_matrix_img"][:]
        expected = response[120:220, :1000].mean(axis=0, dtype=float)
        np.testing.assert_allclose(values[:, start : start + count, 0], expected, rtol=1e-6)
        processed = loadmat(triple_n / "Processed" / f"Processed_{stem}.mat")
        own = assembly.isel(neuroid=slice(start, start + count))
        np.testing.assert_allclose(own["reliability"], processed["reliability_best"][0], rtol=1e-6)
        np.testing.assert_allclose(own["snr"], processed["snr"][0], rtol=1e-6)
        assert (own["unittype"] == "SU").all()
        if session == 1:
            images = loadmat(folder / f"{stem}_info.mat")["img_idx"][0].astype(int)
            rates = raster[120:220].mean(axis=0)
            np.testing.assert_allclose(own["reliability_window"], one_by_one(rates, images, 1), atol=1e-5)
        start += count
    assert (assembly["reliability_window"] > 0.4).any()
    rule = json.loads((tmp_path / "bundles/triple-n/bundle.json").read_text())
    assert rule == {
        "random": True,
        "keep_above": {"reliability_window": 0.4},
        "ceiling_by": "reliability_window",
    }


def one_by_one(rates, images, seed):
    """The same reliability, unit by unit and image by image."""
    rates, images = rates[images <= 1000], images[images <= 1000]
    random, found = np.random.RandomState(seed), []
    shown = [np.flatnonzero(images == image) for image in np.unique(images)]
    for _ in range(20):
        halves = []
        for trials in map(np.copy, shown):
            random.shuffle(trials)
            half = len(trials) // 2
            halves.append((rates[trials[:half]].mean(axis=0), rates[trials[half : 2 * half]].mean(axis=0)))
        first, second = (np.array(part) for part in zip(*halves, strict=True))
        r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first.T, second.T, strict=True)])
        found.append(2 * r / (1 + r))
    return np.mean(found, axis=0)


def test_reliability_without_repetitions_or_spikes():
    rates = np.random.default_rng(0).random((40, 2))
    assert np.isnan(window_reliability(rates, np.arange(40), 1)).all()
    rates[:, 1] = 0
    reliability = window_reliability(rates, np.repeat(np.arange(20), 2), 1)
    assert np.isfinite(reliability[0])
    assert np.isnan(reliability[1])


# What is wrong is said in one sentence.


def test_good_unit_files_are_refused(tmp_path, converted):
    (tmp_path / "NNN/Raw/GoodUnit").mkdir(parents=True)
    (tmp_path / "NNN/Raw/GoodUnit/GoodUnit_240629_JianJian_NSD1000_LOC_g2.mat").touch()
    with pytest.raises(CornetError, match=r"has no Raw/H5FILES/ses01_.*GoodUnit files are not read"):
        converted("triple-n", tmp_path / "NNN")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.pop("raster_matrix_img"), "has no dataset raster_matrix_img"),
        (lambda file: set_(file, "response_matrix_img", np.zeros((200, 1072, 3), "f4")), "200 x 1072 x 3"),
        (
            lambda file: set_(file, "response_matrix_img", np.zeros((450, 1072, 5), "f4")),
            "has 3 values of UnitType",
        ),
        (
            lambda file: set_(file, "raster_matrix_img", np.zeros((450, 7, 3), "u1")),
            "450 x 7 x 3, not any x 2172 x 3",
        ),
    ],
)
def test_another_layout_is_refused(change, message, triple_n, converted):
    with h5py.File(triple_n / "Raw/H5FILES/ses01_240621_M1_2.h5", "r+") as file:
        change(file)
    with pytest.raises(CornetError, match=message):
        converted("triple-n", triple_n)


def set_(file, name, value):
    del file[name]
    file[name] = value


def test_missing_tables_are_named(triple_n, converted):
    (triple_n / "exclude_area.csv").rename(triple_n / "exclude_area.xls")
    with pytest.raises(CornetError, match=r"needs the package xlrd; install it, or export|cannot be read"):
        converted("triple-n", triple_n)
    (triple_n / "exclude_area.xls").unlink()
    with pytest.raises(CornetError, match=r"neither exclude_area.xls nor exclude_area.csv"):
        converted("triple-n", triple_n)


@pytest.mark.parametrize(
    "name", ["Raw/H5FILES/ses01_240621_M1_2_info.mat", "Processed/Processed_ses01_240621_M1_2.mat"]
)
def test_damaged_descriptions_are_refused(name, triple_n, converted):
    path = triple_n / name
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CornetError, match=r"expected .* of Triple-N, so fetch it again"):
        converted("triple-n", triple_n)
    path.unlink()
    with pytest.raises(CornetError, match=r"does not exist; it is needed for Triple-N"):
        converted("triple-n", triple_n)
