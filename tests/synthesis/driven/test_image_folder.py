"""The folder of images: PNG within a level, other settings and other files refused, hostile names inside the folder."""

import json

import numpy as np
import pytest

from cornet.errors import CornetError
from cornet.synthesis.driven.image_folder import SETTINGS, ImageFolder, file_stem, read_png

NAMES = np.array(["first", "../../etc/x", "first"])
COLUMNS = np.array([1, 2])


def opened(path, **settings):
    return ImageFolder(path, NAMES, COLUMNS, {"mode": "stretch", "steps": 5, **settings})


@pytest.mark.parametrize("channels", [1, 3])
def test_images_come_back(tmp_path, channels):
    folder = opened(tmp_path / "out")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, channels)).astype(np.uint8)
    assert folder.read(0, 0) is None
    folder.write(0, 0, pixels)
    folder.write(1, 0, 255 - pixels)
    again = opened(tmp_path / "out")
    np.testing.assert_array_equal(again.read(0, 0), pixels)
    np.testing.assert_array_equal(again.read(1, 0), 255 - pixels)
    folder.path(0, 0).write_bytes(b"no png")
    assert again.read(0, 0) is None


def test_names_stay_inside_and_differ(tmp_path):
    folder = opened(tmp_path / "out")
    paths = [folder.path(k, 0) for k in range(2)]
    assert all(path.parent == tmp_path / "out" for path in paths)
    assert [path.name for path in paths] == ["001-.._.._etc_x-start0.png", "002-first-start0.png"]
    assert len(file_stem(7, "x" * 500)) < 80


def test_other_settings_and_other_files_are_refused(tmp_path):
    opened(tmp_path / "out")
    with pytest.raises(
        CornetError, match=r"images of other settings \(steps=5, not 6\); name another folder"
    ):
        opened(tmp_path / "out", steps=6)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(CornetError, match=r"has other files and no settings\.json"):
        opened(tmp_path / "full")
    assert not (tmp_path / "full" / SETTINGS).exists()
    with pytest.raises(CornetError, match="is a file"):
        opened(tmp_path / "full" / "notes.txt")
    (tmp_path / "out" / SETTINGS).write_text(json.dumps(["no settings"]))
    with pytest.raises(CornetError, match="is not JSON with settings"):
        opened(tmp_path / "out")


def test_what_is_no_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert read_png(tmp_path / "a.png") is None
    assert read_png(tmp_path / "none.png") is None
    (tmp_path / "d.png").mkdir()
    assert read_png(tmp_path / "d.png") is None
