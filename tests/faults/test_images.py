"""Training over images of every kind and name that a folder gathers in years, and over a copy of them."""

import json
import os
import shutil
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.helpers.faults.run_results import alike, finished, memory_peak, run_of
from tests.helpers.faults.starter import until

BAD = ("corrupt.jpg", "empty.jpg", "truncated.jpg", "truncated.png", "no-image.png", "huge.png", "huge.jpg")
HUGE = (20_000, 20_000)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """Two classes of 20 training and 6 validation images, and among cats whatever may be."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photographs")

    def picture(mode: str = "RGB") -> Image.Image:
        return Image.fromarray(rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)).convert(mode)

    for split, count in (("train", 20), ("val", 6)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                picture().save(root / split / name / f"{k:02}.jpg")
    cats = root / "train" / "cat"
    picture("CMYK").save(cats / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 65535, (48, 40), dtype=np.uint16)).save(cats / "grey16.png")
    (cats / "colour16.png").write_bytes(png(40, 48, rng.bytes(48 * (1 + 40 * 6)), depth=16))
    frames = [picture() for _ in range(3)]
    for name, form in (("gif.jpg", "GIF"), ("webp.png", "WEBP"), ("apng.png", "PNG")):
        frames[0].save(cats / name, form, save_all=True, append_images=frames[1:])
    whole = (cats / "00.jpg").read_bytes()
    (cats / "corrupt.jpg").write_bytes(whole[:600] + bytes(400) + whole[1000:])
    (cats / "empty.jpg").write_bytes(b"")
    (cats / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (cats / "truncated.png").write_bytes((cats / "grey16.png").read_bytes()[:-100])
    (cats / "no-image.png").write_text("no image")
    Image.new("1", HUGE).save(cats / "huge.png")
    (cats / "huge.jpg").write_bytes(resized(whole, *HUGE))
    (root / "val" / "dog" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return root


def png(width: int, height: int, rows: bytes, depth: int) -> bytes:
    """A PNG file of RGB; Pillow writes none of 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    line = len(rows) // height
    unfiltered = b"".join(b"\0" + rows[k * line + 1 : (k + 1) * line] for k in range(height))
    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(unfiltered))
        + chunk(b"IEND", b"")
    )


def resized(jpeg: bytes, width: int, height: int) -> bytes:
    """The same data under a header that says another size."""
    start = jpeg.index(b"\xff\xc0")
    return jpeg[: start + 5] + struct.pack(">HH", height, width) + jpeg[start + 9 :]


@pytest.mark.slow
def test_all_kinds_of_images_in_one_training(starter, photographs):
    run = starter.start(
        "data=imagefolder",
        f"data.folder={photographs}",
        "data.size=32",
        "model.width=0.1",
        "recipe.batch_size=8",
        "recipe.epochs=2",
        "brain=none",
        f"root={starter.folder / 'images'}",
    )
    first = peak = memory_peak(run.pid)
    while run.alive:
        peak = max(peak, memory_peak(run.pid))
        time.sleep(0.01)
    assert starter.wait() == 0, run.said.read_text()
    listed = pd.read_csv(run_of(starter.folder / "images") / "bad_files.csv")
    cats = [f"{photographs}/train/cat/{name}" for name in sorted(BAD)]
    assert [(row.split, row.path) for row in listed.itertuples()] == [
        *(("train", path) for path in cats),
        ("val", f"{photographs}/val/dog/cut.jpg"),
    ]
    assert run.said.read_text().count("huge.png cannot be read and is skipped in train") == 1
    assert peak - first < 400e6  # one of the huge ones would take 1200 MB


SMALL = (
    *("data=imagefolder", "data.size=32", "model.width=0.1", "brain=none", "recipe.batch_size=8"),
    *("loader.workers=0", "trainer.log_every_n_steps=1"),
)


def two_classes(root: Path, names: tuple[bytes, bytes], train: int = 16) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", 4)):
        for name in names:
            folder = os.fsencode(root / split) + b"/" + name
            os.makedirs(folder)
            for k in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(os.fsdecode(folder) + f"/{k:02}.png")
    return root


@pytest.mark.slow  # trains in another process
def test_names_of_any_bytes(starter):
    """Of the folder, of classes and of files: Latin-1, a new line, an escape."""
    root = starter.folder / os.fsdecode(b"donn\xe9es")
    classes = (b"caf\xe9", b"two\nlines \x1b[31m")
    two_classes(root, classes, train=8)
    broken = os.fsencode(root) + b"/train/caf\xe9/l\xe9.jpg"
    Path(os.fsdecode(broken)).write_bytes(b"no image")
    ours = [*SMALL, f"data.folder='{root}'", "recipe.epochs=1"]
    folder = finished(starter, *ours, root=starter.folder / "bytes")
    said = max(starter.folder.glob("said*.txt"), key=os.path.getmtime).read_bytes().decode("utf-8")
    assert "Traceback" not in said
    assert "UnicodeEncodeError" not in said
    assert r"caf\xe9/l\xe9.jpg cannot be read and is skipped in train" in said
    assert r"no image" not in said
    (row,) = pd.read_csv(folder / "bad_files.csv").itertuples()
    assert row.path.endswith(r"train/caf\xe9/l\xe9.jpg")
    for written in folder.rglob("*"):
        if written.suffix in (".csv", ".json", ".yaml", ".html"):
            written.read_bytes().decode("utf-8")
    again = starter.start(*ours, f"root={starter.folder / 'bytes'}")  # finished: it is known by the same name
    assert starter.wait() == 0, again.said.read_text()
    assert run_of(starter.folder / "bytes") == folder


@pytest.mark.slow
def test_a_copy_goes_on_with_the_run_bit_for_bit(starter):
    """As a job does that copies its images to the disk of the machine where it happens to run."""
    first = two_classes(starter.folder / "first", (b"cat", b"dog"), train=64)
    ours = [*SMALL, "recipe.epochs=3", "callbacks.last_checkpoint.minutes=0.0001"]
    whole = finished(starter, *ours, f"data.folder={first}", root=starter.folder / "whole")
    root = starter.folder / "copied"
    run = starter.start(*ours, f"data.folder={first}", f"root={root}")
    until(lambda: any(root.glob("**/seed*/checkpoints/previous.ckpt")))
    run.kill()
    starter.wait()
    second = starter.folder / "elsewhere" / "copy"
    shutil.copytree(first, second, copy_function=shutil.copy)  # with times of change of its own
    shutil.rmtree(first)
    copied = finished(starter, *ours, f"data.folder={second}/", root=root)
    assert "resuming from" in max(starter.folder.glob("said*.txt"), key=os.path.getmtime).read_text()
    alike(whole, copied)
    assert copied.relative_to(root) == whole.relative_to(starter.folder / "whole")
    assert json.loads((copied / "identity.json").read_text())["data"]["folder"].startswith("images-")
    assert f"folder: {second}/" in (copied / "config.yaml").read_text()
