"""Maps of Arcaro, Ponce & Livingstone 2020, from made-up files of the published form."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from cornet import brain
from cornet.brain.data.convert.base import Options, find_converter
from cornet.errors import CornetError
from tests.helpers.brain import published_files

SHOWN = 4


def recording(size: int, channels: int, times: int = 180) -> np.ndarray:
    """imageRF, (y, x, ms, channel, image); single precision, as that is exact in all forms."""
    rng = np.random.default_rng(0)
    return rng.random((size, size, times, channels, SHOWN)).astype(np.float32)


@pytest.fixture
def images(tmp_path) -> Path:
    names = [f"image{number}.jpg" for number in (1, 2, 10, 11)]
    published_files.jpeg_images(tmp_path / "images", names)
    return tmp_path / "images"


def written(folder: Path, form: str, array: np.ndarray) -> Path:
    path = folder / f"maps.{form.partition('-')[0]}"
    if form == "npy":
        np.save(path, array)
    elif form == "npz":
        np.savez(path, imageRF=array, other=np.zeros(3))
    elif form == "mat-7.3":
        with h5py.File(path, "w") as file:
            file["imageRF"] = array.T
    else:
        scipy.io.savemat(path, {"imageRF": array})
    return path


@pytest.mark.parametrize("form", ["npy", "npz", "mat-7.3", "mat-5"])
def test_red(tmp_path, images, converted, form):
    array = recording(9, 3)
    bundle, values, result = converted("arcaro2020", written(tmp_path, form, array), images=images)
    assert values.shape == (SHOWN * 81, 3, 1)
    assert values.dtype == np.float32
    assembly = bundle.assembly
    assert assembly["region"].values.tolist() == ["IT"] * 3
    assert (assembly["time_bin_start"].item(), assembly["time_bin_end"].item()) == (90, 130)
    # Both axes are flipped; the images sort by their numbers.
    for image, name in enumerate(("image1", "image2", "image10", "image11")):
        own = assembly[(assembly["stimulus_id"] == name).values]
        for y, x in ((0, 0), (3, 7)):
            here = own[((own["grid_y"] == y) & (own["grid_x"] == x)).values]
            expected = array[8 - y, 8 - x, 90:130, :, image].mean(axis=0, dtype=float)
            np.testing.assert_allclose(here.values[0, :, 0], expected, rtol=1e-6)
    assert any("made-up files only" in note for note in result.notes)


def test_george_has_two_parts(tmp_path, images, converted):
    array = recording(17, 36)
    bundle, *_ = converted("arcaro2020", written(tmp_path, "npy", array), images=images, degrees=6.0)
    assert bundle.stimuli.degrees == 6
    folder = tmp_path / "bundles/arcaro2020"
    assert json.loads((folder / "bundle.json").read_text()) == {"map_by": ["grid_y", "grid_x"]}
    benchmarks = {one.region: one for one in brain.open_benchmarks([str(folder)])}
    assert list(benchmarks) == ["IT-ML", "IT-PL"]
    for region, own, window in (
        ("IT-PL", slice(0, 33), slice(90, 130)),
        ("IT-ML", slice(33, 36), slice(130, 170)),
    ):
        maps = benchmarks[region].maps
        order = [("image1", "image2", "image10", "image11").index(name) for name in maps.stimulus_ids]
        flipped = array[::-1, ::-1, window, own].mean(axis=2, dtype=float)
        np.testing.assert_allclose(maps.mean, flipped.transpose(3, 0, 1, 2)[order], rtol=1e-6)
        assert maps.repetitions is None
    windows = bundle.assembly["window_start"].values
    assert windows.tolist() == [90] * 33 + [130] * 3


def test_what_is_refused(tmp_path, images):
    def refused(path: Path, folder: Path | None = images) -> str:
        with pytest.raises(CornetError) as error:
            find_converter("arcaro2020").open(Options(path, folder))
        return str(error.value)

    def file(name: str, array: np.ndarray) -> Path:
        (tmp_path / name).mkdir()
        return written(tmp_path / name, "npy", array)

    good = file("good", recording(9, 2))
    assert "the images are missing" in refused(good, None)
    (images / "more.png").write_bytes(b"")
    assert "has 5 images" in refused(good)
    assert "8 x 8 positions, but the animals have 17 x 17 or 9 x 9" in refused(file("size", recording(8, 2)))
    assert "needs more than 0 channels and at least 130 ms" in refused(file("short", recording(9, 2, 100)))
    assert "Red" in refused(file("again", recording(9, 2, 100)))
    assert "George needs" in refused(file("few", recording(17, 33)[:, :, :, :20]))
    assert "not numbers with 5 axes" in refused(file("flat", np.zeros((9, 9))))
    assert "not numbers with 5 axes" in refused(file("texts", np.full((9, 9, 180, 2, 4), "a")))
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    assert "damaged or of another kind" in refused(objects)
    (tmp_path / "broken.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    assert "broken.mat is damaged" in refused(tmp_path / "broken.mat") or "has no array" in refused(
        tmp_path / "broken.mat"
    )
    scipy.io.savemat(tmp_path / "other.mat", {"RF": np.zeros(3)})
    assert "has no array imageRF (found there: RF)" in refused(tmp_path / "other.mat")
    np.savez(tmp_path / "other.npz", RF=np.zeros(3))
    assert "has no array imageRF (found there: RF)" in refused(tmp_path / "other.npz")
    assert "is not a file .npy, .npz, .mat" in refused(images / "image1.jpg")
    assert "name one file" in refused(tmp_path)


def test_memory_is_limited(tmp_path, images):
    path = written(tmp_path, "npz", recording(9, 3))
    opened = find_converter("arcaro2020").open(Options(path, images))
    block = opened.blocks(2**18)[0]
    with pytest.raises(CornetError, match="is read as a whole and needs"):
        opened.read(block, 2**18)
