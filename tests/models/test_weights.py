"""Fetching against a real server on loopback that serves well, stalls, breaks off, or lies."""

import dataclasses
import hashlib
import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from cornet import CornetError, create_model, fetch, to_published
from cornet.models import registry
from cornet.models.registry import registered
from cornet.models.weights import fetch_published
from tests.helpers.file_server import Server, serving


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the weights; no proxy stands between us and loopback."""
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("CORNET_WEIGHTS_URL", raising=False)
    return tmp_path / "cache" / "weights"


@pytest.fixture(scope="module")
def weights():
    """A narrow network and a file of the published layout with its weights."""
    net = create_model("cornet_z", width=0.05, num_classes=10).eval()
    stream = io.BytesIO()
    state = {f"module.{key}": value for key, value in to_published(net).items()}
    torch.save({"state_dict": state, "epoch": 25}, stream)
    return net, stream.getvalue()


@pytest.fixture
def published(weights, monkeypatch):
    """The file's bytes; its name begins its hash as the published ones do."""
    content = weights[1]
    name(monkeypatch, hashlib.sha256(content).hexdigest()[:8])
    return content


def name(monkeypatch, digits):
    entry = registered("cornet_z")
    renamed = dataclasses.replace(entry, weights=entry.weights.replace(entry.file, f"cornet_z-{digits}.pth"))
    monkeypatch.setitem(registry.REGISTERED, "cornet_z", renamed)


