"""Class folders: what is found, and what is refused with which sentence."""

import os
import pickle
from pathlib import Path

import pytest

from cornet.errors import CornetError
from cornet.stimuli.folder import scan_splits

from .pictures import write


def make(root: Path, **splits: list[str]) -> Path:
    """Empty files: make(root, train=["cat/a.jpg"], ...)."""
    for split, names in splits.items():
        for name in names:
            write(root / split / name, b"")
    return root


def paths(files: object) -> list[str]:
    return [os.path.relpath(files.path(i), files.root) for i in range(len(files))]


def test_order_labels_and_paths(tmp_path: Path) -> None:
    make(
        tmp_path,
        train=["dog/b.JPEG", "dog/a.png", "cat/z.jpg", "cat/more/y.PNG"],
        val=["cat/1.jpg", "dog/2.jpeg"],
    )
    train, val = scan_splits(tmp_path)
    assert train.classes == val.classes == ["cat", "dog"]
    assert paths(train) == ["cat/more/y.PNG", "cat/z.jpg", "dog/a.png", "dog/b.JPEG"]
    assert [train.label(i) for i in range(4)] == [0, 0, 1, 1]
    assert [list(train.siblings(i)) for i in (0, 3)] == [[0, 1], [2, 3]]
    assert paths(val) == ["cat/1.jpg", "dog/2.jpeg"]
    with pytest.raises(IndexError):
        train.path(4)
    with pytest.raises(IndexError):
        train.path(-1)


def test_what_is_passed_over(tmp_path: Path) -> None:
    make(
        tmp_path,
        train=["cat/a.jpg", "cat/.b.jpg", "cat/._a.jpg", "cat/Thumbs.db", "cat/c.txt", ".git/x.jpg", "l.csv"],
    )
    make(tmp_path, val=["cat/a.jpg", "cat/.cache/b.jpg"])
    train, val = scan_splits(str(tmp_path))
    assert paths(train) == paths(val) == ["cat/a.jpg"]


@pytest.mark.parametrize("name", ["val", "val_in_folders", "validation"])
def test_names_of_the_validation_folder(tmp_path: Path, name: str) -> None:
    make(tmp_path, **{"train": ["cat/a.jpg"], name: ["cat/a.jpg"]})
    assert scan_splits(tmp_path)[1].root == tmp_path / name


def test_sorted_validation_images_beside_flat_ones(tmp_path: Path) -> None:
    make(tmp_path, train=["cat/a.jpg"], val=["a.jpg"], val_in_folders=["cat/a.jpg"])
    assert scan_splits(tmp_path)[1].root.name == "val_in_folders"


def test_unusual_names(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 \xf0.jpg")  # not UTF-8
    make(tmp_path, train=["a class/\u00fc.jpg", "a class/" + odd], val=["a class/x.jpg"])
    train, _ = scan_splits(tmp_path)
    assert all(os.path.isfile(train.path(i)) for i in range(2))


def test_links(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", train=["cat/a.jpg"], val=["cat/a.jpg"])
    root = tmp_path / "root"
    (root / "train").mkdir(parents=True)
    (root / "train" / "cat").symlink_to(tmp_path / "elsewhere" / "train" / "cat")
    (root / "val").symlink_to(tmp_path / "elsewhere" / "val")
    (tmp_path / "elsewhere" / "train" / "cat" / "loop").symlink_to(tmp_path / "elsewhere" / "train" / "cat")
    (tmp_path / "elsewhere" / "train" / "cat" / "b.jpg").symlink_to(
        tmp_path / "elsewhere" / "train" / "cat" / "a.jpg"
    )
    assert paths(scan_splits(root)[0]) == ["cat/a.jpg", "cat/b.jpg"]


def test_paths_are_compact_and_survive_pickling(tmp_path: Path) -> None:
    make(
        tmp_path,
        train=[f"c{c}/image_{i:05d}.jpg" for c in range(3) for i in range(200)],
        val=["c0/a.jpg", "c1/a.jpg", "c2/a.jpg"],
    )
    train, _ = scan_splits(tmp_path)
    data = pickle.dumps(train)
    assert len(data) < 600 * (len("image_00000.jpg") + 8) + 1000
    assert paths(pickle.loads(data)) == paths(train)


def refused(root: Path, *parts: str) -> None:
    with pytest.raises(CornetError) as error:
        scan_splits(root)
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "ImageNet").mkdir()
    refused(tmp_path / "imagnet", "no folder", "imagnet", "there is ImageNet")
    refused(tmp_path / "nowhere" / "imagenet", "no folder")


def test_no_split(tmp_path: Path) -> None:
    refused(tmp_path, "no train/")
    make(tmp_path, Training=["cat/a.jpg"])
    refused(tmp_path, "no train/", "there is Training")
    make(tmp_path, train=["cat/a.jpg"], vals=["cat/a.jpg"])
    refused(tmp_path, "no val_in_folders/ or val/ or validation/", "there is vals")


def test_flat_validation_folder(tmp_path: Path) -> None:
    make(tmp_path, train=["cat/a.jpg"], val=["ILSVRC2012_val_00000001.JPEG"])
    refused(tmp_path, "val lie side by side", "must be sorted into one folder per class")


def test_validation_images_in_one_folder(tmp_path: Path) -> None:
    make(tmp_path, train=["cat/a.jpg", "dog/a.jpg"], val=["images/val_0.JPEG"])
    refused(tmp_path, "has none of the classes", "class images", "such as cat/")


def test_split_without_folders(tmp_path: Path) -> None:
    make(tmp_path, train=["readme.txt"])
    refused(tmp_path, "no class folders", "train")


def test_class_without_images(tmp_path: Path) -> None:
    make(tmp_path, train=["cat/a.jpg", "dog/a.avif", "eel/a.jpg"], val=["cat/a.jpg"])
    refused(tmp_path, "class dog", "has no images", ".png")


def test_different_classes(tmp_path: Path) -> None:
    make(tmp_path, train=["cat/a.jpg", "dog/a.jpg"], val=["cat/a.jpg"])
    refused(tmp_path, "class dog", "is missing in", "val")
    make(tmp_path, val=["dog/a.jpg", *(f"x{i}/a.jpg" for i in range(7))])
    refused(tmp_path, "classes x0, x1, x2, x3, x4 and 2 more", "are missing in", "train")


def test_unreadable_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, train=["cat/a.jpg"], val=["cat/a.jpg"])
    scandir = os.scandir

    def denied(path: str | bytes) -> object:
        if isinstance(path, bytes):  # root may read everything, so say it ourselves
            raise PermissionError(13, "Permission denied", os.fsdecode(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    refused(tmp_path, "cat", "cannot be read", "Permission denied")
