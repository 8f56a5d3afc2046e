"""Images with maps of what is important: rendered objects, photographs with map files, ImageNet mixed with ClickMe."""

import numpy as np
import pytest
import torch
from PIL import Image

from cornet import CornetError
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.with_clickme import MixedImages, WithClickMe
from cornet.stimuli.fingerprint import map_fingerprint
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.objects.rendering import compose
from cornet.stimuli.samples import Key, Sample, collate
from tests.helpers.stimuli.pictures import class_folders, picture
from tests.helpers.stimuli.tfrecord_files import clickme
from tests.helpers.stimuli.tfrecord_files import write as write_records


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return RenderedObjects(
        train_images=16,
        val_images=8,
        size=32,
        variation=1.0,
        maps=True,
        shift=0.25,
        cache=tmp_path_factory.mktemp("c"),
    )


def test_maps_of_objects_are_where_they_are(objects):
    rows = objects.latents("val").to_dict("records")
    for k, row in enumerate(rows):
        targets = objects.val()[Key(k, 0)].targets
        traced = compose(row, 32)[1]
        mask = np.zeros((32, 32))
        mask[traced.rows, traced.columns] = traced.coverage
        places = np.mgrid[:32, :32]
        centres = [(places * one).sum((1, 2)) / one.sum() for one in (mask, targets["map"])]
        assert np.abs(centres[0] - centres[1]).max() < 1.2  # a blur at the edge moves the centre of mass
        assert targets["map_token"] == 1
        assert targets["map"].max() <= 1


def test_maps_of_objects_move_with_their_images(objects):
    """The images of the maps themselves, moved in the same way, are the maps."""
    train = objects.train()
    train.images = objects.object_maps("train")
    batch = collate(train.__getitems__([Key(k, 5) for k in range(16)]))
    assert torch.equal(batch.inputs[:, 0].float() / 255, batch.targets["map"])
    assert not torch.equal(batch.inputs[:, 0], torch.from_numpy(train.images))
    assert batch.targets["map_token"].tolist() == [1] * 16


def test_without_maps_samples_are_as_before(objects):
    plain = RenderedObjects(
        train_images=16, val_images=8, size=32, variation=1.0, shift=0.25, cache=objects.cache.folder.parent
    )
    for split in ("train", "val"):
        one, other = (getattr(source, split)()[Key(3, 1)] for source in (plain, objects))
        assert one.targets == {}
        assert torch.equal(one.image, other.image)


@pytest.fixture
def folder(tmp_path):
    """Photographs of two classes; maps of all but one."""
    root = class_folders(tmp_path / "images", height=40, width=56)
    for path in root.glob("*/*/*.JPEG"):
        to = tmp_path / "maps" / path.relative_to(root).with_suffix(".png")
        to.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:  # the map of an image is its own grey level
            Image.fromarray(np.asarray(image.convert("RGB"))[..., 1]).save(to)
    (tmp_path / "maps/train/n0000/train_1.png").unlink()
    return root


def test_map_files_follow_crops_and_flips(folder):
    source = ImageFolder(folder, size=32, maps=folder.parent / "maps")
    assert source.maps
    for split in ("train", "val"):
        images = getattr(source, split)()
        for k in range(len(images)):
            sample = images[Key(k, 2)]
            shown = sample.image[0] if split == "val" else sample.image
            missing = split == "train" and k == 1
            assert sample.targets["map_token"] == (0 if missing else 1)
            expected = np.zeros((32, 32)) if missing else shown[1].numpy() / 255
            assert np.abs(sample.targets["map"] - expected).max() < 1e-6
    before = map_fingerprint(source)
    Image.fromarray(np.zeros((40, 56), np.uint8)).save(folder.parent / "maps/train/n0001/train_0.png")
    changed = ImageFolder(folder, size=32, maps=folder.parent / "maps")
    assert map_fingerprint(changed) != before
    assert changed.train()[Key(3, 0)].targets["map_token"] == 0  # a constant map says nothing


def test_bad_map_files(folder):
    maps = folder.parent / "maps"
    with pytest.raises(CornetError, match="the folder of maps nowhere does not exist"):
        ImageFolder(folder, maps="nowhere")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(maps / "train/n0000/train_0.png")
    with pytest.raises(
        CornetError, match=r"train_0.png has 40 x 40 pixels, but its image 56 x 40; resize the map"
    ):
        ImageFolder(folder, maps=maps).train()[Key(0, 0)]
    (maps / "train/n0000/train_0.png").write_bytes(b"no image")
    with pytest.raises(CornetError, match=r"train_0.png cannot be read"):
        ImageFolder(folder, maps=maps).train()[Key(0, 0)]


class Numbered:
    """Samples that hold their index."""

    def __init__(self, count, mapped):
        self.count, self.mapped = count, mapped

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        targets = {"map": np.ones((4, 4), np.float32), "map_token": 1.0} if self.mapped else {}
        return Sample(torch.full((3, 4, 4), key[0], dtype=torch.uint8), 0, key[0], targets=targets)


def test_a_fifth_of_the_images_has_maps():
    mixed = MixedImages(Numbered(80, False), Numbered(15, True), 0.2, 4, seed=3)
    assert len(mixed) == 100
    shown = []
    for epoch in range(3):
        samples = mixed.__getitems__([Key(k, epoch) for k in range(100)])
        assert [one.index for one in samples] == list(range(100))
        assert sum(one.targets["map_token"] for one in samples) == 20
        assert [int(one.image[0, 0, 0]) for one in samples[:80]] == list(range(80))
        shown += [int(one.image[0, 0, 0]) for one in samples[80:]]
    for turn in range(4):  # every image with a map once before any is repeated, in another order each time
        assert sorted(shown[15 * turn : 15 * turn + 15]) == list(range(15))
    assert shown[:15] != shown[15:30]


@pytest.mark.slow
def test_imagenet_with_clickme(tmp_path):
    root = class_folders(tmp_path / "imagenet", classes=1000, train=1, val=1, height=32, width=32)
    heat = np.round(255 * picture(256, 256, 3)[..., 0] / 255).astype(np.uint8)
    write_records(tmp_path / "train-0", clickme(7, heat), clickme(999, heat))
    write_records(tmp_path / "val-0", clickme(5, heat))
    source = WithClickMe(root, clickme=tmp_path, size=64)
    train = source.train()
    assert len(train) == 1250
    batch = collate([train[Key(k, 0)] for k in (0, 1000, 1249)])
    assert batch.targets["map_token"].tolist() == [0, 1, 1]
    assert set(batch.labels[1:].tolist()) == {7, 999}
    assert batch.inputs.shape == (3, 3, 64, 64)
    sample = source.map_images()[Key(0, 0)]
    assert (sample.label, sample.image.shape) == (5, (1, 3, 64, 64))
    assert source.val()[Key(0, 0)].targets == {}


def test_bad_mixtures(folder, tmp_path):
    with pytest.raises(CornetError, match=r"has 2 classes, but ClickMe labels those of ImageNet"):
        WithClickMe(folder, clickme=tmp_path)
    with pytest.raises(CornetError, match="share=1 of ClickMe's images must be between 0 and 1"):
        WithClickMe(folder, clickme=tmp_path, share=1)
