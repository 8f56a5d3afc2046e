import errno
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from cornet.errors import CornetError
from cornet.files import NewFile, atomic_write, file_error


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


WRITER = """
import sys, time
from pathlib import Path
from cornet.files import NewFile
new = NewFile(Path(sys.argv[1]))
new.file.write(b"half")
new.file.flush()
print(new.temporary.name, flush=True)
sys.stdin.read()
new.commit()
"""


def writer(path):
    """Another process that has begun to write a file, and the name under which it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    killed, orphan = writer(tmp_path / "other")
    living, held = writer(tmp_path / "file")
    killed.kill()
    killed.communicate()
    mine = (".tmp", "file.tmp", ".file.tmp", ".notes.0123abcd.tmp", f"x{orphan}")
    for name in mine:
        (tmp_path / name).write_text("the user's")
    atomic_write(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["file", held, *mine])
    living.communicate("")
    assert living.returncode == 0
    assert (tmp_path / "file").read_bytes() == b"half"
    assert sorted(os.listdir(tmp_path)) == sorted(["file", *mine])


def test_files_of_another_kernel_are_orphans_after_a_day(tmp_path):
    """As in a folder on the network: its locks are not always seen here."""
    names = [f".file.{kernel}-0123456789abcdef.tmp" for kernel in ("deadbeef", "00000000", "deadbeee")]
    for name, age in zip(names, (3600, 3600, 90_000), strict=True):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    atomic_write(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["file", *names[:2]])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_orphans_of_others_stay(tmp_path):
    killed, orphan = writer(tmp_path / "other")
    killed.kill()
    killed.communicate()
    os.chown(tmp_path / orphan, 12345, -1)
    atomic_write(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["file", orphan])


def test_odd_things_with_the_names_of_orphans(tmp_path, monkeypatch):
    names = [f".file.{os.urandom(4).hex()}-{os.urandom(8).hex()}.tmp" for _ in range(4)]
    os.mkfifo(tmp_path / names[0])
    (tmp_path / names[1]).mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / names[2]).symlink_to("precious")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # such an address is short
        listener.bind(names[3])
        atomic_write(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["file", "precious", *names])
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_the_mode_of_a_file_is_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, -1, 4321)
    atomic_write(path, "new")
    status = path.stat()
    assert (path.read_text(), stat.S_IMODE(status.st_mode)) == ("new", mode)
    assert status.st_gid == (4321 if os.geteuid() == 0 else os.getegid())
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "another", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "another").stat().st_mode) == 0o640


def test_a_private_file_is_private_while_it_is_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o600)
    with NewFile(path) as new:
        assert stat.S_IMODE(new.temporary.stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    for name, target in (("link", "precious"), ("dangling", "nothing")):
        (tmp_path / name).symlink_to(target)
        atomic_write(tmp_path / name, "new")
        assert not (tmp_path / name).is_symlink()
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "nothing").exists()


def test_the_old_file_gets_a_second_name(tmp_path):
    path, previous = tmp_path / "last", tmp_path / "previous"
    for text in ("one", "two", "three"):
        atomic_write(path, text, previous=previous)
    assert (path.read_text(), previous.read_text()) == ("three", "two")
    assert sorted(os.listdir(tmp_path)) == ["last", "previous"]


HAMMER = """
import os, socket, sys
from pathlib import Path
from cornet import files
from cornet.errors import CornetError
socket.sethostname("box")
lost = 0
for count in range(int(sys.argv[2])):
    files._swept.clear()  # as a process that has just begun
    try:
        files.atomic_write(Path(sys.argv[1]) / f"entry{count % 3}", bytes(5000))
    except CornetError as error:
        lost += 1
        print(error)
print(socket.gethostname(), os.getpid(), lost)
"""


def test_containers_with_one_host_name_and_the_same_process_numbers(tmp_path):
    unshare = ["unshare", "--fork", "--pid", "--uts", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("namespaces are not permitted here")
    command = [*unshare, sys.executable, "-c", HAMMER, str(tmp_path), "100"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in started] == ["box 1 0\n"] * 2
    assert sorted(os.listdir(tmp_path)) == ["entry0", "entry1", "entry2"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOENT, "No such file or directory", "a"),
            "a: No such file or directory; check the name",
        ),
        (
            OSError(errno.EACCES, "Permission denied", b"a"),
            "a: Permission denied; choose one that you have permission for",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "a"),
            "the disk is full: no space to write a; free some",
        ),
        (OSError(errno.EIO, "Input/output error"), "Input/output error; check the files and folders"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 200_000),
            "x ... (200,000 characters): File name",
        ),
        (OSError("an odd one"), "an odd one; check the files"),
        (OSError(), "OSError; check the files"),
        (
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
            "Connection reset by peer; check",
        ),
    ],
)
def test_an_error_of_the_operating_system_is_one_sentence(error, sentence):
    told = str(file_error(error))
    assert sentence in told
    assert "\n" not in told
    assert len(told) < 400


def test_a_name_that_is_not_utf8_is_written_as_an_escape(tmp_path):
    """A run's folder may have such a name, and its report tells it."""
    path = tmp_path / "a.html"
    atomic_write(path, os.fsdecode(b"<p>caf\xe9") + "\u00e9")
    assert path.read_text(encoding="utf-8") == "<p>caf\\udce9\u00e9"
