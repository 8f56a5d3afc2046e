"""Caches that other users can write in, and odd things in the place of files."""

import os
import signal
import socket
from pathlib import Path

import numpy as np
import pytest

from cornet import opening
from cornet.brain.cache import cached_arrays
from cornet.brain.data.files.netcdf import load_assembly
from cornet.brain.data.files.npz import read_arrays
from cornet.brain.subjects.record.recording_cache import RecordingCache
from cornet.errors import CornetError
from cornet.models.safe_load import read_checkpoint
from cornet.opening import is_foreign, locked_file, open_entry, open_regular
from cornet.runs.config import read_config
from cornet.runs.folder import RunFolder
from cornet.runs.metrics import read_metrics
from cornet.stimuli.datasets.prepared import Prepared
from cornet.stimuli.objects.image_cache import Cache
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.run import leave_nothing

STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CORNET_CACHE_SHARED", raising=False)
    monkeypatch.setattr(opening, "_logged", False)
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_hang():
    """A reader that waits for the other end of a pipe is ended."""

    def ended(*_):
        raise KeyboardInterrupt("it hangs")  # which no reader takes for damage

    before = signal.signal(signal.SIGALRM, ended)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def arrays(cache):
    """An entry of results: what made it, and its path once it is there."""
    calls = []

    def make():
        calls.append(1)
        return {"x": np.arange(3.0)}

    def get():
        found = cached_arrays("results", {"key": 1}, make)["x"]
        assert found.tolist() == [0, 1, 2]
        return len(calls)

    return get, lambda: next((cache / "results").glob("*.npz"))


def images(cache):
    """An entry of rendered images."""
    calls, kept = [], Cache(cache)

    def make():
        calls.append(1)
        return np.full((2, 3), 7, np.uint8)

    def get():
        assert (kept.images({"key": 1}, (2, 3), make) == 7).all()
        return len(calls)

    return get, lambda: kept.path({"key": 1})


def recordings(cache):
    """A recording."""
    calls, kept, key = [], RecordingCache(cache), 64 * "a"

    def get():
        found = kept.read(key, 2, np.float32)
        if found is None:
            calls.append(1)
            if file := kept.writer(key, 2, 3, np.float32):
                try:
                    file.append(np.ones((2, 3), np.float32))
                    file.finish()
                finally:
                    file.discard()
        else:
            assert (found == 1).all()
        return len(calls)

    return get, lambda: kept.path(key)


KINDS = [arrays, images, recordings]


def pipe(path):
    os.mkfifo(path)


def bound(path):
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)
        one.bind(path.name)


def link(path):
    (path.parent / "precious").write_bytes(b"mine")
    path.symlink_to("precious")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [pipe, bound, link])
def test_something_else_in_the_place_of_an_entry_is_replaced(cache, kind, odd, monkeypatch):
    monkeypatch.chdir(cache.parent)
    get, path = kind(cache)
    assert get() == get() == 1
    path().unlink()
    odd(found := path_of(path, cache, kind))
    assert get() == 2
    assert get() == 2
    assert found.is_file()
    assert not found.is_symlink()
    if odd is link:
        assert (found.parent / "precious").read_bytes() == b"mine"


def path_of(path, cache, kind):
    """Also of an entry that is not there."""
    if kind is not arrays:
        return path()
    cached_arrays("results", {"key": 1}, lambda: {"x": np.arange(3.0)})
    found = path()
    found.unlink()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_in_the_place_of_an_entry_stays(cache, kind):
    get, path = kind(cache)
    get()
    found = path()
    found.unlink()
    found.mkdir()
    if kind is images:
        with pytest.warns(UserWarning, match="cannot be cached"):
            get()
    elif kind is recordings:
        with pytest.raises(IsADirectoryError):  # which a recording takes for a cache that cannot be written
            get()
    else:
        assert get() == 2
    assert found.is_dir()


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_of_another_user_is_neither_used_nor_replaced(cache, kind, monkeypatch, caplog):
    get, path = kind(cache)
    assert get() == 1
    entry = path()
    os.chown(entry, STRANGER, -1)
    before = entry.stat()
    assert (get(), get()) == (2, 3)
    now = entry.stat()
    assert (now.st_ino, now.st_uid, now.st_size) == (before.st_ino, STRANGER, before.st_size)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert f"{entry} belongs to another user (uid {STRANGER}): this and similar files are ignored" in told[0]
    assert "set CORNET_CACHE_SHARED=1" in told[0]
    monkeypatch.setenv("CORNET_CACHE_SHARED", "1")
    assert get() == 3
    monkeypatch.setenv("CORNET_CACHE_SHARED", "yes")
    with pytest.raises(CornetError, match="CORNET_CACHE_SHARED='yes' must be 0 or 1"):
        get()


