"""TVSD: MATLAB 7.3 files with references, channels in Brain-Score's order of regions."""

import json
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest

from cornet.errors import CornetError
from tests.helpers.brain import published_files


@pytest.fixture
def tvsd(tmp_path):
    names = published_files.tvsd(tmp_path / "TVSD")
    published_files.jpeg_images(tmp_path / "images/object_images", names)
    return tmp_path / "TVSD"


def test_values_ids_and_quality(tvsd, tmp_path, converted):
    bundle, values, result = converted("tvsd", tvsd, images=tmp_path / "images")
    assert result.shape == values.shape == (24 + 5 * 4, 2048, 1)
    assembly, table = bundle.assembly, bundle.stimuli.table
    assert assembly.dims == ("presentation", "neuroid", "time_bin")
    assert (assembly["time_bin_start"].item(), assembly["time_bin_end"].item()) == (70, 170)
    for number, (monkey, regions) in enumerate(
        [
            ("monkeyF", {"V1": (0, 512), "V4": (832, 1024), "IT": (512, 832)}),
            ("monkeyN", {"V1": (0, 512), "V4": (512, 768), "IT": (768, 1024)}),
        ]
    ):
        own = assembly.isel(neuroid=slice(1024 * number, 1024 * (number + 1)))
        assert set(own["subject"].values) == {monkey}
        np.testing.assert_array_equal(own["neuroid_id"], np.arange(1024))
        channels = np.concatenate([np.arange(*span) for span in regions.values()])
        np.testing.assert_array_equal(own["channel"], channels)
        with h5py.File(tvsd / monkey / "THINGS_normMUA.mat") as file:
            train, test = file["train_MUA"][:], file["test_MUA_reps"][:]
            np.testing.assert_array_equal(own["SNR"], file["SNR"][:].mean(axis=0)[channels])
            np.testing.assert_array_equal(own["reliability"], file["reliab"][:].mean(axis=0)[channels])
            np.testing.assert_array_equal(own["oracle"], file["oracle"][0][channels])
            np.testing.assert_array_equal(own["SNR_max"], file["SNR_max"][0][channels])
        np.testing.assert_array_equal(own.values[:24, :, 0], train[:, channels])
        assert own.dtype == train.dtype
        for presentation in range(24, 44):
            image, repetition = divmod(presentation - 24, 4)
            np.testing.assert_array_equal(own.values[presentation, :, 0], test[repetition, image, channels])
            assert own["repetition"][presentation] == repetition
            assert own["stimulus_id"][presentation] == table["stimulus_id"][24 + image]
        for region, (first, last) in regions.items():
            assert (own["region"] == region).sum() == last - first
    assert table["object_name"][0] == "thing0"
    assert (table["split"] == ["train"] * 24 + ["test"] * 5).all()
    assert table["stimulus_id"][13] == "thing1_01s"
    assert bundle.stimuli.degrees == 18
    assert bundle.responses("V4", (70, 170)).repetitions.shape == (4, 29, 192 + 256)
    rule = json.loads((tmp_path / "bundles/tvsd/bundle.json").read_text())
    assert rule == {"fixed_by": "split", "subject_by": "subject", "keep_above": {"reliability": 0.3}}


def test_images_are_stored_unchanged(tvsd, tmp_path, converted):
    bundle, *_ = converted("tvsd", tvsd, images=tmp_path / "images/object_images")
    with zipfile.ZipFile(tmp_path / "bundles/tvsd/stimuli.zip") as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        name = bundle.stimuli.table["filename"][28]
        assert archive.read(name) == (tmp_path / "images/object_images" / name).read_bytes()


def test_one_monkey_alone(tvsd, tmp_path, converted):
    (tvsd / "monkeyF/THINGS_normMUA.mat").unlink()
    bundle, values, _ = converted("tvsd", tvsd, images=tmp_path / "images")
    assert values.shape[1] == 1024
    assert set(bundle.assembly["subject"].values) == {"monkeyN"}


def test_small_blocks_give_the_same(tvsd, tmp_path, converted):
    _, values, whole = converted("tvsd", tvsd, images=tmp_path / "images")
    (tmp_path / "bundles/tvsd").rename(tmp_path / "bundles/whole")
    _, again, parts = converted("tvsd", tvsd, images=tmp_path / "images", memory=2**24)
    assert whole.blocks == parts.blocks == 4
    np.testing.assert_array_equal(values, again)


