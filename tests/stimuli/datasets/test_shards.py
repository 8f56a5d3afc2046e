"""Shards: read by LitData as by us, the same samples as class folders, in an order that keeps to a few at a time."""

import os
import pickle
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cornet.cli import app
from cornet.errors import CornetError
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.shard_format import DESCRIPTION, Item, item_at, item_offsets, pack
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.prepare import prepare_copy, verify_shards, write_shards
from cornet.stimuli.samples import ImageDataset, ImageSource, Key
from cornet.training.loaders import EpochSampler, ImageLoaders
from tests.helpers.stimuli.pictures import class_folders, jpeg, picture, write

TRAIN, VAL = 40, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Class folders with 40 training images, one of them truncated, and 6 validation images."""
    root = class_folders(tmp_path_factory.mktemp("source"), train=20, val=3)
    write(root / "train" / "n0000" / "train_3.JPEG", jpeg(picture())[:400])
    return root


@pytest.fixture(scope="module")
def shards(folder, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("shards")
    write_shards("imagenet", folder, target, per_shard=6, processes=1)
    return target


def copied(shards: Path, target: Path) -> Path:
    for path in shards.rglob("*"):
        if path.is_file():
            write(target / path.relative_to(shards), path.read_bytes())
    return target


def test_items_come_back_as_they_went_in():
    items = [Item(os.urandom(size), index, -3, "n/\u00e4.JPEG") for index, size in enumerate((0, 1, 4000))]
    data = pack(items)
    begins = item_offsets(data)
    found = [item_at(data[a:b]) for a, b in pairwise(begins)]
    assert found == items
    with pytest.raises(ValueError, match="not an item"):
        item_at(data[begins[1] : begins[2] + 1])


def test_the_same_samples_as_from_class_folders(folder, shards):
    views = ("center", "squash")
    expected = ImageFolder(folder, size=16, seed=5, views=views)
    source = ImageShards(shards, size=16, seed=5, views=views)
    assert isinstance(source, ImageSource)
    assert source.classes == expected.classes
    for mine, theirs in ((source.train(), expected.train()), (source.val(), expected.val())):
        assert isinstance(mine, ImageDataset)
        assert len(mine) == len(theirs)
        for index in range(len(mine)):
            for epoch in (0, 3):
                one, other = mine[Key(index, epoch)], theirs[Key(index, epoch)]
                assert torch.equal(one.image, other.image)
                assert one[1:3] == other[1:3]
                assert len(one.bad) == len(other.bad)
    bad = [path for index in range(TRAIN) for path in source.train()[Key(index, 0)].bad]
    assert bad == [f"{shards}/train/n0000/train_3.JPEG"]


def test_shards_of_a_smaller_copy_hold_its_files(folder, tmp_path):
    prepare_copy("imagenet", folder, tmp_path / "copy", pixels=24, processes=1)
    write_shards("imagenet", tmp_path / "copy", tmp_path / "shards", per_shard=50, processes=1)
    one, other = ImageFolder(tmp_path / "copy").train().files, ImageShards(tmp_path / "shards").train().files
    assert len(one) == TRAIN - 1
    assert all(one.read(i) == other.read(i) for i in range(len(one)))


def test_litdata_reads_them(folder, shards, tmp_path, monkeypatch):
    litdata = pytest.importorskip("litdata")
    monkeypatch.setattr("litdata.helpers._LITDATA_DISABLE_VERSION_CHECK", 1)  # it would ask the package index
    files = ImageFolder(folder).train().files
    data = litdata.StreamingDataset(str(copied(shards / "train", tmp_path / "train")))
    assert len(data) == TRAIN
    items = [data[i] for i in range(TRAIN)]
    assert sorted(item["index"] for item in items) == list(range(TRAIN))
    for item in items:
        assert bytes(item["image"]) == files.read(item["index"])
        assert item["label"] == files.label(item["index"])
        assert files.path(item["index"]).endswith(item["name"])


@pytest.mark.parametrize("world", [1, 3])
def test_an_epoch_shows_every_image_once_in_a_new_order(shards, world):
    train = ImageShards(shards, size=16, window=2).train()

    def shares(epoch, seed=0):
        samplers = [EpochSampler(TRAIN, seed, True, rank, world, train.epoch_order) for rank in range(world)]
        for sampler in samplers:
            sampler.set_epoch(epoch)
        return [[key.index for key in sampler] for sampler in samplers]

    first = shares(0)
    assert [len(share) for share in first] == [TRAIN // world] * world
    shown = [index for share in first for index in share]
    assert len(set(shown)) == len(shown) == TRAIN // world * world
    assert shares(0) == first
    assert shares(1) != first
    assert shares(0, seed=1) != first


def test_an_epoch_keeps_to_few_shards_at_a_time_and_ranks_to_their_own():
    """On 100 shards of 20 images: of 4 ranks each reads a quarter, about `window` of them at a time."""
    from cornet.stimuli.datasets.shard_format import ShardSet
    from cornet.stimuli.datasets.shards import ShardFiles

    about = ShardSet("made up", "", ["a", "b"], {"train": [1000, 1000]}, 20, {"train": [0] * 100})
    files = ShardFiles(None, about, "train", window=5)  # no store: nothing is read
    read = []
    for rank in range(4):
        order = files.epoch_order(0, 0, rank, 4)
        shard = files._place[order] // 20
        read.append(set(shard.tolist()))
        assert len(read[-1]) in (25, 26)
        spans = [np.flatnonzero(shard == one) for one in read[-1]]
        assert (
            max(span[-1] - span[0] for span in spans) <= 20 * 6
        )  # a shard is in use for `window` shards' time
        assert np.mean([len(set(shard[i : i + 20])) for i in range(0, 480, 20)]) > 4  # and they are mixed
    assert sum(len(a & b) for a in read for b in read if a is not b) <= 2 * 3
    assert len(set.union(*read)) == 100


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_in_the_middle_of_an_epoch(shards, workers):
    """The images after a random step are those that an epoch without a stop still has."""
    source = ImageShards(shards, size=16, window=2)
    whole = list(ImageLoaders(source, batch_size=4, workers=workers).train_dataloader())
    step = random.SystemRandom().randrange(1, len(whole))
    loader = ImageLoaders(source, batch_size=4, workers=workers).train_dataloader()
    loader.done = lambda: step
    rest = list(loader)
    assert len(rest) == len(whole) - step, f"stopped at step {step}"
    for one, other in zip(rest, whole[step:], strict=True):
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.images, other.images)
    assert len(list(loader)) == len(whole)


def test_what_the_order_depends_on_is_told_to_checkpoints(folder, shards):
    assert ImageLoaders(ImageShards(shards, size=16), batch_size=4).state_dict()["devices"] == 1
    assert ImageLoaders(ImageFolder(folder, size=16), batch_size=4).state_dict()["devices"] is None


def test_a_source_travels_to_other_processes_without_its_open_files(shards):
    train = ImageShards(shards, size=16).train()
    expected = train[Key(0, 0)].image
    again = pickle.loads(pickle.dumps(train))
    assert not again.files.store._files
    assert torch.equal(again[Key(0, 0)].image, expected)


def test_writing_goes_on_where_it_was_stopped(folder, shards, tmp_path):
    target = copied(shards, tmp_path / "again")
    description = (target / DESCRIPTION).read_text()
    (target / DESCRIPTION).write_text(description.replace('"complete": true', '"complete": false'))
    gone = target / "train" / "chunk-0-3.bin"
    gone.unlink()
    with pytest.raises(
        CornetError, match=r"are incomplete; complete them with `cornet prepare imagenet .* --shards"
    ):
        ImageShards(target)
    kept = os.stat(target / "train" / "chunk-0-2.bin").st_mtime_ns
    write_shards("imagenet", folder, target, per_shard=6, processes=1)
    assert os.stat(target / "train" / "chunk-0-2.bin").st_mtime_ns == kept
    assert gone.read_bytes() == (shards / "train" / "chunk-0-3.bin").read_bytes()
    assert (target / DESCRIPTION).read_text() == description


def test_damage_is_found(folder, shards, tmp_path):
    target = copied(shards, tmp_path / "again")
    path = target / "train" / "chunk-0-1.bin"
    data = bytearray(path.read_bytes())
    data[1000] ^= 255
    path.write_bytes(data)
    with pytest.raises(
        CornetError, match=r"1 of 8 shards of .* damaged, such as chunk-0-1.bin, and were removed"
    ):
        verify_shards(target, 1)
    with pytest.raises(CornetError, match="incomplete"):
        ImageShards(target)
    write_shards("imagenet", folder, target, per_shard=6, processes=1)
    verify_shards(target, 1)


def test_shards_of_another_dataset_are_refused(folder, shards, tmp_path):
    with pytest.raises(
        CornetError, match=r"are of imagenet, not of places; give another data.folder, or data.name=im"
    ):
        ImageShards(shards, name="places")
    with pytest.raises(CornetError, match=r"there is no cornet-index.json in .*; give a folder of shards"):
        ImageShards(folder)
    # files of another set under the right names: of another size, and of the same
    other = class_folders(tmp_path / "source", train=20, val=3, height=50)
    write_shards("imagenet", other, tmp_path / "other", per_shard=6, processes=1)
    mixed = copied(shards, tmp_path / "mixed")
    write(mixed / "train" / "chunk-0-0.bin", (tmp_path / "other" / "train" / "chunk-0-0.bin").read_bytes())
    train = ImageShards(mixed, size=16).train()
    inside = int(np.flatnonzero(train.files._place == 0)[0])
    with pytest.raises(CornetError, match=r"has [\d,]+ bytes, not [\d,]+: .* of another data set"):
        train[Key(inside, 0)]
    data = bytearray((shards / "train" / "chunk-0-0.bin").read_bytes())
    first, second = item_offsets(bytes(data))[:2]
    item = item_at(bytes(data[first:second]))
    data[first:second] = pack([item._replace(index=item.index + 1)])[12:]
    write(mixed / "train" / "chunk-0-0.bin", data)
    with pytest.raises(CornetError, match=r"train/chunk-0-0.bin in .* is damaged or of another data set"):
        ImageShards(mixed, size=16).train()[Key(inside, 0)]
    description = (shards / DESCRIPTION).read_text()
    (mixed / DESCRIPTION).write_text(description.replace("n0001", "n0009"))
    with pytest.raises(CornetError, match="was changed after it was written"):
        ImageShards(mixed)


def test_mistakes_in_writing(folder, shards, tmp_path):
    with pytest.raises(CornetError, match="--images-per-shard 0 must be at least 1"):
        write_shards("imagenet", folder, tmp_path / "new", per_shard=0)
    with pytest.raises(CornetError, match=r"holds shards with per_shard 6, not 7"):
        write_shards("imagenet", folder, shards, per_shard=7)
    write(tmp_path / "other" / "thesis.txt", b"")
    with pytest.raises(CornetError, match="holds files that are not shards"):
        write_shards("imagenet", folder, tmp_path / "other", processes=1)
    with pytest.raises(CornetError, match="window=0 must be"):
        ImageShards(shards, window=0)


def test_on_the_command_line(folder, tmp_path):
    command = ["prepare", "imagenet", str(folder), str(tmp_path / "shards"), "--shards", "--workers", "1"]
    result = CliRunner().invoke(app, [*command, "--images-per-shard", "20"])
    assert result.exit_code == 0, result.output
    assert "46 images in 3 shards" in result.output
    assert "3 of 3 shards verified" in CliRunner().invoke(app, [*command, "--verify"]).output
    refused = CliRunner().invoke(app, [*command, "--short-side", "20"])
    assert isinstance(refused.exception, CornetError)
