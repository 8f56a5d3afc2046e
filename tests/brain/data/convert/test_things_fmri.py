"""THINGS-fMRI: a pandas frame read without pandas, regions as unions of columns, z-scored voxels."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from cornet.errors import CornetError
from tests.helpers.brain import published_files
from tests.helpers.brain.published_files import IT_COLUMNS

REGIONS = {"V1": ["V1"], "V2": ["V2"], "V4": ["hV4"], "IT": [f"glasser-{area}" for area in IT_COLUMNS]}


@pytest.fixture(params=["f8", "f4"])
def betas(tmp_path, request):
    names = published_files.things_fmri(tmp_path / "things/betas_csv", dtype=request.param)
    published_files.jpeg_images(tmp_path / "images", names)
    return tmp_path / "things/betas_csv"


def test_values_ids_and_quality(betas, tmp_path, converted):
    bundle, values, _ = converted("things-fmri", betas.parent, images=tmp_path / "images")
    assembly, start = bundle.assembly, 0
    assert len(bundle.stimuli) == 48 + 3
    assert values.shape[0] == 48 + 3 * 12
    assert (bundle.stimuli.table["split"] == ["train"] * 48 + ["test"] * 3).all()
    assert list(bundle.stimuli.ids[:48]) == sorted(bundle.stimuli.ids[:48])
    for subject in ("01", "02", "03"):
        trials = pd.read_csv(betas / f"sub-{subject}_StimulusMetadata.csv")
        voxels = pd.read_csv(betas / f"sub-{subject}_VoxelMetadata.csv")
        with h5py.File(betas / f"sub-{subject}_ResponseData.h5") as file:
            responses = file["ResponseData/block0_values"][:]
        rows = [np.flatnonzero(voxels[columns].any(axis=1)) for columns in REGIONS.values()]
        own = assembly.isel(neuroid=slice(start, start + sum(map(len, rows))))
        start += own.sizes["neuroid"]
        assert set(own["subject"].values) == {subject}
        np.testing.assert_array_equal(own["region"], np.repeat(list(REGIONS), list(map(len, rows))))
        np.testing.assert_array_equal(own["neuroid_id"], np.arange(own.sizes["neuroid"]))
        rows = np.concatenate(rows)
        for name in (
            "voxel_id",
            "voxel_y",
            "nc_testset",
            "nc_singletrial",
            "prf-size",
            "splithalf_corrected",
        ):
            np.testing.assert_allclose(own[name], voxels[name].to_numpy()[rows])
        expected = np.empty(own.shape[:2])
        for split, part in (("train", slice(0, 48)), ("test", slice(48, None))):
            chosen = trials[trials["trial_type"] == split]
            ordered = chosen.sort_values("stimulus", kind="stable").index
            ids = [name.removesuffix(".jpg") for name in trials["stimulus"][ordered]]
            assert list(own["stimulus_id"].values[part]) == ids
            numbers = responses[rows][:, ordered].T.astype(float)
            expected[part] = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
        np.testing.assert_allclose(own.values[:, :, 0], expected, rtol=1e-5, atol=1e-6)
        assert own.dtype == responses.dtype
    assert start == values.shape[1]
    np.testing.assert_array_equal(assembly["repetition"][48:], np.tile(np.arange(12), 3))
    rule = json.loads((tmp_path / "bundles/things-fmri/bundle.json").read_text())
    assert rule == {"fixed_by": "split", "subject_by": "subject", "keep_above": {"nc_testset": 30}}


def test_as_pandas_reads_the_frame(betas):
    """The made-up file has pandas' layout: rows of the block are voxels, columns are trials."""
    with h5py.File(betas / "sub-01_ResponseData.h5") as file:
        assert file["ResponseData"].attrs["pandas_type"] == "frame"
        assert file["ResponseData/block0_values"].shape == (31, 84)


# What is wrong is said in one sentence.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda group: group.pop("block0_values"), "none with 84 trials"),
        (lambda group: swap(group, "block0_values", np.zeros((30, 84))), "has 30 voxels, but .* has 31"),
        (lambda group: swap(group, "block0_values", np.zeros((84, 31))), "none with 84 trials"),
        (
            lambda group: swap(group, "block1_values", np.arange(31)[::-1, None]),
            "voxel_id that is not 0, 1, 2",
        ),
        (lambda group: swap(group, "block0_items", np.arange(84)[::-1]), "trials in another order"),
        (lambda group: swap(group, "block0_values", h5py.ExternalLink("a", "b")), "link to another file"),
    ],
)
def test_another_layout_is_refused(change, message, betas, tmp_path, converted):
    with h5py.File(betas / "sub-01_ResponseData.h5", "r+") as file:
        change(file["ResponseData"])
    with pytest.raises(CornetError, match=message):
        converted("things-fmri", betas, images=tmp_path / "images")


def swap(group, name, value):
    if name in group:
        del group[name]
    group[name] = value


def test_a_missing_area_is_refused(betas, tmp_path, converted):
    path = betas / "sub-02_VoxelMetadata.csv"
    pd.read_csv(path).drop(columns="glasser-FFC").to_csv(path, index=False)
    with pytest.raises(CornetError, match=r"has no column 'glasser-FFC' \(1 missing\)"):
        converted("things-fmri", betas, images=tmp_path / "images")


def test_other_stimuli_of_a_subject_are_refused(betas, tmp_path, converted):
    path = betas / "sub-03_StimulusMetadata.csv"
    path.write_text(path.read_text().replace("thing_2_05s.jpg", "thing_9_05s.jpg"))
    with pytest.raises(CornetError, match=r"has other stimuli or repetitions than"):
        converted("things-fmri", betas, images=tmp_path / "images")


def test_a_missing_table_is_named(betas, tmp_path, converted):
    (betas / "sub-01_VoxelMetadata.csv").unlink()
    with pytest.raises(CornetError, match=r"sub-01_VoxelMetadata.csv does not exist; it is needed"):
        converted("things-fmri", betas, images=tmp_path / "images")