@pytest.mark.longest  # writes 25,248 x 2,048 values
def test_the_full_shape(tmp_path, converted):
    names = published_files.tvsd(tmp_path / "TVSD", 22_248, 100, 30, filled=False)
    published_files.jpeg_images(tmp_path / "images", names)
    bundle, values, result = converted("tvsd", tmp_path / "TVSD", images=tmp_path / "images", memory=2**27)
    assert result.shape == (25_248, 2048, 1)
    with h5py.File(tmp_path / "TVSD/monkeyF/THINGS_normMUA.mat") as file:
        np.testing.assert_array_equal(values[11_124, :512, 0], file["train_MUA"][11_124, :512])
    assert len(bundle.stimuli) == 22_348


# What is wrong is said in one sentence.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: file.pop("reliab"),
            r"has no dataset reliab .found there: SNR.*; expected THINGS_normMUA",
        ),
        (
            lambda file: replace(file, "train_MUA", np.zeros((1024, 24))),
            "float64 1024 x 24, not 24 x 1024",
        ),
        (lambda file: replace(file, "test_MUA_reps", np.zeros((4, 5, 96))), "4 x 5 x 96, not any x 5 x 1024"),
        (lambda file: replace(file, "train_MUA", np.zeros((24, 1024), int)), "has the wrong type"),
        (lambda file: replace(file, "oracle", h5py.ExternalLink("x.h5", "/oracle")), "link to another file"),
        (lambda file: replace(file, "oracle", h5py.SoftLink("/SNR_max")), "link to another name"),
    ],
)
def test_another_version_is_refused(change, message, tvsd, tmp_path, converted):
    with h5py.File(tvsd / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        change(file)
    with pytest.raises(CornetError, match=message):
        converted("tvsd", tvsd, images=tmp_path / "images")


def replace(file, name, value):
    del file[name]
    file[name] = value


def test_external_storage_is_refused(tvsd, tmp_path, converted):
    with h5py.File(tvsd / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        del file["oracle"]
        file.create_dataset("oracle", (1024,), "f8", external=[("/etc/hostname", 0, 8192)])
    with pytest.raises(CornetError, match=r"stores oracle in other files"):
        converted("tvsd", tvsd, images=tmp_path / "images")


def test_a_truncated_file_is_refused(tvsd, tmp_path, converted):
    path = tvsd / "monkeyN/THINGS_normMUA.mat"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CornetError, match=r"is truncated or damaged .*fetch it again"):
        converted("tvsd", tvsd, images=tmp_path / "images")


def test_chunks_larger_than_the_memory_are_refused(tvsd, tmp_path, converted):
    with h5py.File(tvsd / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        del file["train_MUA"]
        file.create_dataset("train_MUA", (24, 1024), "f8", chunks=(24_000, 1024), maxshape=(None, None))
    with pytest.raises(CornetError, match=r"in chunks of 196,608,000 bytes.*give more memory"):
        converted("tvsd", tvsd, images=tmp_path / "images")


def test_missing_images_are_counted(tvsd, tmp_path, converted):
    for name in ("thing0/thing0_03s.jpg", "thing1/thing1_00s.jpg"):
        (tmp_path / "images/object_images" / name).unlink()
    with pytest.raises(
        CornetError, match=r"2 of 29 images are missing .* \(first: 'thing0/thing0_03s.jpg'\)"
    ):
        converted("tvsd", tvsd, images=tmp_path / "images")
    with pytest.raises(CornetError, match=r"images are missing: give .*object_images.*osf.io/jum2f"):
        converted("tvsd", tvsd)


def test_names_outside_the_folder_are_refused(tvsd, tmp_path, converted):
    for monkey in ("monkeyF", "monkeyN"):
        with h5py.File(tvsd / monkey / "_logs/things_imgs.mat", "r+") as file:
            cell = file["train_imgs/things_path"][2, 0]
            file[cell][:6, 0] = list(map(ord, "../../"))
    with pytest.raises(CornetError, match=r"have names outside their folder"):
        converted("tvsd", tvsd, images=tmp_path / "images")


def test_other_images_of_the_second_monkey_are_refused(tvsd, tmp_path, converted):
    with h5py.File(tvsd / "monkeyN/_logs/things_imgs.mat", "r+") as file:
        file[file["train_imgs/class"][0, 0]][0, 0] = ord("X")
    with pytest.raises(CornetError, match=r"lists other images than"):
        converted("tvsd", tvsd, images=tmp_path / "images")


def test_table_of_images(tvsd, tmp_path, converted):
    converted("tvsd", tvsd, images=tmp_path / "images")
    table = pd.read_csv(tmp_path / "bundles/tvsd/stimulus_set.csv")
    assert list(table) == ["stimulus_id", "filename", "object_name", "split", "degrees"]
