"""What servers may answer: every length, endless and slow bodies, redirections. Real ones, on loopback."""

import contextlib
import http.server
import os
import threading
import time

import pytest

from cornet.errors import CornetError
from cornet.fetch import DownloadError, download, fetch_file

MOST = 1_000_000


class Answer(http.server.BaseHTTPRequestHandler):
    """Sends the server's `head`, and then its `body` so often as `times` says, with pauses."""

    def log_message(self, *words):
        pass

    def do_GET(self):
        server = self.server
        with contextlib.suppress(OSError):
            for piece in server.head:
                self.wfile.write(piece)
                time.sleep(server.pause_in_head)
            for _ in range(server.times):
                self.wfile.write(server.body)
                time.sleep(server.pause)


@pytest.fixture
def serve(monkeypatch):
    """Starts a server that answers as told; its address."""
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(headers=(), status="200 OK", body=b"hello", times=1, pause=0.0, head=None, pause_in_head=0.0):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        server.daemon_threads, server.block_on_close = True, False
        lines = [f"HTTP/1.0 {status}", *(f"{key}: {value}" for key, value in headers), "", ""]
        server.head = head or ["\r\n".join(lines).encode("latin-1")]
        server.body, server.times, server.pause, server.pause_in_head = body, times, pause, pause_in_head
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/file"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def refused(url, part, timeout=0.3, most=MOST):
    began = time.monotonic()
    with pytest.raises(DownloadError) as told:
        download(url, part, timeout, most)
    assert time.monotonic() - began < 20
    message = str(told.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (["abc"], "sent the value 'abc' of Content-Length"),
        (["-5"], "sent the value '-5' of Content-Length"),
        (["5.0"], "sent the value '5.0' of Content-Length"),
        (["9" * 5000], "sent the value '999"),
        (["5", "3"], "sent several values of Content-Length"),
        (["20"], "broke off after 5 of 20 bytes"),
        (["9" * 18], None),
    ],
)
def test_lengths(serve, tmp_path, lengths, message):
    url = serve([("Content-Length", length) for length in lengths])
    if message is None:
        with pytest.raises(CornetError, match="needs 999,999,999,999,999,999 bytes and"):
            download(url, tmp_path / "part", 0.3, MOST)
    else:
        assert message in refused(url, tmp_path / "part")


@pytest.mark.parametrize(("lengths", "content"), [([], b"hello"), (["5", "5"], b"hello"), (["2"], b"he")])
def test_lengths_that_are_taken(serve, tmp_path, lengths, content):
    """One that is too small cuts the file off, which its hash tells."""
    url = serve([("Content-Length", length) for length in lengths])
    assert download(url, tmp_path / "part", 0.3, MOST) is False
    assert (tmp_path / "part").read_bytes() == content


@pytest.mark.parametrize("headers", [[], [("Content-Length", str(10**9))]])
def test_a_body_without_end_stops_at_the_limit(serve, tmp_path, headers):
    url = serve(headers, body=bytes(100_000), times=10**6)
    message = "sent more than 1,000,000 bytes, the maximum for this file"
    assert refused(url, tmp_path / "part") == message
    assert not os.listdir(tmp_path)
    with pytest.raises(CornetError, match=rf"{url} {message}; ask them\.$"):
        fetch_file(url.rpartition("/")[0], tmp_path / "file", lambda *_: "", "ask them", 0.3, MOST)
    assert not os.listdir(tmp_path)


def test_a_part_that_is_too_large_is_not_gone_on_with(serve, tmp_path):
    (tmp_path / "part").write_bytes(bytes(MOST))
    url = serve([("Content-Range", f"bytes {MOST}-{MOST + 4}/*")], "206 Partial Content")
    assert "sent more than 1,000,000 bytes" in refused(url, tmp_path / "part")
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_a_server_that_sends_bit_by_bit(serve, tmp_path):
    url = serve([("Content-Length", "100000")], body=b"x", times=10**4, pause=0.02)
    assert refused(url, tmp_path / "part").startswith("sent only ")
    assert (tmp_path / "part").stat().st_size > 3  # kept for the next try


def test_a_server_that_sends_its_headers_bit_by_bit(serve, tmp_path):
    url = serve(head=[b"HTTP/1.0 200 OK\r\n"] + [b"X: y\r\n"] * 90, pause_in_head=0.03)
    assert refused(url, tmp_path / "part", timeout=0.1) == "sent nothing for 0.1 s"


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "FILE:///etc/passwd", "/file", "data:,x"]
)
def test_redirections_to_elsewhere(serve, tmp_path, target):
    url = serve([("Location", target)], "302 Found")
    assert refused(url, tmp_path / "part").startswith("answered 302")
    assert not os.listdir(tmp_path)


def test_what_a_server_says_is_one_plain_line(serve, tmp_path):
    message = refused(serve(status="404 \x1b[31mgone\x07" + 5000 * "!"), tmp_path / "part")
    assert message.startswith("answered 404 ?[31mgone?")
    assert len(message) < 300


@pytest.mark.parametrize("odd", ["pipe", "link", "folder", "foreign"])
def test_something_else_in_the_place_of_the_part(serve, tmp_path, odd):
    part, path = tmp_path / "file.part", tmp_path / "file"
    (tmp_path / "precious").write_bytes(b"mine")
    if odd == "pipe":
        os.mkfifo(part)
    elif odd == "link":
        part.symlink_to("precious")
    elif odd == "folder":
        part.mkdir()
    elif os.geteuid() == 0:
        part.write_bytes(b"he")
        os.chown(part, 12345, -1)
    else:
        pytest.skip("only root makes files of others")
    with pytest.raises(OSError, match=r"regular|symbolic|directory|another user; set CORNET_CACHE_SHARED=1"):
        fetch_file(serve().rpartition("/")[0], path, lambda *_: "", "ask them", 0.3, MOST)
    assert sorted(os.listdir(tmp_path)) == ["file.part", "precious"]
    assert (tmp_path / "precious").read_bytes() == b"mine"
    if odd == "foreign":
        assert part.read_bytes() == b"he"


def test_a_pipe_is_not_copied(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CornetError, match=r"cannot be read \(.*\); ask them"):
        fetch_file(str(tmp_path / "pipe"), tmp_path / "file", lambda *_: "", "ask them")
    assert os.listdir(tmp_path) == ["pipe"]
