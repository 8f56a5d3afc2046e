"""What a network was trained on: what changes the fingerprint of images, and what does not."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cornet.stimuli import fingerprint as module
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.fingerprint import fingerprint
from cornet.stimuli.objects.source import RenderedObjects
from cornet.stimuli.prepare import write_shards
from tests.helpers.stimuli.pictures import class_folders, jpeg, picture, write


def objects(**changes) -> RenderedObjects:
    return RenderedObjects(**{"train_images": 16, "val_images": 8, "size": 16, "cache": False, **changes})


def test_rendered_objects():
    first = fingerprint(objects())
    assert len(first) == 16
    assert int(first, 16)
    assert fingerprint(objects(shift=0.2, flip=False)) == first  # augmentation is no other set of images
    others = [objects(seed=1), objects(variation=1.0), objects(val_images=16), objects(size=32)]
    assert len({first, *map(fingerprint, others)}) == 5


def test_one_pixel_counts(monkeypatch):
    source = objects()
    first = fingerprint(source)
    image = source.images("val").copy()
    image[3, 7, 7] ^= 1
    source._images["val"] = image
    assert fingerprint(source) != first


def changed(folder: Path, how: str) -> None:
    one = folder / "train" / "n0000" / "train_1.JPEG"
    assert one.is_file()
    if how == "added":
        write(one.with_name("zzz.JPEG"), jpeg(picture()))
    elif how == "removed":
        one.unlink()
    elif how == "renamed":
        one.rename(one.with_name("train_7.JPEG"))
    elif how == "moved":
        one.rename(folder / "train" / "n0001" / "another.JPEG")
    elif how == "replaced":
        write(one, jpeg(picture(seed=99)))
    elif how == "class renamed":
        for split in ("train", "val"):
            (folder / split / "n0000").rename(folder / split / "m0000")


@pytest.mark.parametrize("how", ["added", "removed", "renamed", "moved", "replaced", "class renamed"])
def test_folders(tmp_path, how):
    folder = class_folders(tmp_path / "one")
    first = fingerprint(ImageFolder(folder, size=16))
    shutil.copytree(folder, tmp_path / "two")
    assert fingerprint(ImageFolder(tmp_path / "two", size=32, flip=False)) == first
    changed(tmp_path / "two", how)
    assert fingerprint(ImageFolder(tmp_path / "two", size=16)) != first


def test_of_many_files_some_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "READ", 3)
    source = ImageFolder(class_folders(tmp_path, train=5), size=16)
    first = fingerprint(source)
    files = source.train().files
    read = {0, round(np.linspace(0, len(files) - 1, 3)[1] - 0.5), len(files) - 1}
    for index in range(len(files)):
        before = Path(files.path(index)).read_bytes()
        write(Path(files.path(index)), b"")
        assert (fingerprint(source) != first) == (index in read), index
        write(Path(files.path(index)), before)


def test_shards_are_known_by_what_was_written_down(tmp_path):
    folder = class_folders(tmp_path / "source", train=4, val=2)
    write_shards("imagenet", folder, tmp_path / "shards", per_shard=3, processes=1)
    first = fingerprint(ImageShards(tmp_path / "shards", size=16))
    changed(folder, "replaced")
    write_shards("imagenet", folder, tmp_path / "others", per_shard=3, processes=1)
    assert fingerprint(ImageShards(tmp_path / "others", size=16)) != first


def test_a_source_of_somebodys_own():
    class Wrapped:
        def __init__(self, split):
            self.split = split

        def __len__(self):
            return len(self.split)

        def __getitem__(self, key):
            return self.split[key]

    class Own:
        classes = objects().classes

        def __init__(self, **changes):
            self.inner = objects(**changes)

        def train(self):
            return Wrapped(self.inner.train())

        def val(self):
            return Wrapped(self.inner.val())

    first = fingerprint(Own())
    assert fingerprint(Own()) == first != fingerprint(Own(seed=1))
