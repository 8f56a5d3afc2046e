"""Rendered objects as a source of images: augmentation, and the cache on disk."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from cornet.stimuli.objects import (
    CATEGORIES,
    RENDERER_VERSION,
    RenderedObjects,
    render,
    source,
)
from cornet.stimuli.samples import ImageDataset, ImageSource, Key, collate


def _small(folder: Path | bool | None, **changes: object) -> RenderedObjects:
    arguments = {"train_images": 16, "val_images": 8, "size": 16, "antialias": 1}
    return RenderedObjects(cache=folder, **{**arguments, **changes})  # type: ignore[arg-type]


def test_source(tmp_path: Path) -> None:
    objects = RenderedObjects(train_images=128, val_images=64, size=32, antialias=1, cache=tmp_path)
    train, val = objects.train(), objects.val()
    assert isinstance(objects, ImageSource)
    assert isinstance(train, ImageDataset)
    assert isinstance(val, ImageDataset)
    assert (objects.name, objects.views, objects.in_memory) == ("objects", ("center",), True)
    assert objects.classes == list(CATEGORIES)
    assert (len(train), len(val)) == (128, 64)
    batch = collate(train.__getitems__([Key(i, 3) for i in range(128)]))
    assert batch.images.shape == (128, 3, 32, 32)
    assert batch.images.dtype == torch.uint8
    assert torch.equal(batch.images[:, 0], batch.images[:, 2])
    assert torch.bincount(batch.labels).tolist() == [16] * 8
    names = objects.latents("train").category_name
    assert [objects.classes[k] for k in batch.labels] == list(names)
    assert not {i.tobytes() for i in objects.images("train")} & {i.tobytes() for i in objects.images("val")}
    sample = val[Key(10, 0)]
    assert sample.image.shape == (1, 3, 32, 32)
    assert (sample.label, sample.index) == (2, 10)
    assert np.array_equal(
        sample.image[0, 1].numpy(), render(objects.latents("val")[10:11], 32, antialias=1)[0]
    )
    scaled = objects.images("train") / 255
    assert scaled.mean() == pytest.approx(objects.mean[0], abs=0.03)
    assert scaled.std() == pytest.approx(objects.std[0], abs=0.03)


def test_augmentation_is_a_function_of_seed_epoch_and_index() -> None:
    train = _small(False, size=32).train()
    keys = [Key(i, epoch) for epoch in (0, 1) for i in range(16)]
    batch = collate(train.__getitems__(keys)).images
    for place in (0, 9, 20, 31):
        assert torch.equal(train[keys[place]].image, batch[place])
    assert torch.equal(collate(train.__getitems__(keys[::-1])).images.flip(0), batch)
    assert not torch.equal(batch[:16], batch[16:])
    again = source.TrainObjects(train.images, shift=train.moves["shift"], flip=True, seed=1)
    assert not torch.equal(collate(again.__getitems__(keys)).images, batch)
    plain = source.TrainObjects(train.images, shift=0, flip=False, seed=0)
    assert np.array_equal(plain[Key(5, 8)].image[0].numpy(), train.images[5])


def test_augmentation_shifts_and_mirrors() -> None:
    # One bright pixel tells where an image went.
    images = np.zeros((1, 33, 33), np.uint8)
    images[0, 16, 20] = 255
    train = source.TrainObjects(images, shift=3, flip=True, seed=0)
    shown_at = {
        tuple(int(k) for k in np.argwhere(sample.image[0].numpy())[0])
        for sample in train.__getitems__([Key(0, epoch) for epoch in range(2000)])
    }
    expected = {(row, x) for row in range(13, 20) for column in range(17, 24) for x in (column, 32 - column)}
    assert shown_at == expected
    assert images[0, 16, 20] == 255


def test_reflection_at_the_edges() -> None:
    images = np.arange(20 * 20, dtype=np.uint16).astype(np.uint8).reshape(1, 20, 20)
    train = source.TrainObjects(images, shift=2, flip=False, seed=0)
    padded = np.pad(images[0], 2, mode="reflect")
    windows = [padded[i : i + 20, j : j + 20] for i in range(5) for j in range(5)]
    for epoch in range(20):
        got = train[Key(0, epoch)].image[0].numpy()
        assert any(np.array_equal(got, window) for window in windows)


def _forbid(*_: object, **__: object) -> np.ndarray:
    raise AssertionError("rendered although it was kept")


def test_cache_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _small(tmp_path).images("train")
    assert [p.parent.name for p in tmp_path.rglob("*.npz")] == ["objects"]
    constructed = _small(tmp_path)
    monkeypatch.setattr(source, "render", _forbid)
    assert np.array_equal(constructed.images("train"), first)
    with pytest.raises(AssertionError, match="rendered"):
        constructed.images("val")


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "other", "encrypted", "packed"])
def test_cache_survives_damage(tmp_path: Path, damage: str) -> None:
    first = _small(tmp_path).images("train")
    (path,) = tmp_path.rglob("*.npz")
    whole = path.read_bytes()
    changed = bytearray(whole)
    if damage == "bit":
        changed[len(whole) // 2] ^= 4
    entry = whole.index(b"PK\x01\x02")  # in the archive's table of contents
    if damage == "encrypted":
        changed[entry + 8] ^= 1
    if damage == "packed":
        changed[entry + 10] ^= 64  # a compression that does not exist
    if damage == "other":
        # A whole file of another set of images under this name.
        _small(tmp_path, seed=1).images("train")
        (other,) = set(tmp_path.rglob("*.npz")) - {path}
        changed = bytearray(other.read_bytes())
    contents = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"not an archive"}
    path.write_bytes(contents.get(damage, bytes(changed)))
    assert np.array_equal(_small(tmp_path).images("train"), first)
    assert path.read_bytes() == whole
    assert not list(tmp_path.rglob("*.tmp"))


def test_cache_key_has_every_parameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[dict] = [
        {},
        {"train_images": 24},
        {"size": 17},
        {"variation": 0.25},
        {"seed": 1},
        {"antialias": 2},
        {"aperture": True},
        {"background": "noise"},
        {"background_contrast": (0.0, 0.1)},
    ]
    paths = {_small(tmp_path, **change).path("train") for change in changes}
    paths.add(_small(tmp_path).path("val"))
    monkeypatch.setattr(source, "RENDERER_VERSION", RENDERER_VERSION + 1)
    paths.add(_small(tmp_path).path("train"))
    assert len(paths) == len(changes) + 2
    # What is done after rendering is no part of it; a list from a configuration is a tuple from Python.
    monkeypatch.undo()
    same = [{"shift": 0.1}, {"flip": False}, {"val_images": 99}, {"background_contrast": [0.04, 0.12]}]
    assert {_small(tmp_path, **change).path("train") for change in same} == {_small(tmp_path).path("train")}


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "here"))
    _small(None).images("val")
    assert len(list((tmp_path / "here" / "objects").iterdir())) == 1
    _small(False, seed=7).images("val")
    assert len(list((tmp_path / "here" / "objects").iterdir())) == 1
    monkeypatch.delenv("CORNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert _small(None).path("val").is_relative_to(tmp_path / "there" / "cornet" / "objects")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _small(None).path("val").is_relative_to(tmp_path / ".cache" / "cornet" / "objects")


def test_unwritable_cache_costs_one_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    objects = _small(blocked)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(objects.images("train")) == 16
        assert len(objects.images("val")) == 8
    (warning,) = caught
    assert "CORNET_CACHE" in str(warning.message)


@pytest.mark.slow
def test_two_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from cornet.stimuli.objects import RenderedObjects;"
        "RenderedObjects(train_images=256, size=32, cache=sys.argv[1]).train()"
    )
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path)]) for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    (path,) = (tmp_path / "objects").iterdir()
    objects = RenderedObjects(train_images=256, size=32, cache=tmp_path)
    assert path == objects.path("train")
    assert np.array_equal(objects.images("train"), render(objects.latents("train"), 32))
