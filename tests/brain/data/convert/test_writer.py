"""Conversions continue after a kill, start again for changed files, stay within their memory, and are verified."""

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from cornet import brain
from cornet.brain.data.convert import writer
from cornet.brain.data.convert.base import Block, Options, find_converter
from cornet.brain.data.convert.writer import convert
from cornet.brain.data.convert.writing.stored_zip import StoredEntry, finish, write_entry
from cornet.brain.data.convert.writing.work import FlatResponses
from cornet.errors import CornetError
from cornet.opening import locked_file
from tests.helpers.brain import published_files
from tests.helpers.paths import ROOT

FILES = ("assembly.nc", "stimulus_set.csv", "stimuli.zip", "bundle.json", "source.json")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """The files as they come; nothing writes into them."""
    folder = tmp_path_factory.mktemp("published")
    published_files.jpeg_images(folder / "images", published_files.tvsd(folder / "TVSD"))
    return folder


@pytest.fixture
def tvsd(published, tmp_path):
    for name in ("TVSD", "images"):
        shutil.copytree(published / name, tmp_path / name)
    return Options(tmp_path / "TVSD", tmp_path / "images")


def run(options: Options, target: Path, memory: int = 2**26):
    return convert(find_converter("tvsd"), options, target, memory)


MOMENTS = {
    "first block": (FlatResponses, "write", 1),
    "in a block": (FlatResponses, "_write", 30),
    "after a block": (writer, "block_hash", 3),
    "images": (writer, "write_entry", 20),
    "directory": (writer, "finish", 1),
    "assembly": (FlatResponses, "rows", 1),
    "verification": (writer, "changed_block", 1),
    "loading": (writer, "load_bundle", 1),
}
"""What is called, and how often until the kill comes."""


def kill_at(owner, name, call):
    """Let this process be killed when a function is called for the `call`th time."""
    original, calls = getattr(owner, name), []

    def instead(*arguments, **known):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **known)

    setattr(owner, name, instead)


