"""Recordings on disk: of the right network, whole or not at all, bounded."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cornet import create_model
from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.record import recording_cache
from cornet.brain.subjects.record.recording_cache import RecordingCache, RowFile, cache_limit
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain.made_up_stimuli import stimuli
from tests.helpers.paths import ROOT

SITES = [Site("V1"), Site("IT", 1)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CORNET_CACHE_SIZE", raising=False)
    monkeypatch.setattr(recording_cache, "_warned", False)
    return tmp_path / "cache" / "recordings"


def subject(seed=0, name="cornet_s"):
    torch.manual_seed(seed)
    return NetworkSubject(create_model("cornet_s", width=0.125, num_classes=5), name, size=32)


def same(one, other):
    return all(np.array_equal(one[site], other[site]) for site in SITES)


def test_the_second_time_nothing_is_shown(folder):
    first = subject().record(shown := stimuli(6), SITES)
    looks = shown.pictures.looks
    second = subject().record(shown, SITES)
    assert same(first, second)
    assert shown.pictures.looks == looks == 6
    assert len(list(folder.iterdir())) == 2


def test_what_is_missing_is_recorded_and_the_rest_read():
    subject().record(shown := stimuli(6), SITES[:1])
    both = subject().record(shown, SITES)
    assert same(both, subject().record(stimuli(6), SITES, cache=False))


@pytest.mark.parametrize("what", ["another network", "one weight", "stimuli", "degrees", "dtype", "size"])
def test_everything_that_matters_has_an_entry_of_its_own(folder, what):
    subject().record(stimuli(6), SITES[:1])
    other, shown, options = subject(seed=what == "another network"), stimuli(6, seed=what == "stimuli"), {}
    if what == "one weight":
        with torch.no_grad():
            other.net.areas["V1"].conv1.weight[0, 0, 0, 0] += 1e-6
    if what == "size":
        other.size = 40
    if what in ("degrees", "dtype"):
        options = {"degrees": 7.0} if what == "degrees" else {"dtype": "float16"}
    found = other.record(shown, SITES[:1], **options)
    assert len(list(folder.iterdir())) == 2
    fresh = other.record(shown, SITES[:1], cache=False, **options)
    assert np.array_equal(found[SITES[0]], fresh[SITES[0]])


def test_only_another_arithmetic_of_the_device_is_recorded_anew():
    """Training sets the precision of float32, and a process that only scores leaves it unset: both compute alike."""
    identities, matmul = {}, torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    try:
        for precision in ("none", "ieee", "bf16"):
            matmul.fp32_precision = precision
            identities[precision] = subject().identity
    finally:
        matmul.fp32_precision = before
    assert identities["none"] == identities["ieee"] != identities["bf16"]


def test_without_a_cache_nothing_is_written(folder):
    subject().record(stimuli(6), SITES, cache=False)
    assert not folder.exists()


@pytest.mark.parametrize(
    "damage", ["truncate", "one byte", "empty", "text", "rows", "type", "header", "no checksum", "pickle"]
)
def test_a_damaged_file_is_recorded_again(folder, damage):
    first = subject().record(shown := stimuli(6), SITES[:1])[SITES[0]]
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "rows":
        np.save(path, np.asarray(first)[:5])
    elif damage == "type":
        np.save(path, np.asarray(first, np.float64))
    elif damage == "no checksum":
        np.save(path, np.asarray(first))
    elif damage == "pickle":
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        path.write_bytes(
            {
                "truncate": content[: len(content) // 2],
                "one byte": content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
                "empty": b"",
                "text": b"hello",
                "header": content[:20] + b"x" + content[21:],
            }[damage]
        )
    again = subject().record(shown, SITES[:1])[SITES[0]]
    assert np.array_equal(first, again)
    assert shown.pictures.looks == 12
    assert np.array_equal(subject().record(shown, SITES[:1])[SITES[0]], first)
    assert shown.pictures.looks == 12


def test_a_folder_that_cannot_be_written_costs_one_note(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        found = subject().record(stimuli(6), SITES)
    assert same(found, subject().record(stimuli(6), SITES, cache=False))
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "set CORNET_CACHE" in caplog.text


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_that_is_taken_for_whole(folder):
    process = start(folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list(folder.glob("*.tmp"))) == 2
    assert not list(folder.glob("*.npy"))
    shown = stimuli(60)
    found = subject().record(shown, SITES)
    assert shown.pictures.looks == 60
    assert same(found, subject().record(stimuli(60), SITES, cache=False))
    assert not list(folder.glob("*.tmp"))  # what it left half-written is gone
    assert len(list(folder.glob("*.npy"))) == 2


@pytest.mark.slow
def test_two_processes_at_once(folder, tmp_path):
    other = start(folder)
    mine = subject().record(stimuli(60), SITES, batch=4)
    assert len(list(folder.glob("*.npy"))) == 2
    assert len(list(folder.glob("*.tmp"))) == 2  # the other's, still at work
    (tmp_path / "go on").touch()
    _, errors = other.communicate(timeout=120)
    assert other.returncode == 0, errors
    shown = stimuli(60)
    assert same(mine, subject().record(shown, SITES, batch=4))
    assert shown.pictures.looks == 0
    assert sorted(path.suffix for path in folder.iterdir()) == [".npy", ".npy"]


def start(folder: Path) -> subprocess.Popen:
    """Another process that records the same network and stimuli. It has begun, and waits for a file before the last."""
    gate = folder.parents[1] / "go on"
    program = f"""
