"""Images named by words: files, folders, bundles, rendered objects, and what cannot be read."""

import numpy as np
import pytest
from PIL import Image

from cornet.errors import CornetError
from cornet.stimuli.objects import CATEGORIES, RenderedObjects
from cornet.synthesis.images import joined, open_images, open_source
from tests.helpers.brain import neuron_bundle


def write(path, size=(16, 16), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_files_and_folders(tmp_path):
    a = write(tmp_path / "a.png")
    write(tmp_path / "mine" / "b.png", (40, 20), 1)
    write(tmp_path / "mine" / "c.png", (32, 32), 2)
    (tmp_path / "mine" / ".DS_Store").write_text("x")
    shown = open_images([str(tmp_path / "a.png"), str(tmp_path / "mine")], 16)
    assert shown.names == ["a.png", "b.png", "c.png"]
    assert shown.labels == ["", "", ""]
    np.testing.assert_array_equal(shown.pixels[0].permute(1, 2, 0).numpy(), a)
    assert shown.pixels.shape == (3, 3, 16, 16)
    assert shown.notes == [
        "2 of 3 images resized to 16 x 16 pixels, 1 of them after cutting out their central square"
    ]
    assert float(shown.scaled.max()) <= 1
    assert open_images([str(tmp_path / "mine")], 16, most=1).notes[-1] == "the first 1 of 2 images"


def test_class_folders_are_labels(tmp_path):
    for k, name in enumerate(("cat", "dog")):
        write(tmp_path / name / "x.png", value=k)
    shown = open_images([str(tmp_path)], 16)
    assert shown.labels == ["cat", "dog"]
    assert shown.names == ["cat/x.png", "dog/x.png"]


def test_rendered_objects(monkeypatch):
    shown = open_images(["objects:10"], 32)
    assert shown.labels == [CATEGORIES[k % 8] for k in range(10)]
    assert shown.simulated
    more = RenderedObjects(train_images=1, val_images=16, size=32, cache=False).images("val")
    np.testing.assert_array_equal(shown.pixels[:, 0].numpy(), more[:10])  # as a run's validation images


def test_bundles(tmp_path):
    folder = neuron_bundle.write(tmp_path / "mine", stimuli=6)
    every = open_source(str(folder), 16)
    ids = every.names[:2]
    some = open_source(f"{folder}:{ids[1]},{ids[0]}", 16)
    assert some.names == ids[::-1]
    np.testing.assert_array_equal(some.read(0), every.read(1))
    with pytest.raises(CornetError, match="has no stimulus 'zzz'; give ids of its 6 stimuli"):
        open_source(f"{folder}:zzz", 16)
    both = joined([some, every])
    assert len(both) == 8
    np.testing.assert_array_equal(both.read(2), every.read(0))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("nowhere.png", "nowhere.png does not exist; give image files"),
        ("objects:0", "must be objects:N"),
        ("objects:x", "must be objects:N"),
        ("{}/text.png", "cannot be used: the data are not an image"),
        ("{}/empty", "has no images"),
        ("{}/thin.png", "100 x 2 pixels, which cannot be shown at 16 x 16"),
        ("{}/tiny.png", "the short side must have at least 2"),
        ("{}/empty:s1", "has no stimulus_set.csv"),
    ],
)
def test_what_cannot_be_read(tmp_path, word, text):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "thin.png", (100, 2))
    write(tmp_path / "tiny.png", (1, 20))
    with pytest.raises(CornetError, match=text):
        open_images([word.format(tmp_path)], 16)


def test_no_images():
    with pytest.raises(CornetError, match="--image is missing"):
        open_images([], 16)