def convert_and_be_killed(options: Options, target: Path, moment: str) -> None:
    """In a process of its own, forked from this one so that nothing is imported again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        process = os.fork()
    if not process:
        try:
            warnings.simplefilter("ignore")
            writer.IMAGES_AT_ONCE = 2000
            kill_at(*MOMENTS[moment])
            run(options, target)
        finally:
            os._exit(0)
    status = os.waitpid(process, 0)[1]
    assert os.WIFSIGNALED(status), (moment, status)
    assert os.WTERMSIG(status) == signal.SIGKILL, (moment, status)
    assert not target.exists()


READ_AGAIN = {
    "in a block": 3,
    "images": 0,
    "loading": 0,
    "first block": 4,
    "after a block": 2,
    "directory": 0,
    "assembly": 0,
    "verification": 0,
}
"""Blocks that a repeated command reads, by the moment of the kill."""


@pytest.mark.slow
def test_after_a_kill_the_result_is_the_same_bit_by_bit(tvsd, tmp_path):
    whole = run(tvsd, tmp_path / "whole")
    assert (whole.read, whole.blocks) == (4, 4)
    for moment in READ_AGAIN:
        target = tmp_path / "killed" / moment
        convert_and_be_killed(tvsd, target, moment)
        again = run(tvsd, target)
        assert (again.read, again.restarted) == (READ_AGAIN[moment], ""), moment
        for file in FILES:
            assert (target / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), (moment, file)
        assert sorted(os.listdir(target)) == sorted(FILES)
        assert not target.with_name(f"{moment}.part").exists()


@pytest.fixture
def stopped(tvsd, tmp_path, monkeypatch):
    """A conversion that stopped after two blocks."""

    def stop(self, block, limit, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, block, limit)

    from cornet.brain.data.convert.tvsd import Tvsd

    original = Tvsd.read
    monkeypatch.setattr(Tvsd, "read", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tvsd, tmp_path / "bundle")
    monkeypatch.setattr(Tvsd, "read", original)
    return tmp_path / "bundle"


def test_changed_files_start_again(tvsd, stopped, tmp_path, caplog):
    path = tmp_path / "TVSD/monkeyF/THINGS_normMUA.mat"
    with h5py.File(path, "r+") as file:
        file["train_MUA"][0, 0] = 12.5
    os.utime(path, (1, 1))
    result = run(tvsd, stopped)
    assert result.restarted == "input files"
    assert result.read == result.blocks
    assert "input files changed, so the conversion starts again" in caplog.text
    assert brain.load_bundle(stopped).assembly.values[0, 0, 0] == 12.5


def test_changed_images_start_again(tvsd, stopped, tmp_path):
    os.utime(tmp_path / "images/thing0/thing0_00s.jpg", (1, 1))
    assert run(tvsd, stopped).restarted == "images"


def test_a_torn_line_of_the_journal_is_ignored(tvsd, stopped, tmp_path):
    journal = tmp_path / "bundle.part/journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"block": 2, "sha')
    assert run(tvsd, stopped).read == 2


def test_damage_on_disk_is_found(tvsd, stopped, tmp_path):
    with open(tmp_path / "bundle.part/responses.bin", "r+b") as file:
        file.seek(100)
        file.write(b"\xff")
    with pytest.raises(
        CornetError, match=r"block 0 of 4 read back .* is not what was written.*remove this folder"
    ):
        run(tvsd, stopped)
    assert not stopped.exists()


def test_damage_of_an_image_is_found(tvsd, tmp_path, monkeypatch):
    def torn(file, entries):
        file.seek(entries[5].start)
        file.write(b"\0\0\0")
        finish(file, entries)

    monkeypatch.setattr(writer, "finish", torn)
    with pytest.raises(CornetError, match=r"the image 'thing0/thing0_05s.jpg' read back"):
        run(tvsd, tmp_path / "bundle")


def test_a_finished_bundle_is_not_converted_again(tvsd, tmp_path):
    run(tvsd, tmp_path / "bundle")
    assert run(tvsd, tmp_path / "bundle").existed
    assert run(tvsd, tmp_path / "bundle", memory=2**27).existed
    (tmp_path / "other").mkdir()
    with pytest.raises(CornetError, match=r"exists and was not made from these files"):
        run(tvsd, tmp_path / "other")


def test_two_processes_do_not_write_one_bundle(tvsd, tmp_path):
    (tmp_path / "bundle.part").mkdir()
    with (
        locked_file(tmp_path / "bundle.part/lock"),
        pytest.raises(CornetError, match=r"another process is converting"),
    ):
        run(tvsd, tmp_path / "bundle")


def test_a_full_disk_is_said_before_the_work(tvsd, tmp_path, monkeypatch):
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        CornetError, match=r"the conversion needs 1,4\d\d,\d\d\d bytes in .*, but 1,000 are free"
    ):
        run(tvsd, tmp_path / "bundle")


def test_source_says_where_it_is_from(tvsd, tmp_path):
    run(tvsd, tmp_path / "bundle")
    source = json.loads((tmp_path / "bundle/source.json").read_text())
    assert source["citation"].startswith("Papale")
    assert source["files"][0][0] == "TVSD/monkeyF/THINGS_normMUA.mat"
    assert brain.load_bundle(tmp_path / "bundle").name == "papale2025"


LARGE = """
import resource, sys
from pathlib import Path
from cornet.brain.data.convert.base import Options, find_converter
from cornet.brain.data.convert.writer import convert

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
folder, limit = Path(sys.argv[1]), 2**25
convert(find_converter("tvsd"), Options(folder / "TVSD", folder / "images"), folder / "small", limit)
before = peak()
convert(find_converter("tvsd"), Options(folder / "large", folder / "images"), folder / "bundle", limit)
print(peak() - before)
"""


@pytest.mark.slow  # writes much
def test_memory_stays_below_the_limit(tvsd, tmp_path):
    """Files of 98 MB and a limit of 32 MB; most chunks were never written."""
    names = published_files.tvsd(tmp_path / "large", test=60, repetitions=1)
    published_files.jpeg_images(tmp_path / "images", names)
    for monkey in ("monkeyF", "monkeyN"):
        with h5py.File(tmp_path / "large" / monkey / "THINGS_normMUA.mat", "r+") as file:
            del file["test_MUA_reps"]
            data = file.create_dataset("test_MUA_reps", (100, 60, 1024), "f8", chunks=(10, 30, 256))
            data[93, 30, 5] = 7.5
    printed = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path)], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert int(printed.stdout) < 2**25
    with h5py.File(tmp_path / "bundle/assembly.nc") as file:
        assert file["responses"].shape == (24 + 6_000, 2048, 1)
        assert file["responses"][24 + 30 * 100 + 93, 5, 0] == 7.5
        assert np.prod(file["responses"].chunks) * 8 <= 2**24


def test_too_little_memory_is_said(tvsd, tmp_path):
    with pytest.raises(CornetError, match=r"--memory allows 1,000 bytes, but at least 16,777,216 are needed"):
        run(tvsd, tmp_path / "bundle", memory=1000)


def test_a_rectangle_is_written_where_it_belongs(tmp_path):
    flat = FlatResponses(tmp_path / "flat", (5, 6, 2), np.dtype("f4"))
    rng, expected = np.random.default_rng(0), np.zeros((5, 6, 2), np.float32)
    for rows, columns in (([0, 3], range(1, 4)), ([1, 2], range(6)), ([4], range(5, 6))):
        values = rng.standard_normal((len(rows), len(columns), 2)).astype(np.float32)
        expected[np.ix_(rows, columns)] = values
        flat.write(Block(np.array(rows), columns), values)
    np.testing.assert_array_equal(flat.rows(0, 5), expected)
    np.testing.assert_array_equal(flat.rows(2, 4), expected[2:4])
    flat.close()


def test_archives_of_many_and_far_entries(tmp_path):
    """ZIP64: more than 65,535 entries, and entries beyond 4 GB, of a file with a hole."""
    with open(tmp_path / "many.zip", "w+b") as file:
        entries: list[StoredEntry] = []
        for number in range(66_000):
            entries.append(write_entry(file, f"{number}", b"x", entries[-1].end if entries else 0))
        finish(file, entries)
    with zipfile.ZipFile(tmp_path / "many.zip") as archive:
        assert len(archive.namelist()) == 66_000
        assert archive.read("65999") == b"x"
    with open(tmp_path / "far.zip", "w+b") as file:
        entries = [write_entry(file, "a", b"first", 0), write_entry(file, "b", b"second", 2**32 + 10)]
        finish(file, entries)
    with zipfile.ZipFile(tmp_path / "far.zip") as archive:
        assert (archive.read("a"), archive.read("b")) == (b"first", b"second")
    (tmp_path / "far.zip").unlink()
