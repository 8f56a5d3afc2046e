"""Reading pictures out of archives, good and evil ones; every archive here is a real file."""

import multiprocessing
import pickle
import stat
import struct
import tracemalloc
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from cornet.brain.data.files import archive as module
from cornet.brain.data.files.archive import ZipPictures, image_names
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import ids, make_zip, png

NAMES = [f"{name}.png" for name in ids(6)]


def write(
    path: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data, method)
    return path


def greys(pictures: ZipPictures) -> list[int]:
    return [int(pictures[i][0, 0, 0]) for i in range(len(pictures))]


@pytest.mark.parametrize("folder", ["", "images/", "a/b/"])
def test_pictures_come_in_the_tables_order_flat_or_below_one_folder(tmp_path, folder):
    pictures = ZipPictures(make_zip(tmp_path / "s.zip", folder=folder), NAMES[::-1])
    assert len(pictures) == 6
    assert greys(pictures) == [50, 40, 30, 20, 10, 0]
    assert pictures[0].shape == (4, 4, 3)
    assert pictures[0].dtype == np.uint8
    assert greys(ZipPictures(tmp_path / "s.zip", [folder + name for name in NAMES])) == [
        0,
        10,
        20,
        30,
        40,
        50,
    ]


def test_what_macos_adds_is_no_picture_and_no_second_folder(tmp_path):
    extras = [("__MACOSX/images/._im00.png", b"x"), ("images/.DS_Store", b"x"), ("images/", b"")]
    path = write(tmp_path / "s.zip", [("images/im00.png", png(7)), *extras])
    assert greys(ZipPictures(path, ["im00.png"])) == [7]


def test_what_systems_leave_behind_is_no_picture(tmp_path):
    names = [
        "Thumbs.db",
        "set/desktop.ini",
        "@eaDir/a.png",
        ".ipynb_checkpoints/a.png",
        "./set/a.png",
        "set/b.png",
    ]
    path = write(tmp_path / "s.zip", [(name, png()) for name in names])
    assert set(image_names(path)) == {"./set/a.png", "set/b.png"}


def test_names_are_found_in_either_spelling(tmp_path):
    one, other = "caf\u00e9.png", "cafe\u0301.png"
    for kept, asked in ((one, other), (other, one)):
        pictures = ZipPictures(
            write(tmp_path / "s.zip", [(kept, png(7)), ("b.png", png(9))]), [asked, "b.png"]
        )
        assert greys(pictures) == [7, 9]
    both = write(tmp_path / "both.zip", [(one, png(7)), (other, png(9))])
    assert greys(ZipPictures(both, [one, other])) == [7, 9]


def test_identity_is_of_content_names_and_order_not_of_the_packing(tmp_path):
    identity = ZipPictures(make_zip(tmp_path / "a.zip"), NAMES).identity
    assert ZipPictures(make_zip(tmp_path / "b.zip", folder="images/"), NAMES).identity == identity
    stored = write(tmp_path / "c.zip", [(n, png(10 * i)) for i, n in enumerate(NAMES)], zipfile.ZIP_STORED)
    assert ZipPictures(stored, NAMES).identity == identity
    assert ZipPictures(stored, NAMES[::-1]).identity != identity
    other = write(tmp_path / "d.zip", [(n, png(10 * i + (i == 3))) for i, n in enumerate(NAMES)])
    assert ZipPictures(other, NAMES).identity != identity


def test_the_identity_of_a_file_that_was_written_anew_is_not_the_old_one(tmp_path):
    before = ZipPictures(write(tmp_path / "a.zip", [("x.png", png(1))]), ["x.png"]).identity
    after = ZipPictures(write(tmp_path / "a.zip", [("x.png", png(2))]), ["x.png"]).identity
    assert before != after


