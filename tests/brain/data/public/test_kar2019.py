"""Reading dataset.h5 in each of its forms, from real HDF5 files of the real size."""

import pickle

import h5py
import numpy as np
import pytest

from cornet import CornetError
from cornet.brain.data.public.kar2019 import OBJECTS, load_kar2019, problem
from tests.helpers.brain.kar2019_file import COUNT, LINE, TWICE, lines, write


@pytest.fixture(scope="module")
def values():
    return lines(np.random.default_rng(0))


@pytest.fixture(scope="module")
def plain(values, tmp_path_factory):
    """uint8, read only by the tests that take it."""
    return write(tmp_path_factory.mktemp("kar2019") / "dataset.h5", values)


def expected(values, place):
    """The picture upright: what HDF5 shows as (channel, x, y) has y down and x to the right."""
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[:, LINE] = values[place].T
    return picture


def check(data, values):
    kept = [place for place in range(COUNT) if place not in TWICE]
    assert len(data.stimuli) == len(data.labels) == len(data.i1) == len(data.ost) == len(kept) == 1318
    assert data.stimuli.degrees == 8
    assert data.stimuli.ids.tolist() == [f"kar2019-{place:04d}" for place in kept]
    assert sorted(data.stimuli.ids) == data.stimuli.ids.tolist()
    assert data.labels.tolist() == [OBJECTS[place % 10] for place in kept]
    assert data.stimuli.table["object_name"].tolist() == data.labels.tolist()
    assert data.i1.tolist() == [place / 1000 for place in kept]
    np.testing.assert_array_equal(data.ost, [100 + p / 10 if p % 7 else np.nan for p in kept])
    for index in (0, 5, 699, 700, 1317):
        picture = data.stimuli.pictures[index]
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, expected(values, kept[index]))
    assert data.notes == ("skipped 2 of 1,320 images that are duplicates, with their i1 and times",)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"dtype": "f8", "column": (1, COUNT)},  # the authors' own
        {"dtype": "f4", "scale": 1 / 255, "column": (COUNT, 1)},
        {"dtype": "i4"},
        {"reverse": True, "column": (COUNT, 1)},
        {"reverse": True, "dtype": "f4", "scale": 1 / 255},
    ],
    ids=lambda form: ", ".join(f"{key} {value}" for key, value in form.items()) or "plain",
)
@pytest.mark.slow  # writes large files
def test_accepted_forms(form, values, tmp_path):
    path = write(tmp_path / "dataset.h5", values, **form)
    assert problem(path) == ""
    check(load_kar2019(path), values)
    path.unlink()


@pytest.mark.slow  # writes files of the published size
@pytest.mark.parametrize("kind", ["S", "text", "whole numbers"])
def test_labels(kind, values, plain, tmp_path):
    names = [OBJECTS[place % 10] for place in range(COUNT)]
    obj = {
        "S": np.array(names, dtype="S8"),
        "text": np.array(names, dtype=h5py.string_dtype()),
        "whole numbers": np.arange(COUNT, dtype=np.int16).reshape(1, -1) % 10 + 1,
    }[kind]
    check(load_kar2019(write(tmp_path / "dataset.h5", values, obj=obj)), values)


def test_numbers_that_are_no_objects_stay_numbers(values, tmp_path):
    path = write(tmp_path / "dataset.h5", values, obj=np.arange(COUNT) % 10)
    assert load_kar2019(path).labels[:11].tolist() == [str(number % 10) for number in range(11)]


def test_another_number_of_different_images_is_noted(values, tmp_path):
    changed = values.copy()
    changed[15] = changed[5]
    changed[1319, 0, 0] ^= 1  # is like 9 in all probed places, but not in all
    data = load_kar2019(write(tmp_path / "dataset.h5", changed))
    # 15 repeats 5, 700 repeats 20; 1319 repeats nothing any more
    assert [place for place in range(COUNT) if place not in set(data.stimuli.table["image_number"])] == [
        15,
        700,
    ]
    changed[1310] = changed[20]
    data = load_kar2019(write(tmp_path / "dataset.h5", changed))
    assert len(data.stimuli) == 1317
    assert data.notes == (
        "skipped 3 of 1,320 images that are duplicates, with their i1 and times",
        "dataset.h5 has 1,317 unique images, but 1,318 were published",
    )


