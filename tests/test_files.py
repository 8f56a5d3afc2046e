import os
import resource
import signal
import subprocess
import sys

import pytest

from cornet.errors import CornetError
from cornet.files import atomic_write


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_writes_text_and_bytes(tmp_path):
    path = tmp_path / "a [b]*.txt"
    atomic_write(path, "old")
    atomic_write(str(path), b"new\xff")
    assert path.read_bytes() == b"new\xff"
    assert os.listdir(tmp_path) == [path.name]


def test_full_disk_leaves_the_old_file(tiny_disk):
    path = tiny_disk / "file"
    atomic_write(path, b"old")
    with pytest.raises(
        CornetError, match=r"disk full.*2,000,000 bytes are needed and [\d,]+ are free; make room"
    ):
        atomic_write(path, b"x" * 2_000_000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tiny_disk) == ["file"]
    atomic_write(path, b"y" * 500_000)
    assert path.stat().st_size == 500_000


def test_limit_on_file_sizes(tmp_path):
    path = tmp_path / "file"
    atomic_write(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CornetError, match="10,000 bytes are needed"):
            atomic_write(path, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_other_refusals(tmp_path):
    with pytest.raises(CornetError, match=f"no folder {tmp_path / 'none'}; create it first. Then what"):
        atomic_write(tmp_path / "none" / "file", "x", hint="Then what.")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CornetError, match="Is a directory"):
        atomic_write(tmp_path / "folder", "x")
    assert os.listdir(tmp_path) == ["folder"]


def test_read_only_disk(tiny_disk):
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(CornetError, match=r"no permission to write in .*tiny; choose a folder of your own"):
        atomic_write(tiny_disk / "file", "x")


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    code = "import os, socket; print(f'{socket.gethostname()}-{os.getpid()}')"
    dead = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    living = f"{dead.rpartition('-')[0]}-{os.getppid()}"
    for owner in (dead, living, "elsewhere-1"):
        (tmp_path / f".file.{owner}.tmp").write_text("part")
    atomic_write(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["file", f".file.{living}.tmp", ".file.elsewhere-1.tmp"])