class _Dataset(torch.utils.data.Dataset):
    def __init__(self, pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return int(self.pictures[index][0, 0, 0])


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_read_what_the_parent_has_open(tmp_path, start):
    pictures = ZipPictures(make_zip(tmp_path / "s.zip", 60), [f"{name}.png" for name in ids(25)])
    assert int(pictures[3][0, 0, 0]) == 30  # opened here first
    loader = torch.utils.data.DataLoader(
        _Dataset(pictures),
        batch_size=5,
        num_workers=2,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    assert torch.cat(list(loader)).tolist() == [10 * i for i in range(25)]
    assert int(pictures[4][0, 0, 0]) == 40


def test_many_threads_read_at_once(tmp_path):
    pictures = ZipPictures(make_zip(tmp_path / "s.zip", 25), [f"{name}.png" for name in ids(25)])
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: int(pictures[i % 25][0, 0, 0]), range(500)))
    assert got == [10 * (i % 25) for i in range(500)]


def test_an_archive_that_changed_is_refused_where_it_is_opened_anew(tmp_path):
    path = make_zip(tmp_path / "s.zip")
    copy = pickle.loads(pickle.dumps(ZipPictures(path, NAMES)))
    assert greys(copy)[1] == 10
    copy = pickle.loads(pickle.dumps(copy))
    make_zip(path, 7)
    with pytest.raises(CornetError, match=r"changed while it was in use; load it again"):
        copy[0]


def test_missing_images_are_counted_with_an_example(tmp_path):
    with pytest.raises(CornetError, match=r"^2 of 8 images, such as 'im98.png', are not in .*s\.zip; .*\.$"):
        ZipPictures(make_zip(tmp_path / "s.zip"), [*NAMES, "im98.png", "im99.png"])


def test_what_cannot_be_decoded_names_file_and_archive(tmp_path):
    path = write(tmp_path / "s.zip", [("a.png", png(size=64)[:60]), ("b.png", b"hello"), ("c.png", b"")])
    pictures = ZipPictures(path, ["a.png", "b.png", "c.png"])
    for i, why in enumerate(["damaged", "not an image", "the file is empty"]):
        with pytest.raises(
            CornetError, match=rf"the image '{'abc'[i]}\.png' in .*s\.zip cannot be decoded: .*{why}"
        ):
            pictures[i]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/im00.png", "is an absolute path"),
        ("C:/im00.png", "is an absolute path"),
        ("c:im00.png", "is an absolute path"),
        ("\\\\server\\im00.png", "is an absolute path"),
        ("../im00.png", "points outside the archive"),
        ("a/../../im00.png", "points outside the archive"),
        ("a\\..\\im00.png", "points outside the archive"),
    ],
)
def test_names_that_lead_out_are_refused(tmp_path, name, why):
    path = write(tmp_path / "s.zip", [(name, png()), ("im00.png", png())])
    with pytest.raises(CornetError, match=f"which {why}; this is not supported"):
        ZipPictures(path, ["im00.png"])