def test_one_picture_with_two_objects_is_refused(values, tmp_path):
    changed = values.copy()
    changed[3] = changed[5]
    with pytest.raises(
        CornetError,
        match="two values of the object for 1 of 1317 stimuli, such as 'car' and 'apple' for 'image 3'",
    ):
        load_kar2019(write(tmp_path / "dataset.h5", changed))


def test_pictures_by_content_and_in_other_processes(values, plain, tmp_path):
    pictures = load_kar2019(plain).stimuli.pictures
    again = pickle.loads(pickle.dumps(pictures))
    np.testing.assert_array_equal(again[7], pictures[7])
    with pytest.raises(IndexError):
        pictures[1318]


@pytest.mark.slow
def test_identity(values, plain, tmp_path):
    """The same whatever the form; another where a pixel is."""
    identity = load_kar2019(plain).stimuli.identity
    assert load_kar2019(write(tmp_path / "a.h5", values, reverse=True)).stimuli.identity == identity
    assert load_kar2019(write(tmp_path / "b.h5", values, "f4", 1 / 255)).stimuli.identity == identity
    changed = values.copy()
    changed[600, 2, 3] ^= 1
    assert load_kar2019(write(tmp_path / "c.h5", changed)).stimuli.identity != identity


@pytest.mark.slow  # writes a file of the published size
def test_values_that_are_no_grey(tmp_path, values):
    path, wrong = write(tmp_path / "dataset.h5", values, dtype="f4"), {9: np.nan, 10: -200.0, 11: 900.0}
    with h5py.File(path, "r+") as file:
        for place, value in wrong.items():
            file["images"][place, 0, 0, 0] = value
    pictures = load_kar2019(path).stimuli.pictures
    for place, value in wrong.items():
        with pytest.raises(
            CornetError, match=rf"image {place} of .* {value}\b.*between 0 and 255; fetch the file"
        ):
            pictures[place]
    assert pictures[8].max() > 0


def refused(path):
    with pytest.raises(CornetError) as caught:
        load_kar2019(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert problem(path) in message
    return message


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            {"leave_out": ("ost",)},
            "has no dataset /ost, only i1, images, obj; fetch it with `cornet fetch kar2019`.",
        ),
        ({"leave_out": ("images",)}, "has no dataset /images, only"),
        (
            {"shape": (COUNT, 3, 128, 128)},
            "/images of uint8 1320 x 3 x 128 x 128, not numbers 1320 x 3 x 256 x 256",
        ),
        ({"shape": (1318, 3, 256, 256)}, "/images of uint8 1318 x 3"),
        ({"shape": (COUNT, 256, 256, 3)}, "/images of uint8 1320 x 256 x 256 x 3"),
        ({"dtype": "S1"}, "/images of |S1"),
        ({"obj": np.ones(COUNT - 1)}, "/obj of float64 1319, not one value per image (1,320)"),
        ({"obj": np.zeros(COUNT, [("a", "i1")])}, "not numbers or text"),
        ({"column": (COUNT // 2, 2)}, "/obj of float64 660 x 2"),
    ],
)
def test_wrong_content(form, message, tmp_path):
    path = write(tmp_path / "dataset.h5", None, **form)
    assert message in refused(path)


def test_files_that_are_none(plain, tmp_path):
    path = tmp_path / "dataset.h5"
    assert "does not exist; fetch it with `cornet fetch kar2019`." in refused(path)
    for content in (b"", b"<html>please log in</html>" * 100):
        path.write_bytes(content)
        assert "is truncated, damaged or not an HDF5 file (" in refused(path)
    with plain.open("rb") as whole:
        path.write_bytes(whole.read(5_000_000))
    assert "truncated file" in refused(path)
    assert "is truncated, damaged" in refused(tmp_path)  # a folder


def test_damage_within(tmp_path):
    """A compressed file in which bytes are wrong opens well and fails when it is read."""
    path = tmp_path / "dataset.h5"
    write(path, None, leave_out=("images",))
    with h5py.File(path, "r+") as file:
        images = file.create_dataset(
            "images", (COUNT, 3, 256, 256), "u1", chunks=(1, 3, 256, 256), compression="gzip", fletcher32=True
        )
        images[3, :] = np.random.default_rng(0).integers(0, 256, (3, 256, 256))
        place = images.id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place + 5000)
        file.write(b"wrong" * 100)
    assert problem(path) == ""
    with pytest.raises(CornetError, match=r"cannot be read \(.*\); fetch it again"):
        load_kar2019(path)