def refused(*arguments, **more):
    with pytest.raises(CornetError) as caught:
        fetch_published(*arguments, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


def left(cache):
    return sorted(path.suffix for path in cache.iterdir() if path.suffix != ".lock")


def test_well_served(server, published, cache, weights):
    server.content = published
    path = fetch_published("cornet_z", server.url)
    assert path.parent == cache
    assert path.read_bytes() == published
    digest = hashlib.sha256(published).hexdigest()
    assert (cache / f"{path.name}.sha256").read_text() == f"{digest}  {path.name}\n"
    assert fetch_published("cornet_z", server.url.rstrip("/")) == path
    assert server.ranges == [None]
    net = create_model(
        "cornet_z", width=0.05, num_classes=10, pretrained=True, weights_url="http://127.0.0.1:9/"
    )
    assert torch.equal(net.decoder.weight, weights[0].decoder.weight)
    assert (
        create_model("cornet_z", width=0.05, pretrained=True).num_classes == 1000
    )  # with a decoder of its own


def test_environment_and_folders(server, published, cache, tmp_path, monkeypatch):
    server.content = published
    monkeypatch.setenv("CORNET_WEIGHTS_URL", server.url)
    path = fetch_published("cornet_z", cache=tmp_path / "other")
    assert path.parent == tmp_path / "other" / "weights"
    monkeypatch.setenv("CORNET_WEIGHTS_URL", str(path.parent))
    assert fetch_published("cornet_z").read_bytes() == published
    assert create_model("cornet_z", width=0.05, num_classes=10, pretrained=path).num_classes == 10
    (tmp_path / "empty").mkdir()
    message = refused("cornet_z", tmp_path / "empty", cache=tmp_path / "third")
    assert "cannot be read (No such file or directory); place the file by hand at" in message


def test_the_address_of_2018_is_the_default(monkeypatch):
    asked = []

    def download(url, part, timeout, most):
        asked.append(url)
        raise fetch.DownloadError("is not asked in a test")

    monkeypatch.setattr(fetch, "download", download)
    assert "is not asked in a test" in refused("cornet_s")
    assert asked == ["https://s3.amazonaws.com/cornet-models/cornet_s-1d3f7974.pth"]


def test_a_part_is_continued(server, published, cache):
    server.content = published
    cache.mkdir(parents=True)
    part = cache / f"{registered('cornet_z').file}.part"
    for manner, expected in (("well", ["bytes=1000-"]), ("whole", ["bytes=1000-"])):
        server.manner, server.ranges = manner, []
        part.write_bytes(published[:1000])
        path = fetch_published("cornet_z", server.url)
        assert path.read_bytes() == published
        assert server.ranges == expected
        assert not part.exists()
        path.unlink()
    part.write_bytes(published)  # whole, but not yet in its place
    assert fetch_published("cornet_z", server.url).read_bytes() == published


@pytest.mark.parametrize("length", [1000, 10_000_000])
def test_a_part_of_another_file_is_begun_again(server, published, cache, length):
    server.content = published
    cache.mkdir(parents=True)
    (cache / f"{registered('cornet_z').file}.part").write_bytes(bytes(length))
    assert fetch_published("cornet_z", server.url).read_bytes() == published
    assert server.ranges == [f"bytes={length}-", None]


def test_breaking_off(server, published, cache):
    server.content, server.manner = published, "breaks"
    message = refused("cornet_z", server.url)
    assert (
        f"of {len(published):,} bytes (the partial download is kept and the next try resumes it)" in message
    )
    assert "place the file by hand at" in message
    assert "pretrained=PATH" in message
    assert "CORNET_WEIGHTS_URL" in message
    assert left(cache) == [".part"]
    assert len(server.ranges) == 3
    with pytest.raises(CornetError):
        create_model("cornet_z", width=0.05, num_classes=10, pretrained=True, weights_url=server.url)
    server.manner, server.ranges = "well", []
    assert fetch_published("cornet_z", server.url).read_bytes() == published
    assert server.ranges[0] is not None
    assert left(cache) == [".pth", ".sha256"]


def test_breaking_off_in_an_answer_without_a_length(server, published, cache):
    server.content, server.manner = published, "chunked"
    assert "broke off" in refused("cornet_z", server.url)
    assert left(cache) == [".part"]


def test_stalling(server, published, cache):
    server.content, server.manner = published, "stalls"
    assert "sent nothing for 0.2 s (the partial download is kept" in refused(
        "cornet_z", server.url, timeout=0.2
    )
    server.manner = "silent"
    assert "sent nothing for 0.2 s" in refused("cornet_z", server.url, timeout=0.2)
    assert left(cache) == [".part"]


def test_wrong_bytes(server, published, cache):
    wrong = bytearray(published)
    wrong[-1] ^= 1
    server.content = bytes(wrong)
    own, file = hashlib.sha256(wrong).hexdigest(), registered("cornet_z").file
    message = refused("cornet_z", server.url)
    assert f"has the SHA-256 {own}, but its name says that it begins with {file[9:17]}" in message
    assert "accept_hash=True" in message
    assert left(cache) == []
    path = fetch_published("cornet_z", server.url, accept_hash=True)
    assert path.read_bytes() == wrong
    assert fetch_published("cornet_z", server.url) == path  # against its own recorded hash
    path.write_bytes(published + b"x")
    assert f"but its recorded hash is {own};" in refused("cornet_z", server.url)
    assert path.exists()


def test_a_web_page_is_not_taken_even_where_any_hash_is(server, published, cache):
    server.content = b"<html>please log in</html>"
    assert "is not a checkpoint (it begins with b'<html>please" in refused(
        "cornet_z", server.url, accept_hash=True
    )
    assert left(cache) == []


def test_no_proper_answer(server, published, cache):
    for manner, message in (("404", "answered 404 Not Found"), ("nonsense", "cannot be reached (nonsense")):
        server.manner = manner
        assert message in refused("cornet_z", server.url)
        assert left(cache) == []


def test_nobody_listens(published, cache):
    with Server() as gone:
        url = gone.url
    assert "cannot be reached ([Errno" in refused("cornet_z", url)
    assert "cannot be reached" in refused("cornet_z", "http://name.invalid/")
    assert "has the scheme ftp; give an http or https address" in refused("cornet_z", "ftp://127.0.0.1/")
    with pytest.raises(CornetError, match="model 'cornet_x' is unknown"):
        fetch_published("cornet_x")


def test_a_file_placed_by_hand(published, cache):
    cache.mkdir(parents=True)
    path = cache / registered("cornet_z").file
    path.write_bytes(published)
    assert fetch_published("cornet_z", "http://127.0.0.1:9/") == path
    path.write_bytes(published[:-1])
    assert "but its recorded hash is" in refused("cornet_z")


def test_a_cache_that_cannot_be_written(published, tmp_path):
    (tmp_path / "file").write_text("")
    assert "CORNET_CACHE" in refused("cornet_z", cache=tmp_path / "file")


def test_several_at_once(server, published, cache):
    """One downloads, the others wait for it and take what it brought."""
    server.content, found = published, []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_published("cornet_z", server.url).read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [published] * 4
    assert server.ranges == [None]
    assert left(cache) == [".pth", ".sha256"]


@pytest.mark.slow
def test_two_processes_at_once(server, published, cache):
    server.content = published
    script = (
        "import dataclasses, sys; from cornet.models import registry, weights; "
        "entry = dataclasses.replace(registry.registered('cornet_z'), weights=sys.argv[2]); "
        "registry.REGISTERED['cornet_z'] = entry; print(weights.fetch_published('cornet_z', sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, server.url, registered("cornet_z").file]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert [Path(path).read_bytes() for path in paths] == [published]
    assert server.ranges == [None]


def test_a_bar_is_drawn_on_a_terminal(server, published, monkeypatch, capsys):
    server.content = published
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch_published("cornet_z", server.url)
    assert "cornet_z" in capsys.readouterr().err
