"""A real server on loopback that serves well, stalls, breaks off, or lies."""

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` (bytes under any name, or a dict by name) in the way that `manner` says.

    ranges, names: what was asked for, a request each. sent: bytes of content that went out, a request each.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: bytes | dict[str, bytes] = b""
        self.manner = "well"
        self.ranges: list[str | None] = []
        self.names: list[str] = []
        self.sent: list[int] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/below/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *words):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        name = self.path.rpartition("/")[2]
        server.ranges.append(asked)
        server.names.append(name)
        content, manner, start = server.content, server.manner, 0
        if isinstance(content, dict):
            content = content.get(name)
        if manner == "silent":
            server.released.wait(20)
            return
        if manner == "nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
            return
        if manner.isdigit() or content is None:
            self.send_error(int(manner) if manner.isdigit() else 404)
            return
        if manner == "huge":  # more than any disk holds
            self.send_response(200)
            self.send_header("Content-Length", str(10**18))
            self.end_headers()
            return
        if asked and manner not in ("whole", "short"):
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            told = start + 1 if manner == "another part" else start
            self.send_header("Content-Range", f"bytes {told}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if manner == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"400\r\n" + content[:0x400] + b"\r\n400\r\nab")
            return
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        if manner in ("breaks", "stalls"):
            rest = rest[: len(rest) // 4]
        if manner == "short":
            rest = rest[:-1]
        if manner == "changes":  # while it is being served, for whoever asks for the rest
            rest, server.content, server.manner = rest[: len(rest) // 2], content[::-1], "well"
        server.sent.append(len(rest))
        self.wfile.write(rest)
        if manner == "stalls":
            self.wfile.flush()
            server.released.wait(20)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server that runs in a thread of its own; no proxy stands between us and loopback."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "*")
            yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
