"""Photographs from class folders to samples, in this process and in loaders' workers."""

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from cornet.errors import CornetError
from cornet.stimuli.datasets import photographs
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.decode import decode_image
from cornet.stimuli.geometry import random_box, random_generator, resize_crop
from cornet.stimuli.samples import IGNORED, ImageDataset, ImageSource, Key, collate
from tests.helpers.stimuli.pictures import class_folders, encode, jpeg, picture, write


def test_an_image_source(tmp_path: Path) -> None:
    source = ImageFolder(class_folders(tmp_path), size=32, name="imagenet", views=["center", "squash"])
    assert isinstance(source, ImageSource)
    assert source.classes == ["n0000", "n0001"]
    assert (source.name, source.size, source.views, source.in_memory) == (
        "imagenet",
        32,
        ("center", "squash"),
        False,
    )
    train, val = source.train(), source.val()
    assert isinstance(train, ImageDataset)
    assert isinstance(val, ImageDataset)
    assert (len(train), len(val)) == (6, 4)
    batch = collate(train.__getitems__([Key(i, 0) for i in range(6)]))
    assert batch.images.shape == (6, 3, 32, 32)
    assert batch.images.dtype == torch.uint8
    assert batch.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert batch.indices.tolist() == list(range(6))
    assert batch.bad == ()
    batch = collate(val.__getitems__([Key(i, 0) for i in range(4)]))
    assert batch.images.shape == (4, 2, 3, 32, 32)
    assert batch.labels.tolist() == [0, 0, 1, 1]


def test_training_images_depend_on_seed_epoch_and_index_alone(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    one, same, other = (ImageFolder(folder, size=16, seed=seed).train() for seed in (1, 1, 2))
    key = Key(4, 7)
    expected = one[key].image
    for i in range(6):
        one[Key(i, 0)]
    torch.manual_seed(99)
    assert torch.equal(one[key].image, expected)
    assert torch.equal(same[key].image, expected)
    assert not torch.equal(other[key].image, expected)
    assert not torch.equal(one[Key(4, 8)].image, expected)


def test_a_training_image_is_the_drawn_crop(tmp_path: Path) -> None:
    train = ImageFolder(class_folders(tmp_path), size=16, seed=3).train()
    flips = 0
    for epoch in range(20):
        image = decode_image(Path(train.files.path(2)).read_bytes())
        rng = random_generator(3, epoch, 2)
        box = random_box(48, 64, rng)
        flips += (flip := bool(rng.random() < 0.5))
        assert torch.equal(train[Key(2, epoch)].image, resize_crop(image, box, 16, flip=flip))
    assert 3 <= flips <= 17


def test_validation_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(photographs, "decode_image", lambda data: calls.append(1) or decode_image(data))
    source = ImageFolder(class_folders(tmp_path), size=28, views=["squash", "center"])
    assert source.short_side == 32
    sample = source.val()[Key(3, 0)]
    assert len(calls) == 1
    image = torch.from_numpy(picture_of(source, 3)).permute(2, 0, 1)
    squash = v2.Resize((28, 28))(image)
    center = v2.Compose([v2.Resize(32), v2.CenterCrop(28)])(image)
    assert (sample.image.int() - torch.stack([squash, center]).int()).abs().max() <= 1


def picture_of(source: ImageFolder, index: int):
    return decode_image(Path(source.val().files.path(index)).read_bytes())


def test_imagenets_protocol_by_default(tmp_path: Path) -> None:
    source = ImageFolder(class_folders(tmp_path))
    assert (source.size, source.short_side) == (224, 256)
    assert source.mean == (0.485, 0.456, 0.406)
    assert source.std == (0.229, 0.224, 0.225)


def test_small_images_pass_unchanged(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, height=64, width=64)
    source = ImageFolder(folder, size=64, val_resize=None, crop_scale=(1, 1), crop_ratio=(1, 1), flip=False)
    original = torch.from_numpy(picture_of(source, 0)).permute(2, 0, 1)
    assert torch.equal(source.val()[Key(0, 0)].image[0], original)
    train = source.train()
    original = torch.from_numpy(decode_image(Path(train.files.path(0)).read_bytes())).permute(2, 0, 1)
    assert torch.equal(train[Key(0, 5)].image, original)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_the_same_samples(tmp_path: Path, method: str) -> None:
    train = ImageFolder(class_folders(tmp_path), size=16).train()
    keys = [[Key(i, 2) for i in (0, 3, 5)], [Key(i, 2) for i in (1, 2, 4)]]
    loader = DataLoader(
        train, batch_sampler=keys, collate_fn=collate, num_workers=1, multiprocessing_context=method
    )
    for found, batch in zip(loader, keys, strict=True):
        expected = collate(train.__getitems__(batch))
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.labels, expected.labels)


