"""A small server of Weights & Biases on loopback: enough of its protocol to start, log, upload and finish a run."""

import contextlib
import gzip
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer(ThreadingHTTPServer):
    """Answers as the real one would, until it is told to be `silent`: then it takes requests and never answers.

    operations: names of what was asked for through GraphQL, in order. runs: what a run was registered with, by id.
    lines: a run's file stream, by id and file: {offset: line}. files: what was uploaded, by path.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.silent, self.released = False, threading.Event()
        self.operations: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.lines: dict[tuple[str, str], dict[int, str]] = {}
        self.files: dict[str, bytes] = {}
        self.complete: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def history(self, run: str) -> list[dict[str, Any]]:
        """The rows that a run has logged."""
        held = self.lines.get((run, "wandb-history.jsonl"), {})
        return [json.loads(held[k]) for k in sorted(held)]

    def summary(self, run: str) -> dict[str, Any]:
        """What the table of runs shows of a run: the best and the last values."""
        held = self.lines.get((run, "wandb-summary.json"), {})
        return json.loads(held[max(held)]) if held else {}


@contextlib.contextmanager
def serve() -> Iterator[WandbServer]:
    with WandbServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()


class Handler(BaseHTTPRequestHandler):
    server: WandbServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self.answer({})

    def do_PUT(self) -> None:
        self.server.files[self.path.removeprefix("/storage/")] = self.body()
        self.answer({})

    def do_POST(self) -> None:
        content = self.body()
        if self.path == "/graphql":
            asked = json.loads(content)
            found = re.search(r"(?:query|mutation) (\w+)", asked["query"])
            name = found[1] if found else ""
            self.server.operations.append(name)
            self.answer({"data": self.told(name, asked.get("variables") or {})})
        elif self.path.endswith("/file_stream"):
            self.stream(self.path.split("/")[-2], json.loads(content))
            self.answer({})
        else:
            self.answer({})

    def body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def answer(self, content: Any) -> None:
        if self.server.silent:
            self.server.released.wait(600)
            self.close_connection = True
            return
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, run: str, content: dict[str, Any]) -> None:
        if "complete" in content:
            self.server.complete[run] = content.get("exitcode", 0)
        for name, part in (content.get("files") or {}).items():
            held = self.server.lines.setdefault((run, name), {})
            held.update(enumerate(part["content"], part["offset"]))

    def held(self, run: str) -> dict[str, Any] | None:
        """What a run that goes on is told of its past."""
        if run not in self.server.runs:
            return None
        history = self.server.lines.get((run, "wandb-history.jsonl"), {})
        return {
            "id": run,
            "name": run,
            "summaryMetrics": json.dumps(self.server.summary(run)),
            "displayName": run,
            "logLineCount": 0,
            "historyLineCount": len(history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([history[max(history)]] if history else []),
            "eventsTail": "[]",
            "config": self.server.runs[run].get("config", "{}"),
            "tags": self.server.runs[run].get("tags", []),
            "notes": "",
            "wandbConfig": json.dumps({"t": {}}),
        }

    def told(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        project = {
            "id": "p",
            "name": given.get("project") or "project",
            "entity": {"id": "e", "name": "someone"},
        }
        match operation:
            case "Viewer":
                return {
                    "viewer": {
                        "id": "v",
                        "entity": "someone",
                        "username": "someone",
                        "flags": "{}",
                        "teams": {"edges": []},
                    }
                }
            case "ServerFeaturesQuery":
                return {"serverInfo": {"features": []}}
            case "RunResumeStatus":
                return {"model": {**project, "bucket": self.held(given["name"])}}
            case "UpsertBucket":
                run = given.get("name") or given.get("id") or ""
                held = self.server.runs.setdefault(run, {})
                inserted = not held
                held.update({k: v for k, v in given.items() if v is not None})
                return {
                    "upsertBucket": {
                        "bucket": {
                            "id": run,
                            "name": run,
                            "displayName": run,
                            "project": project,
                            "historyLineCount": 0,
                        },
                        "inserted": inserted,
                    }
                }
            case "CreateArtifact":
                artifact = {
                    "id": "a",
                    "state": "COMMITTED",
                    "artifactSequence": {"latestArtifact": {"id": "a"}},
                }
                return {"createArtifact": {"artifact": artifact}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "CreateRunFiles":
                files = [
                    {"name": n, "uploadUrl": f"{self.server.url}/storage/{given['run']}/{n}"}
                    for n in given["files"]
                ]
                return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        return {}
