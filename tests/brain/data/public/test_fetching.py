"""Fetching data sets from a real server on loopback, and from folders."""

import hashlib
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from cornet import CornetError, brain
from cornet.brain.data.public import fetching
from cornet.brain.data.public.fetching import download_status, fetch, require
from cornet.brain.data.public.listing import BASE_URL, PUBLIC
from tests.helpers.brain.public_data import (
    CONTENT,
    DATA,
    NAMES,
    complete,
    described,
    locate,
    refused,
    script,
    visible,
)
from tests.helpers.file_server import Server

pytestmark = pytest.mark.usefixtures("folder")


def test_the_table():
    """File names follow Brain-Score's rule from the identifiers: dots become underscores, hyphens stay."""
    assert {data.name: [file.name for file in data.files] for data in PUBLIC.values()} == {
        "majajhong2015": [
            "assy_dicarlo_MajajHong2015_public.nc",
            "stimulus_hvm-public.csv",
            "stimulus_hvm-public.zip",
        ],
        "freemanziemba2013": [
            "assy_movshon_FreemanZiemba2013_public.nc",
            "stimulus_FreemanZiemba2013_aperture-public.csv",
            "stimulus_FreemanZiemba2013_aperture-public.zip",
        ],
        "rajalingham2018": [
            "assy_dicarlo_Rajalingham2018_public.nc",
            "stimulus_objectome_public.csv",
            "stimulus_objectome_public.zip",
        ],
        "kar2019": ["dataset.h5"],
    }
    hashes = [file.sha1 for data in PUBLIC.values() for file in data.files if file.sha1]
    assert len(set(hashes)) == 9
    assert all(re.fullmatch("[0-9a-f]{40}", text) for text in hashes)
    assert BASE_URL == "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore/"
    assert [data.degrees for data in PUBLIC.values()] == [8, 4, 8, 8]
    with pytest.raises(
        CornetError, match="'some2020' is unknown; choose one of majajhong2015, freemanziemba2013"
    ):
        fetch("some2020")


def test_the_public_name_stays_a_function():
    assert brain.fetch is fetch


def test_well_served(server, folder):
    assert locate(DATA) is None
    assert download_status(DATA) == "not fetched"
    assert fetch(DATA, server.url) == folder
    assert complete(folder)
    assert server.names == list(NAMES)
    assert fetch(DATA, server.url.rstrip("/")) == locate(DATA) == require(DATA) == folder
    assert download_status(DATA) == str(folder)
    assert len(server.names) == 3