@pytest.mark.parametrize(
    ("kind", "why"), [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "is not a regular file")]
)
def test_links_and_devices_are_refused(tmp_path, kind, why):
    info = zipfile.ZipInfo("im00.png")
    info.external_attr = (kind | 0o777) << 16
    with pytest.raises(CornetError, match=f"'im00.png', which {why};"):
        ZipPictures(write(tmp_path / "s.zip", [(info, b"/etc/passwd")]), ["im00.png"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_occur_twice_are_refused(tmp_path):
    path = write(tmp_path / "s.zip", [("im00.png", png()), ("im00.png", png(1))])
    with pytest.raises(CornetError, match=r"contains 'im00.png' 2 times, but names must be unique"):
        ZipPictures(path, ["im00.png"])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_packing_are_refused(tmp_path, method):
    path = write(tmp_path / "s.zip", [("im00.png", png())], method)
    with pytest.raises(
        CornetError, match=rf"uses compression method {method}, while only deflate is supported"
    ):
        ZipPictures(path, ["im00.png"])


def edited(path: Path, offset: int, value: bytes, local: int | None = None) -> Path:
    """Change a field of the only entry's record in the table of contents (and of its local header)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + offset
    data[at : at + len(value)] = value
    if local is not None:
        data[local : local + len(value)] = value
    path.write_bytes(bytes(data))
    return path


def test_encrypted_entries_are_refused(tmp_path):
    path = edited(write(tmp_path / "s.zip", [("im00.png", png())]), 8, struct.pack("<H", 1), local=6)
    with pytest.raises(CornetError, match=r"'im00.png', which is encrypted;"):
        ZipPictures(path, ["im00.png"])


def test_an_entry_whose_own_header_is_damaged_cannot_be_read(tmp_path):
    path = write(tmp_path / "s.zip", [("im00.png", png())])
    data = bytearray(path.read_bytes())
    data[26] ^= 0xFF  # the length of the name in the local header
    path.write_bytes(bytes(data))
    with pytest.raises(CornetError, match=r"the image 'im00.png' in .* cannot be read .*damaged"):
        ZipPictures(path, ["im00.png"])[0]


def test_an_entry_that_claims_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("im00.png", bytes(module.MAX_ENTRY + 1))
    with pytest.raises(CornetError, match=r"declares 268,435,457 bytes, more than the limit of 268,435,456"):
        ZipPictures(tmp_path / "s.zip", ["im00.png"])


def test_an_archive_that_grows_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RATIO_FROM", 2**20)
    path = write(tmp_path / "s.zip", [(f"im{i:02d}.png", bytes(2**20)) for i in range(4)])
    with pytest.raises(
        CornetError, match=r"would expand to 4,194,304, but the limits are 100 times its size"
    ):
        ZipPictures(path, ["im00.png"])


def test_entries_that_share_bytes_are_refused(tmp_path):
    """The bomb whose entries overlap: many records of the table of contents for the same bytes."""
    path = write(tmp_path / "s.zip", [("im00.png", np.random.default_rng(0).bytes(5000))])
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    record = data[start:end]
    records = b"".join(record.replace(b"im00", b"im%02d" % i) for i in range(50))
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHI", 50, 50, len(records))
    path.write_bytes(data[:start] + records + tail)
    with pytest.raises(CornetError, match="so some of them overlap"):
        ZipPictures(path, ["im00.png"])


def test_a_claim_that_is_too_small_costs_no_memory_and_is_found_out(tmp_path):
    path = edited(
        write(tmp_path / "s.zip", [("im00.png", bytes(2**26))]), 24, struct.pack("<I", 1000), local=22
    )
    pictures = ZipPictures(path, ["im00.png"])
    tracemalloc.start()
    with pytest.raises(CornetError, match=r"the image 'im00.png' in .* cannot be read \(.*CRC"):
        pictures[0]
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_claim_that_is_too_large_is_found_out(tmp_path):
    path = edited(write(tmp_path / "s.zip", [("im00.png", png())]), 24, struct.pack("<I", 10**6), local=22)
    with pytest.raises(CornetError, match=r"cannot be read \(.*of 1,000,000 bytes are present"):
        ZipPictures(path, ["im00.png"])[0]


def test_a_wrong_checksum_is_found_out(tmp_path):
    path = write(tmp_path / "s.zip", [("im00.png", png())])
    path = edited(path, 16, struct.pack("<I", zlib.crc32(b"other")), local=14)
    with pytest.raises(CornetError, match=r"cannot be read \(Bad CRC-32"):
        ZipPictures(path, ["im00.png"])[0]


@pytest.mark.parametrize("damage", ["half", "text", "empty", "none"])
def test_what_is_no_whole_archive_is_refused(tmp_path, damage):
    path = make_zip(tmp_path / "s.zip")
    data = path.read_bytes()
    if damage == "none":
        path.unlink()
    else:
        path.write_bytes({"half": data[: len(data) // 2], "text": b"<html>404</html>", "empty": b""}[damage])
    with pytest.raises(
        CornetError, match=r"the archive .* cannot be read|is not a complete zip archive"
    ) as error:
        ZipPictures(path, NAMES)
    assert str(path) in str(error.value)


def test_any_flipped_byte_gives_the_picture_or_one_sentence(tmp_path):
    path = write(tmp_path / "s.zip", [("im00.png", png(9))])
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 0xFF
        path.write_bytes(bytes(data))
        try:
            assert greys(ZipPictures(path, ["im00.png"])) == [9]
        except CornetError:
            refused += 1
    assert refused > len(whole) / 2
