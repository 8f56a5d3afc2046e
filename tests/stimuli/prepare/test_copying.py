"""The smaller copy: what is in it, stopping it at any moment, verifying it, and refusing one that is not complete."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from typer.testing import CliRunner

from cornet.cli import app
from cornet.errors import CornetError
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.prepared import JOURNAL, read_journal
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.decode import decode_image
from cornet.stimuli.prepare import prepare_copy, verify_copy, write_shards
from cornet.stimuli.prepare.reencode import reencode, target_size
from cornet.stimuli.samples import Key
from tests.helpers.stimuli.pictures import class_folders, encode, jpeg, picture, write


def files(folder: Path) -> dict[str, bytes]:
    """All images below a folder."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.parent != folder]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(found)}


@pytest.fixture
def source(tmp_path) -> Path:
    """Four large training images, one small one, two large validation images."""
    folder = class_folders(tmp_path / "source", train=2, val=1, height=60, width=90)
    write(folder / "train" / "n0001" / "small.JPEG", jpeg(picture(20, 30)))
    return folder


def test_a_copy_has_the_same_files_made_smaller(source, tmp_path):
    target = tmp_path / "copy"
    prepared = prepare_copy("imagenet", source, target, pixels=32, processes=1)
    assert prepared.complete
    assert prepared.images == {"train": 5, "val": 2}
    originals, copies = files(source), files(target)
    assert copies.keys() == originals.keys()
    for path, data in copies.items():
        if path.endswith("small.JPEG"):
            assert data == originals[path]
        else:
            assert decode_image(data).shape == (32, 48, 3)
            assert len(data) < len(originals[path])
    assert verify_copy(target, 1).images == prepared.images


def test_the_copy_looks_like_pillows(tmp_path):
    """Within a few grey levels of Pillow's bicubic, which is antialiased, too; quality 90 costs as much itself."""
    original = picture(300, 451)
    smaller = decode_image(reencode(jpeg(original, "444", 100), "short", 100, 100))
    expected = np.asarray(Image.fromarray(original).resize((150, 100), Image.Resampling.BICUBIC))
    assert smaller.shape == expected.shape
    difference = np.abs(smaller.astype(int) - expected)
    assert difference.mean() < 2
    other = np.abs(np.roll(smaller, 1, axis=1).astype(int) - expected)
    assert difference.mean() < other.mean() / 2


@pytest.mark.parametrize(
    ("size", "side", "pixels", "expected"),
    [
        ((375, 500), "short", 256, (256, 341)),
        ((500, 333), "short", 256, (384, 256)),
        ((375, 500), "long", 500, (375, 500)),
        ((1200, 1600), "long", 500, (375, 500)),
        ((200, 1000), "short", 256, (200, 1000)),
        ((4, 4000), "long", 500, (1, 500)),
    ],
)
def test_sizes(size, side, pixels, expected):
    assert target_size(*size, side, pixels) == expected
    assert target_size(*expected, side, pixels) == expected


def test_grey_stays_grey_and_everything_becomes_jpeg():
    grey = np.repeat(picture(80, 80)[..., :1], 3, axis=2)
    for data in (encode(grey), encode(Image.fromarray(grey[..., 0]), "JPEG")):
        assert simplejpeg.decode_jpeg_header(reencode(data, "short", 40, 90))[:3] == (40, 40, "Gray")
    assert simplejpeg.decode_jpeg_header(reencode(encode(picture(80, 80)), "short", 40, 90))[3] == "420"


def test_unreadable_originals_are_listed_and_left_out(source, tmp_path):
    broken = source / "train" / "n0000" / "broken.JPEG"
    write(broken, jpeg(picture())[:500])
    target = tmp_path / "copy"
    prepared = prepare_copy("imagenet", source, target, pixels=32, processes=1)
    assert list(prepared.unreadable) == ["train/n0000/broken.JPEG"]
    assert "damaged" in prepared.unreadable["train/n0000/broken.JPEG"]
    assert prepared.images == {"train": 5, "val": 2}
    assert len(ImageFolder(target, size=16).train()) == 5
    write(broken, jpeg(picture()))  # mended: the same command takes it in
    assert prepare_copy("imagenet", source, target, pixels=32, processes=1).images == {"train": 6, "val": 2}