def test_environment_and_another_folder(server, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_DATA_URL", server.url)
    other = tmp_path / "other"
    assert fetch(DATA, folder=other) == other
    assert complete(other)
    assert locate(DATA) is None
    assert locate(DATA, other) == other
    monkeypatch.setenv("CORNET_DATA_URL", str(other))
    assert complete(fetch(DATA))
    assert len(server.names) == 3


def test_the_public_address_is_the_default(monkeypatch):
    asked = []

    def fetch_file(source, path, *others):
        asked.append((source, path.name))
        raise CornetError("is not asked in a test")

    monkeypatch.setattr(fetching, "fetch_file", fetch_file)
    refused(data="freemanziemba2013")
    assert asked == [(BASE_URL, "assy_movshon_FreemanZiemba2013_public.nc")]


def test_from_a_folder(folder, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, data in CONTENT.items():
        (mirror / name).write_bytes(data)
    (mirror / NAMES[2]).write_bytes(CONTENT[NAMES[2]][:-1])
    message = refused(mirror)
    own = hashlib.sha1(CONTENT[NAMES[2]][:-1]).hexdigest()
    assert (
        f"{mirror / NAMES[2]} has the SHA-1 {own}, but {DATA.files[2].sha1} was published; contact the provider"
        in message
    )
    assert visible(folder) == sorted(NAMES[:2])
    assert locate(DATA) is None
    assert download_status(DATA) == f"2 of 3 files in {folder}"
    (mirror / NAMES[2]).unlink()
    message = refused(mirror)
    assert (
        f"{mirror / NAMES[2]} cannot be read (No such file or directory); place the file by hand at"
        in message
    )
    assert f"{folder / NAMES[2]}" in message
    assert "--from" in message
    (mirror / NAMES[2]).write_bytes(CONTENT[NAMES[2]])
    assert complete(fetch(DATA, mirror))
    assert len(list(mirror.iterdir())) == 3
    assert "has the scheme s3; give an http or https address, or a folder" in refused(
        "s3://bucket/", folder=tmp_path / "z"
    )


def test_a_wrong_copy_leaves_half_a_download(folder, server, tmp_path):
    folder.mkdir(parents=True)
    part = folder / f"{NAMES[0]}.part"
    part.write_bytes(CONTENT[NAMES[0]][:30_000])
    assert download_status(DATA) == "not fetched, partial download"
    (tmp_path / NAMES[0]).write_bytes(b"wrong")
    assert "has the SHA-1" in refused(tmp_path)
    assert visible(folder) == [part.name]
    fetch(DATA, server.url)
    assert server.ranges[0] == "bytes=30000-"
    assert server.sent[0] == 10_000
    assert complete(folder)


@pytest.mark.parametrize("length", [10_000, 40_000, 50_000])
@pytest.mark.parametrize("manner", ["well", "whole", "another part"])
def test_a_part_is_continued(server, folder, length, manner):
    """Also where the server ignores Range, sends from another place, or has less than is here (416)."""
    folder.mkdir(parents=True)
    (folder / f"{NAMES[0]}.part").write_bytes((CONTENT[NAMES[0]] * 2)[:length])
    assert locate(DATA) is None
    server.manner = manner
    fetch(DATA, server.url)
    assert complete(folder)
    assert server.ranges[0] == f"bytes={length}-"


@pytest.mark.parametrize("manner", ["breaks", "stalls", "short"])
def test_breaking_off(server, folder, manner):
    server.manner = manner
    message = refused(server.url, timeout=0.2)
    assert message.startswith(f"{server.url}{NAMES[0]} ")
    told = "sent nothing for 0.2 s" if manner == "stalls" else "of 40,000 bytes"
    assert f"{told} (the partial download is kept and the next try resumes it); place the file" in message
    assert visible(folder) == [f"{NAMES[0]}.part"]
    assert locate(DATA) is None
    with pytest.raises(
        CornetError,
        match=rf"some2020 is not fetched: .* is missing from {folder}; run `cornet fetch some2020`",
    ):
        require(DATA)
    server.manner = "well"
    fetch(DATA, server.url)
    assert complete(folder)


def test_a_file_that_changes_between_its_halves(server, folder):
    """Found by the hash, and begun again: whether in one call or between two."""
    server.manner = "changes"  # to the old file's reverse, which is the right one here
    backwards = described({name: data[::-1] for name, data in CONTENT.items() if name == NAMES[0]})
    server.content = CONTENT[NAMES[0]]
    fetch(backwards, server.url)
    assert (folder / NAMES[0]).read_bytes() == CONTENT[NAMES[0]][::-1]
    assert server.ranges == [None, "bytes=20000-", None]
    (folder / NAMES[0]).unlink()
    server.manner = "breaks"
    refused(server.url)
    server.manner, server.content = "well", CONTENT[NAMES[0]][::-1]
    fetch(backwards, server.url)
    assert (folder / NAMES[0]).read_bytes() == CONTENT[NAMES[0]][::-1]


def test_wrong_bytes(server, folder):
    server.content[NAMES[1]] = b"other"
    message = refused(server.url)
    own = hashlib.sha1(b"other").hexdigest()
    assert (
        f"{server.url}{NAMES[1]} has the SHA-1 {own}, but {DATA.files[1].sha1} was published; contact the provider"
        in message
    )
    assert "CORNET_DATA_URL" in message
    assert visible(folder) == [NAMES[0]]  # what is good stays
    server.content = dict(CONTENT)
    fetch(DATA, server.url)
    assert complete(folder)
    assert server.names.count(NAMES[0]) == 1


def test_no_proper_answer(server, folder):
    for manner, message in (
        ("404", "answered 404 Not Found"),
        ("500", "answered 500 Internal Server Error"),
        ("416", "answered 416"),
        ("nonsense", "cannot be reached (nonsense"),
        ("silent", "sent nothing for 0.2 s"),
    ):
        server.manner = manner
        assert message in refused(server.url, timeout=0.2)
        assert visible(folder) == []
    with Server() as gone:
        url = gone.url
    message = refused(url)
    assert "cannot be reached ([Errno" in message
    assert "another URL or folder with --from or the environment variable CORNET_DATA_URL" in message


def test_files_at_their_place_are_checked_once(server, folder):
    """Placed by hand they count when their hash is right; it is remembered until size or time change."""
    folder.mkdir(parents=True)
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)
    assert locate(DATA) == fetch(DATA, server.url) == folder
    assert server.names == []
    path = folder / NAMES[2]
    now = path.stat()
    path.write_bytes(bytes(9_000))
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns))
    assert locate(DATA) == folder  # not read again
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns + 1))
    assert locate(DATA) is None
    own = hashlib.sha1(bytes(9_000)).hexdigest()
    assert f"{path} has the SHA-1 {own}, but {DATA.files[2].sha1} was published; delete it" in refused(
        server.url
    )
    assert path.read_bytes() == bytes(9_000)
    with pytest.raises(
        CornetError, match=f"has the SHA-1 {own}, but .* was published; delete it; run `cornet fetch some"
    ):
        require(DATA)
    with pytest.raises(CornetError, match=f"run `cornet fetch some2020 --to {folder}`"):
        require(DATA, folder)
    assert own in download_status(DATA)