def test_datasets_can_be_pickled(tmp_path: Path) -> None:
    source = pickle.loads(pickle.dumps(ImageFolder(class_folders(tmp_path), size=16)))
    assert source.val()[Key(0, 0)].label == 0


BAD = {
    "empty": b"",
    "text": b"this is not an image\n",
    "truncated": jpeg(picture())[:700],
    "truncated png": encode(picture())[:700],
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_training_file_is_replaced_by_the_next_of_its_class(tmp_path: Path, kind: str) -> None:
    train = ImageFolder(class_folders(tmp_path), size=16, crop_scale=(1, 1), flip=False).train()
    write(Path(train.files.path(2)), BAD[kind])  # the last of its class: the next is the first
    sample = train[Key(2, 0)]
    assert sample.bad == (train.files.path(2),)
    assert (sample.label, sample.index) == (0, 2)
    assert torch.equal(sample.image, train[Key(0, 0)].image)
    assert train[Key(2, 1)].bad == sample.bad
    assert train[Key(1, 0)].bad == ()


def test_several_bad_training_files(tmp_path: Path) -> None:
    train = ImageFolder(class_folders(tmp_path), size=16).train()
    for index in (3, 4):
        write(Path(train.files.path(index)), b"")
    assert train[Key(3, 0)].bad == (train.files.path(3), train.files.path(4))
    batch = collate(train.__getitems__([Key(i, 0) for i in range(6)]))
    assert sorted(set(batch.bad)) == [train.files.path(3), train.files.path(4)]


def test_a_file_that_is_gone_is_a_bad_file(tmp_path: Path) -> None:
    train = ImageFolder(class_folders(tmp_path), size=16).train()
    Path(train.files.path(0)).unlink()
    Path(train.files.path(1)).unlink()
    Path(train.files.path(1)).mkdir()
    assert train[Key(0, 0)].bad == (train.files.path(0), train.files.path(1))


def test_a_class_of_bad_files_only(tmp_path: Path) -> None:
    train = ImageFolder(class_folders(tmp_path), size=16).train()
    for index in range(3, 6):
        write(Path(train.files.path(index)), b"")
    with pytest.raises(CornetError, match=r"none of the 3 images in .*n0001 can be read"):
        train[Key(4, 0)]


def test_a_bad_validation_file_is_ignored_and_grey(tmp_path: Path) -> None:
    val = ImageFolder(class_folders(tmp_path), size=16, views=["center", "squash"]).val()
    write(Path(val.files.path(1)), b"")
    sample = val[Key(1, 0)]
    assert (sample.label, sample.index, sample.bad) == (IGNORED, 1, (val.files.path(1),))
    assert sample.image.shape == (2, 3, 16, 16)
    assert (sample.image == 128).all()
    assert sample.image.dtype == torch.uint8


def test_images_of_all_kinds_in_one_folder(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, classes=1, train=1, val=1)
    for number, mode in enumerate(["RGB", "RGBA", "L", "P", "LA", "1"]):
        data = encode(Image.fromarray(picture()).convert(mode), "PNG")
        write(folder / "train" / "n0000" / f"{number}.png", data)
    train = ImageFolder(folder, size=16).train()
    batch = collate(train.__getitems__([Key(i, 0) for i in range(7)]))
    assert batch.images.shape == (7, 3, 16, 16)
    assert batch.bad == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size=0 must be 1 to"),
        ({"views": ["centre"]}, "centre.*center, squash"),
        ({"views": []}, "one or more"),
        ({"views": ["center", "center"]}, "each once"),
        ({"crop_scale": (0, 1)}, "crop_scale"),
        ({"crop_scale": (0.5,)}, "crop_scale"),
        ({"crop_scale": (0.5, 0.1)}, "crop_scale"),
        ({"crop_ratio": (2, 1)}, "crop_ratio"),
        ({"val_resize": 256}, "val_resize=256 must be from 1 to 4"),
        ({"seed": -1}, "seed=-1 must not be negative"),
    ],
)
def test_arguments_out_of_range(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(CornetError, match=message):
        ImageFolder(class_folders(tmp_path), **arguments)
