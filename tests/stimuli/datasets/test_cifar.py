"""CIFAR from made-up files of its layout, read by torchvision with the checksums of these files."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import CIFAR10, CIFAR100

from cornet.errors import CornetError
from cornet.stimuli.datasets import cifar
from cornet.stimuli.datasets.cifar import Cifar
from cornet.stimuli.samples import ImageDataset, ImageSource, Key, collate
from tests.helpers.stimuli.cifar_files import make


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_image_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    contents = make(monkeypatch, tmp_path, name)
    source = Cifar(tmp_path, name=name, pad=0, flip=False)
    assert isinstance(source, ImageSource)
    assert source.in_memory
    assert source.views == ("center",)
    assert len(source.classes) == int(name[5:])
    assert source.classes[3] == "class3"
    train, val = source.train(), source.val()
    assert isinstance(train, ImageDataset)
    assert isinstance(val, ImageDataset)
    for dataset, split in ((train, "train_list"), (val, "test_list")):
        images, labels = contents[split]
        assert len(dataset) == len(images)
        batch = collate(dataset.__getitems__([Key(i, 0) for i in range(len(images))]))
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape == (
            (len(images), 3, 32, 32) if dataset is train else (len(images), 1, 3, 32, 32)
        )
        assert (batch.images.reshape(images.shape).numpy() == images).all()
        assert batch.labels.tolist() == labels
        assert batch.indices.tolist() == list(range(len(images)))


@pytest.mark.parametrize("padding", ["mean", "reflect"])
def test_training_images_are_crops_of_the_padded_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padding: str
) -> None:
    images = make(monkeypatch, tmp_path, "cifar10")["train_list"][0]
    train = Cifar(tmp_path, padding=padding).train()
    mode = {"mode": "reflect"} if padding == "reflect" else {}
    seen = set()
    for epoch in range(60):
        padded = np.pad(images[7].astype(int), ((0, 0), (4, 4), (4, 4)), **mode)
        if padding == "mean":
            border = np.pad(np.zeros((32, 32), bool), 4, constant_values=True)
            padded[:, border] = np.array([125, 123, 114])[:, None]
        found = train[Key(7, epoch)].image.numpy()
        places = [
            (top, left, flip)
            for top in range(9)
            for left in range(9)
            for flip in (False, True)
            if (padded[:, top : top + 32, left : left + 32][..., :: -1 if flip else 1] == found).all()
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 40


def test_training_images_depend_on_seed_epoch_and_index_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(monkeypatch, tmp_path, "cifar10")
    one, other = Cifar(tmp_path, seed=1).train(), Cifar(tmp_path, seed=2).train()
    keys = [Key(i, e) for e in range(2) for i in range(50)]
    batch = collate(one.__getitems__(keys)).images
    assert torch.equal(batch.flip(0), collate(one.__getitems__(keys[::-1])).images)
    assert torch.equal(batch, torch.stack([one[key].image for key in keys]))
    assert not torch.equal(batch, collate(other.__getitems__(keys)).images)
    assert not torch.equal(batch[:50], batch[50:])


def test_other_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(monkeypatch, tmp_path, "cifar10")
    source = Cifar(tmp_path, size=48)
    assert source.train()[Key(0, 0)].image.shape == (3, 48, 48)
    assert source.val()[Key(0, 0)].image.shape == (1, 3, 48, 48)


def test_workers_give_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(monkeypatch, tmp_path, "cifar10")
    train = Cifar(tmp_path).train()
    keys = [Key(i, 2) for i in (5, 1, 3)]
    expected = collate(train.__getitems__(keys)).images
    loader = DataLoader(train, batch_sampler=[keys], collate_fn=collate, num_workers=1)
    assert torch.equal(next(iter(loader)).images, expected)
    assert torch.equal(collate(pickle.loads(pickle.dumps(train)).__getitems__(keys)).images, expected)


def test_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        CornetError, match=r"has no folder cifar-100-python; download cifar-100-python.tar.gz .* unpack it"
    ):
        Cifar(tmp_path, name="cifar100")
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(CornetError, match=r"unpack cifar-10-python.tar.gz"):
        Cifar(tmp_path)
    make(monkeypatch, tmp_path, "cifar10")
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(CornetError, match=r"data_batch_3 is missing"):
        Cifar(tmp_path)


def test_altered_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle can run code; one that is not the published file must not be opened."""

    class Hostile:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "opened"),)

    make(monkeypatch, tmp_path, "cifar10")
    for name in ("test_batch", "batches.meta"):
        path = tmp_path / "cifar-10-batches-py" / name
        before = path.read_bytes()
        path.write_bytes(pickle.dumps(Hostile()))
        with pytest.raises(CornetError, match=f"{name} differs from the published file"):
            Cifar(tmp_path)
        path.write_bytes(before)
    assert not (tmp_path / "opened").exists()


def test_users_files_must_be_the_published_ones() -> None:
    assert cifar.READERS == {"cifar10": CIFAR10, "cifar100": CIFAR100}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar1000"}, "name='cifar1000' is unknown; choose one of cifar10, cifar100"),
        ({"size": 0}, "size=0 must be 1 to"),
        ({"pad": 32}, "pad=32 must be from 0 to 31"),
        ({"padding": "zero"}, "choose one of mean, reflect"),
        ({"seed": -1}, "seed=-1 must not be negative"),
    ],
)
def test_arguments_out_of_range(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(CornetError, match=message):
        Cifar(tmp_path, **arguments)