def test_no_room(server, folder, tmp_path):
    server.manner = "huge"
    assert re.search(
        rf"needs 1,000,000,000,000,000,000 bytes and [\d,]+ are free in {folder}; make room or",
        refused(server.url),
    )
    assert visible(folder) == []
    (tmp_path / "file").write_text("")
    message = refused(server.url, folder=tmp_path / "file")
    assert f"{tmp_path / 'file'} cannot be used (File exists); fix this, or choose another folder" in message


def test_a_full_disk_loses_nothing(server, folder):
    """A limit on the size of files stands for the end of the disk."""
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    done = subprocess.run(
        script(folder, server.url, before=before + CATCH_ERRORS), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert (
        f"{folder} cannot be used (File too large); fix this, or choose another folder with --to"
        in done.stderr
    )
    assert (folder / f"{NAMES[0]}.part").read_bytes() == CONTENT[NAMES[0]][:20_000]
    fetch(DATA, server.url)
    assert complete(folder)
    assert server.ranges[1] == "bytes=20000-"


CATCH_ERRORS = """
import sys
def told(kind, error, trace):
    print(error, file=sys.stderr)
    sys.stderr.flush()
    __import__("os")._exit(2)
sys.excepthook = told
"""


def test_killed_in_the_middle(server, folder):
    """What came before SIGKILL is not asked for again, and never taken for the whole."""
    server.manner = "stalls"
    process = subprocess.Popen(script(folder, server.url), stderr=subprocess.PIPE)
    part = folder / f"{NAMES[0]}.part"
    patience = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < patience
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert visible(folder) == [part.name]
    assert locate(DATA) is None
    have = part.stat().st_size
    assert 0 < have <= server.sent[0] == 10_000
    server.manner, server.sent = "well", []
    done = subprocess.run(script(folder, server.url), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(folder)
    assert complete(folder)
    assert server.ranges[1] == f"bytes={have}-"
    assert server.sent == [40_000 - have, 300, 9_000]


def test_two_processes_at_once(server, folder):
    """One downloads, the other waits for it and takes what it brought."""
    server.manner = "stalls"
    processes = [subprocess.Popen(script(folder, server.url), stdout=subprocess.PIPE) for _ in range(2)]
    patience = time.monotonic() + 20
    while not server.names:
        assert time.monotonic() < patience
        time.sleep(0.01)
    time.sleep(0.3)  # the other one comes to the lock
    server.manner = "well"
    server.released.set()
    assert [process.communicate()[0].decode().strip() for process in processes] == [str(folder)] * 2
    assert [process.returncode for process in processes] == [0, 0]
    assert complete(folder)
    assert server.names == [NAMES[0], *NAMES]  # the first answer was cut off
    assert sum(server.sent) == sum(map(len, CONTENT.values()))


def test_threads_at_once(server, folder):
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(DATA, server.url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [folder] * 4
    assert server.names == list(NAMES)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_others(server, folder):
    fetch(DATA, server.url)
    for path in folder.glob(".*"):
        path.unlink()
    folder.chmod(0o500)
    try:
        assert fetch(DATA) == locate(DATA) == folder
    finally:
        folder.chmod(0o700)
