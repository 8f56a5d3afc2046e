"""A small Hugging Face hub on loopback: the routes that huggingface_hub calls to create, commit, describe and download.

Files travel as they do to the real one: small texts inside the commit, weights by the protocol of Git LFS.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKENS = {"hf_mine": "me", "hf_other": "other"}
"""{token: user}."""


@dataclass
class Repository:
    """commits: {hash: {name: content}} in order. private: only its owner may read it."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def add(self, files: dict[str, bytes]) -> str:
        """Add a commit that adds or replaces files, and return its hash."""
        before = list(self.commits.values())[-1] if self.commits else {}
        commit = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[commit] = {**before, **files}
        return commit

    def revision(self, name: str) -> str | None:
        """The commit of a branch or of a hash; None: unknown."""
        if name == "main" and self.commits:
            return list(self.commits)[-1]
        return name if name in self.commits else None


class HubServer(ThreadingHTTPServer):
    """repositories: by name. requests: (method, path, user) of each. uploads: content by SHA-256."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.uploads: dict[str, bytes] = {}
        self.claimed_size: int | None = None  # of every file, in answers about it
        self.broken = 0  # status of every answer, if not 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serve() -> Iterator[HubServer]:
    """A server that runs in a thread of its own."""
    with HubServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    @property
    def user(self) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        return TOKENS.get(token)

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str = "", message: str = "no") -> None:
        self.answer(
            {"error": message}, status, **({"X_Error_Code": code} if code else {}), X_Error_Message=message
        )

    def begin(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path.partition("?")[0], self.user))
        return content

    def readable(self, name: str) -> Repository | None:
        """A repository that the user may read; otherwise refuses, as the hub does, and returns None."""
        found = self.server.repositories.get(name)
        if self.server.broken:
            self.refuse(self.server.broken, message="down for maintenance")
        elif found is None or (found.private and self.user != name.partition("/")[0]):
            self.refuse(404 if self.user else 401, "RepoNotFound", "Repository not found")
        else:
            return found
        return None

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.begin()
        path = self.path.partition("?")[0]
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            if found := self.readable(match[1]):
                self.answer(
                    {
                        "id": match[1],
                        "modelId": match[1],
                        "private": found.private,
                        "tags": [],
                        "siblings": [],
                    }
                )
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if found := self.readable(match[1]):
                self.serve_file(found, match[2], match[3])
        else:
            self.refuse(404)

    def serve_file(self, found: Repository, revision: str, name: str) -> None:
        commit = found.revision(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", "Revision not found")
            return
        content = found.commits[commit].get(name)
        if content is None:
            self.answer({}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
            return
        etag = hashlib.sha256(content).hexdigest()
        claimed = {} if self.server.claimed_size is None else {"X_Linked_Size": str(self.server.claimed_size)}
        self.answer(content, 200, ETag=f'"{etag}"', X_Repo_Commit=commit, **claimed)

    def do_PUT(self) -> None:
        content = self.begin()
        name = self.path.rpartition("/")[2]
        if hashlib.sha256(content).hexdigest() != name:
            self.refuse(400, message="the content is not what was announced")
            return
        self.server.uploads[name] = content
        self.answer({})

    def do_POST(self) -> None:
        content = self.begin()
        path = self.path.partition("?")[0]
        if self.server.broken:
            self.refuse(self.server.broken, message="down for maintenance")
        elif path == "/api/validate-yaml":
            self.answer({"warnings": [], "errors": []})
        elif self.user is None:
            self.refuse(401, message="Invalid username or password.")
        elif path == "/api/repos/create":
            self.create(json.loads(content))
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path):
            if (found := self.writable(match[1])) is not None:
                (self.preupload if match[2] == "preupload" else self.commit)(match[1], found, content)
        elif match := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            if self.writable(match[1]) is not None:
                self.batch(json.loads(content))
        else:
            self.refuse(404)

    def create(self, asked: dict[str, Any]) -> None:
        owner = asked.get("organization") or self.user
        name = f"{owner}/{asked['name']}"
        if name in self.server.repositories:
            status = 409 if owner == self.user else 403
            self.answer(
                {"error": "You already created this model repo", "url": f"{self.server.url}/{name}"}, status
            )
        elif owner != self.user:
            self.refuse(403, message="You don't have the rights to create a model under this namespace")
        else:
            private = bool(asked.get("private")) or asked.get("visibility") == "private"
            self.server.repositories[name] = Repository(private)
            self.answer({"url": f"{self.server.url}/{name}", "name": name})

    def writable(self, name: str) -> Repository | None:
        if name.partition("/")[0] != self.user:
            self.refuse(
                403, message="Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
            )
            return None
        return self.readable(name)

    def preupload(self, name: str, found: Repository, content: bytes) -> None:
        files = json.loads(content)["files"]
        modes = {one["path"]: "lfs" if one["path"].endswith(".safetensors") else "regular" for one in files}
        self.answer(
            {
                "files": [
                    {"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()
                ]
            }
        )

    def batch(self, asked: dict[str, Any]) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.server.url}/storage/{one['oid']}"}}}
            for one in asked["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def commit(self, name: str, found: Repository, content: bytes) -> None:
        files = {}
        for line in map(json.loads, content.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.uploads[value["oid"]]
        commit = found.add(files)
        url = f"{self.server.url}/{name}/commit/{commit}"
        self.answer({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})