import pathlib, time
from tests.helpers.brain.made_up_stimuli import ArrayPictures, stimuli
from {__name__} import SITES, subject
shown = stimuli(60)
class Waiting(ArrayPictures):
    def __getitem__(self, index):
        deadline = time.monotonic() + 120
        while index > 40 and not pathlib.Path({str(gate)!r}).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return super().__getitem__(index)
Waiting.__module__ = ArrayPictures.__module__  # the same code, as far as the cache knows
shown.pictures.__class__ = Waiting
subject().record(shown, SITES, batch=4)
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 50_000 for path in folder.glob("*.tmp")):  # 40 rows have 82,000
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


def write(cache, key, rows=10, age=0):
    file = cache.writer(key, rows, 100, np.float32)
    file.append(np.full((rows, 100), 1, np.float32))
    file.finish()
    then = time.time() - age
    os.utime(cache.path(key), (then, then))


def test_least_recently_used_entries_go_first(tmp_path):
    cache = RecordingCache(tmp_path / "kept", limit=13_000)  # an entry has about 4,150 bytes
    for number, letter in enumerate("abcd"):
        write(cache, 64 * letter, age=100 - number)
    used = cache.read(64 * "a", 10, np.float32)
    assert used is not None
    del used  # used, but no longer open
    cache.trim()
    assert sorted(path.stem[0] for path in cache.folder.iterdir()) == ["a", "c", "d"]


def test_what_this_process_has_open_stays(tmp_path):
    cache = RecordingCache(tmp_path / "kept", limit=0)
    write(cache, 64 * "a", age=100)
    write(cache, 64 * "b")
    held = cache.read(64 * "a", 10, np.float32)[2:4]  # a view holds the map
    cache.trim()
    assert [path.stem for path in cache.folder.iterdir()] == [64 * "a"]
    assert held.sum() == 200
    del held
    cache.trim()
    assert not list(cache.folder.iterdir())


def test_a_recording_trims_the_folder(folder, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE_SIZE", "0.00001")  # 10,000 bytes
    for seed in range(3):
        subject(seed).record(stimuli(3), [Site("IT", 1)])
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 10_000


@pytest.mark.parametrize("text", ["much", "-1", "nan"])
def test_the_limit_must_be_a_number(monkeypatch, text):
    monkeypatch.setenv("CORNET_CACHE_SIZE", text)
    with pytest.raises(CornetError, match="CORNET_CACHE_SIZE"):
        cache_limit()
    monkeypatch.setenv("CORNET_CACHE_SIZE", "2.5")
    assert cache_limit() == 2_500_000_000


def test_a_file_with_rows_missing_never_takes_its_name(tmp_path):
    file = RowFile(tmp_path / "a.npy", (3, 2), np.dtype(np.float32))
    file.append(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="2 of 3 rows"):
        file.finish()
    file.discard()
    assert not list(tmp_path.iterdir())


def test_files_are_plain_npy(folder):
    found = subject().record(stimuli(4), SITES[:1])[SITES[0]]
    (path,) = folder.iterdir()
    assert np.array_equal(np.load(path, allow_pickle=False), found)