def test_names_of_any_bytes_and_length(tmp_path):
    source, target = tmp_path / "source", tmp_path / os.fsdecode(b"copi\xe9")
    name = os.fsdecode(b"\xe9" * 251) + ".jpg"
    for split in ("train", "val"):
        write(source / split / os.fsdecode(b"caf\xe9\n") / name, jpeg(picture(60, 90)))
    write(source / "train" / os.fsdecode(b"caf\xe9\n") / os.fsdecode(b"b\xe9.jpg"), b"no image")
    target.mkdir()
    write(target / "lost+found" / "x", b"")
    words = ["prepare", "mine", str(source), str(target), "--short-side", "32", "--workers", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert r"train/caf\xe9\n/b\xe9.jpg: the data are not an image" in done.output
    folder = os.fsdecode(b"caf\xe9\n")
    assert files(target).keys() >= {f"train/{folder}/{name}", f"val/{folder}/{name}"}
    assert verify_copy(target, 1).images == {"train": 1, "val": 1}
    about = write_shards("mine", target, tmp_path / "shards", per_shard=2, processes=1)
    assert about.classes == [r"caf\xe9\n"]
    shards = ImageShards(tmp_path / "shards", name="mine", size=16)
    assert shards.train().files.path(0).endswith(r"train/caf\xe9\n/" + r"\xe9" * 251 + ".jpg")
    assert (shards.train()[Key(0, 0)].image == ImageFolder(target, size=16).train()[Key(0, 0)].image).all()


def test_training_sees_the_copy_as_it_sees_the_originals(source, tmp_path):
    target = tmp_path / "copy"
    prepare_copy("imagenet", source, target, pixels=32, processes=1)
    original, copy = ImageFolder(source, size=16).train(), ImageFolder(target, size=16).train()
    assert [original.files.label(i) for i in range(5)] == [copy.files.label(i) for i in range(5)]
    names = [[Path(data.files.path(i)).name for i in range(5)] for data in (original, copy)]
    assert names[0] == names[1]


@pytest.mark.slow
def test_several_processes_make_the_same_copy(source, tmp_path):
    prepare_copy("imagenet", source, tmp_path / "one", pixels=32, processes=1)
    prepare_copy("imagenet", source, tmp_path / "two", pixels=32, processes=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_what_is_done_is_not_done_again_and_what_changed_is(source, tmp_path):
    target = tmp_path / "copy"
    prepare_copy("imagenet", source, target, pixels=32, processes=1)
    times = {path: os.stat(target / path).st_mtime_ns for path in files(target)}
    write(source / "train" / "n0000" / "train_0.JPEG", jpeg(picture(60, 90, seed=99)))
    (target / "val" / "n0001" / "val_0.JPEG").unlink()
    with open(target / JOURNAL, "ab") as journal:
        journal.write(b'["train/n0000/tr')  # what a killed process may leave
    prepare_copy("imagenet", source, target, pixels=32, processes=1)
    changed = [path for path, time in times.items() if os.stat(target / path).st_mtime_ns != time]
    assert changed == ["train/n0000/train_0.JPEG", "val/n0001/val_0.JPEG"]
    verify_copy(target, 1)


@pytest.mark.slow
def test_killed_and_gone_on_with(tmp_path, capsys):
    """kill -9 in the middle: training refuses what is there and says how to go on; the same call makes the rest."""
    source = class_folders(tmp_path / "source", train=40, val=2, height=400, width=600)
    command = [sys.executable, "-m", "cornet", "prepare", "imagenet", str(source), str(tmp_path / "copy")]
    process = subprocess.Popen([*command, "--workers", "1"], stderr=subprocess.DEVNULL)
    journal = tmp_path / "copy" / JOURNAL
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(read_journal(tmp_path / "copy"))
    assert 0 < done < 84
    with pytest.raises(CornetError) as error:
        ImageFolder(tmp_path / "copy")
    told = f"is an incomplete copy of imagenet, with {done} of 84 images; complete it with `cornet prepare imagenet"
    assert told in str(error.value)
    assert str(error.value).endswith("--short-side 256 --quality 90`.")
    prepare_copy("imagenet", source, tmp_path / "copy", processes=1)
    assert f"{84 - done} of {84 - done} images written" in capsys.readouterr().err
    prepare_copy("imagenet", source, tmp_path / "whole", processes=1)
    assert files(tmp_path / "copy") == files(tmp_path / "whole")
    assert len(ImageFolder(tmp_path / "copy").train()) == 80


def test_a_damaged_copy_is_found_refused_and_mended(source, tmp_path):
    target = tmp_path / "copy"
    prepare_copy("imagenet", source, target, pixels=32, processes=1)
    whole = files(target)
    path = target / "train" / "n0000" / "train_1.JPEG"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    (target / "val" / "n0000" / "val_0.JPEG").rename(target / "val" / "n0000" / "gone.txt")
    with pytest.raises(
        CornetError, match=r"2 images of .* missing or damaged .* repair it with `cornet prepare"
    ):
        verify_copy(target, 1)
    with pytest.raises(CornetError, match=r"incomplete copy of imagenet, with 5 of 7 images"):
        ImageFolder(target)
    (target / "val" / "n0000" / "gone.txt").unlink()
    prepare_copy("imagenet", source, target, pixels=32, processes=1)
    assert files(target) == whole


def test_a_copy_that_lost_images_after_it_was_made_is_refused(source, tmp_path):
    target = tmp_path / "copy"
    prepare_copy("imagenet", source, target, pixels=32, processes=1)
    (target / "train" / "n0001" / "train_0.JPEG").unlink()
    with pytest.raises(
        CornetError, match=r"changed since it was made \(4 of 5 images of train, 2 of 2 images of val"
    ):
        ImageFolder(target)


def test_mistakes(source, tmp_path):
    def refused(match, target="copy", **arguments):
        with pytest.raises(CornetError, match=match):
            prepare_copy("imagenet", source, tmp_path / target, **{"processes": 1, "pixels": 32, **arguments})

    refused(r"--quality 0 must be from 1 to 100", quality=0)
    refused(r"--short-side 2 is too small; give at least 8 pixels", pixels=2)
    refused(r"contain one another", target="source/copy")
    write(tmp_path / "other" / "thesis.txt", b"")
    refused(r"holds files that are not a copy", target="other")
    prepare_copy("imagenet", source, tmp_path / "copy", pixels=32, processes=1)
    refused(
        r"holds a copy with pixels 32, not 40; complete that one with `cornet prepare imagenet .*", pixels=40
    )
    with pytest.raises(CornetError, match=r"holds no copy made by `cornet prepare`"):
        verify_copy(tmp_path / "other")


def test_on_the_command_line(source, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, ["prepare", *map(str, arguments)])

    target = tmp_path / "copy"
    result = run("imagenet", source, target, "--long-side", 64, "--quality", 80, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "7 images" in result.output
    described = json.loads((target / "prepared.json").read_text())
    assert (described["side"], described["pixels"], described["quality"]) == ("long", 64, 80)
    result = run("imagenet", source, target, "--verify", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "is complete" in result.output
    result = run("imagenet", source, target, "--long-side", 64, "--short-side", 32)
    assert isinstance(result.exception, CornetError)