@as_root
def test_a_user_takes_entries_of_root(cache):
    """In a process of its own, which has become another user."""
    get, path = arrays(cache)
    get()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.seteuid(STRANGER)
            if not is_foreign(path()):
                open_entry(path()).close()
                os.seteuid(0)
                os.chown(path(), STRANGER + 1, -1)
                os.seteuid(STRANGER)
                code = 0 if is_foreign(path()) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == 1:
        pytest.skip("another user cannot reach the folders of this test")
    assert status == 0


@as_root
def test_recordings_of_others_are_not_trimmed(cache):
    kept = RecordingCache(cache, limit=0)
    get, path = recordings(cache)
    get()
    os.chown(path(), STRANGER, -1)
    for name in ("mine.npy", 64 * "A" + ".npy", 64 * "a" + ".npz"):
        (cache / name).write_bytes(b"the user's")
    kept.trim()
    assert len(list(cache.iterdir())) == 4
    os.chown(path(), 0, -1)
    kept.trim()
    assert not path().exists()
    assert len(list(cache.iterdir())) == 3


def test_the_cache_folder_may_be_a_link(cache):
    (cache.parent / "elsewhere").mkdir()
    cache.symlink_to("elsewhere")
    get, path = arrays(cache)
    assert get() == get() == 1
    assert path().resolve().is_relative_to(cache.parent / "elsewhere")


@pytest.mark.parametrize("odd", [pipe, bound, Path.mkdir])
def test_no_regular_file(tmp_path, odd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.ckpt"
    odd(path)
    for way in (open_regular, open_entry):
        with pytest.raises(OSError, match=f"{path}|No such device"):
            way(path)
    with pytest.raises(CornetError) as told:
        read_checkpoint(path)
    assert "\n" not in str(told.value)


def test_a_checkpoint_may_be_a_link_and_an_entry_may_not(tmp_path):
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"x"
    with pytest.raises(OSError, match="it is a symbolic link"):
        open_entry(tmp_path / "link")


def test_locks(tmp_path):
    path = tmp_path / ".lock"
    path.write_text("kept")
    with locked_file(path), pytest.raises(BlockingIOError), locked_file(path, wait=False):
        pass
    with locked_file(path, wait=False):
        assert path.read_text() == "kept"
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "link").symlink_to("precious")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError, match=r"link|regular|directory"), locked_file(tmp_path / name):
            pass
    assert (tmp_path / "precious").read_text() == "mine"


READERS = {
    "config.yaml": lambda folder: read_config(folder / "config.yaml"),
    "identity.json": lambda folder: RunFolder(folder).read("identity.json"),
    "run_id": lambda folder: RunFolder(folder).run_id,
    "metrics.csv": lambda folder: read_metrics(folder),
    "prepared.json": lambda folder: Prepared.read(folder),
    "a.npz": lambda folder: read_arrays(folder / "a.npz", ""),
    "assembly.nc": lambda folder: load_assembly(folder / "assembly.nc"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_in_a_stranger_s_folder_holds_nobody_up(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(CornetError, match=r"\w") as told:
        READERS[name](tmp_path)
    assert "\n" not in str(told.value)


def test_the_user_s_files_in_a_run_s_folder_stay(tmp_path):
    mine, theirs = tmp_path / "runs" / "name" / "one" / "seed0", tmp_path / "runs" / "name" / "two" / "seed0"
    for folder in (mine, theirs):
        folder.mkdir(parents=True)
        for name in ("config.yaml", "identity.json", "versions.json", "run_id", ".lock"):
            (folder / name).write_text("x")
    (mine / "notes.txt").write_text("mine")
    for folder in (mine, theirs):
        leave_nothing(folder, tmp_path / "runs")
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
    assert not theirs.parent.exists()


def test_a_checkpoint_that_names_another_file_as_the_worse_one(tmp_path):
    """Its state may be a stranger's: what Lightning then wants removed is not."""
    run = tmp_path / "run" / "checkpoints"
    run.mkdir(parents=True)
    for path in (tmp_path / "thesis.ckpt", run / "notes.txt", run / "best.ckpt"):
        path.write_text("x")
    for path in (run / ".." / ".." / "thesis.ckpt", run / "notes.txt", run / "best.ckpt", run / "none.ckpt"):
        AtomicCheckpointIO().remove_checkpoint(path)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["notes.txt", "thesis.ckpt"]
