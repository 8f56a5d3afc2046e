"""Class folders: what is found, and what is refused with which sentence."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cornet.errors import CornetError
from cornet.names import encodable, escaped
from cornet.stimuli.datasets.class_folders import scan_splits
from tests.helpers.stimuli.pictures import write


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


SYSTEM = [
    *(".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini", ".nfs0000000000a1", ".~lock.a.jpg#", "~$a.jpg"),
    *("__MACOSX/a.jpg", ".ipynb_checkpoints/a.jpg", "@eaDir/a.jpg", "lost+found/a.jpg", ".Trash-1000/a.jpg"),
    *("$RECYCLE.BIN/a.jpg", "System Volume Information/a.jpg", ".snapshot/a.jpg", ".git/a.jpg", "Icon\r"),
]


def warned(caplog: pytest.LogCaptureFixture) -> str:
    """The one line that tells what is left out or taken in twice; "" for none."""
    lines = [record.getMessage() for record in caplog.records if record.name == "cornet"]
    caplog.clear()
    assert len(lines) <= 1
    return "".join(lines)


def test_what_systems_leave_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither classes nor images, and not worth a word."""
    make(
        tmp_path,
        train=["cat/a.jpg", *SYSTEM, *(f"cat/{name}" for name in SYSTEM)],
        val=["cat/a.jpg", *SYSTEM],
    )
    train, val = scan_splits(tmp_path)
    assert train.classes == val.classes == ["cat"]
    assert paths(train) == ["cat/a.jpg"]
    assert warned(caplog) == ""


def test_other_formats_are_images_and_other_files_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = ["a.JPG", "b.webp", "c.bmp", "d.tif", "e.tiff", "f.gif", "g.png", "h.jpeg"]
    left = [
        "a.avif",
        "b.avif",
        "c.txt",
        "d",
        "e.jpg.part",
        "f.jpg.crdownload",
        "more/z.avif",
        "g.a-very-odd-one",
    ]
    make(tmp_path, train=[f"cat/{name}" for name in images + left], val=["cat/a.jpg"])
    (tmp_path / "train/empty/within").mkdir(parents=True)
    write(tmp_path / "train/loose.jpg", b"")
    os.mkfifo(tmp_path / "train/cat/pipe.jpg")
    train, _ = scan_splits(tmp_path)
    assert paths(train) == [f"cat/{name}" for name in images]
    assert train.classes == ["cat"]
    assert warned(caplog) == (
        f"{tmp_path}: files with other extensions, skipped: 8 (.avif 3, none 2, .crdownload 1, .part 1, .txt 1); "
        "images outside class folders, skipped: 1; empty folders, skipped: 1; pipes, sockets and devices, skipped: 1"
    )


def test_links_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, train=["cat/a.jpg", "cat/b.jpg", "dog/c.jpg"], val=["cat/v.jpg", "dog/v.jpg"])
    cat = tmp_path / "train/cat"
    (cat / "again.jpg").symlink_to(cat / "a.jpg")
    os.link(cat / "b.jpg", cat / "hard.jpg")
    (cat / "nowhere.jpg").symlink_to("gone.jpg")
    (cat / "itself.jpg").symlink_to("itself.jpg")
    (cat / "above").symlink_to(cat)
    (tmp_path / "val/cat/leak.jpg").symlink_to(cat / "a.jpg")
    train, _ = scan_splits(tmp_path)
    names = ["a", "again", "b", "hard", "itself", "nowhere"]
    assert paths(train) == [*(f"cat/{name}.jpg" for name in names), "dog/c.jpg"]
    told = warned(caplog)
    for part in (
        "already contains, not followed: 1",
        "broken links",
        "image extension: 2",
        "as separate images: 2",
        "both splits: 1",
    ):
        assert part in told
    (tmp_path / "train/kitten").symlink_to(cat)
    make(tmp_path, val=["kitten/v.jpg"])
    scan_splits(tmp_path)
    assert "as separate images: 6" in warned(caplog)


def test_one_name_in_two_spellings(tmp_path: Path) -> None:
    """As when train/ comes from Linux (NFC) and val/ from a Mac (NFD)."""
    one, other = "caf\u00e9", "cafe\u0301"
    make(tmp_path, train=[f"{one}/a.jpg", "cafz/a.jpg"], val=[f"{other}/b.jpg", "cafz/c.jpg"])
    train, val = scan_splits(tmp_path)
    assert train.classes == val.classes == ["cafz", one]
    assert paths(val) == ["cafz/c.jpg", f"{other}/b.jpg"]
    assert [val.label(i) for i in range(2)] == [0, 1]
    make(tmp_path, train=[f"{other}/a.jpg"])
    refused(tmp_path, r"'cafe\u0301' and 'caf\xe9'", "put their images into one of them")


def test_names_of_any_bytes(tmp_path: Path) -> None:
    names = [b"caf\xe9", b"a\nb", b"\x1b[31m", b"back\\slash", b"\xff" * 255, "\u200c\u0646".encode()]
    for split in (b"train", b"val"):
        for name in names:
            folder = os.path.join(os.fsencode(tmp_path), split, name)
            os.makedirs(folder)
            with open(os.path.join(folder, b"\xe9" * 251 + b".jpg"), "wb"):
                pass
    train, _ = scan_splits(tmp_path)
    assert all(os.path.isfile(train.path(i)) for i in range(len(names)))
    written = [r"caf\xe9", r"a\nb", r"\x1b[31m", r"back\\slash", r"\xff" * 255, "\u200c\u0646"]
    assert sorted(train.classes) == sorted(written)
    assert all(name.encode("utf-8") for name in train.classes)


@given(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=6))
def test_other_names_are_written_otherwise(one: bytes, other: bytes) -> None:
    texts = [escaped(os.fsdecode(name)) for name in (one, other)]
    assert (texts[0] == texts[1]) == (one == other)
    for text in texts:
        text.encode("utf-8")
        assert len(text.splitlines()) == 1


def test_only_what_is_not_utf8_is_changed_in_a_configuration() -> None:
    bad = os.fsdecode(b"caf\xe9")
    given = {"folder": bad, "n": 1, "list": [bad, "a\\b"], "name": "caf\u00e9"}
    assert encodable(given) == {
        "folder": r"caf\xe9",
        "n": 1,
        "list": [r"caf\xe9", "a\\b"],
        "name": "caf\u00e9",
    }


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
    refused(tmp_path, "val are not sorted into classes", "put them into one folder per class")


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
