"""The lock of a run's folder: what stands in it never matters, who holds it does."""

import json
import os
import socket
import subprocess
import sys

import pytest

from cornet.errors import CornetError
from cornet.runs import lock as run_lock
from cornet.runs.lock import has_ended, locked, pid_namespace, read_owner

OWNER = {"host": socket.gethostname(), "pid": 2**22 + 1, "since": "then", "container": pid_namespace()}
CONTENTS = {
    "empty": b"",
    "binary": bytes(range(256)) * 20,
    "huge": b"x" * 5_000_000,
    "deep": b"[" * 4096,
    "list": b"[1, 2]",
    "pid of text": json.dumps({**OWNER, "pid": "abc"}).encode(),
    "no pid": json.dumps({"host": OWNER["host"]}).encode(),
    "negative pid": json.dumps({**OWNER, "pid": -1}).encode(),
    "huge pid": json.dumps({**OWNER, "pid": 10**30}).encode(),
    "not a number": b'{"host": "h", "since": "s", "pid": NaN}',
    "dead": json.dumps(OWNER).encode(),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("system", ["locks", "no locks"])
def test_odd_contents_are_of_no_living_process(tmp_path, name, system, monkeypatch):
    if system == "no locks":

        def unable(*_):
            raise OSError(run_lock.UNSUPPORTED[0], "no locks available")

        monkeypatch.setattr(run_lock.fcntl, "lockf", unable)
    (tmp_path / ".lock").write_bytes(CONTENTS[name])
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert (tmp_path / ".lock").read_bytes() == b""


@pytest.mark.parametrize("odd", ["folder", "pipe", "link"])
def test_something_else_in_its_place(tmp_path, odd):
    path = tmp_path / ".lock"
    (tmp_path / "precious").write_text("mine")
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("precious")}[
        odd
    ]()
    with (
        pytest.raises(CornetError, match=r"\.lock cannot be written: .*; remove it, or choose"),
        locked(tmp_path),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_who_may_live_counts_where_there_are_no_locks(tmp_path, monkeypatch):
    def unable(*_):
        raise OSError(run_lock.UNSUPPORTED[0], "no locks available")

    monkeypatch.setattr(run_lock.fcntl, "lockf", unable)
    for owner in (
        {**OWNER, "pid": os.getppid()},
        {**OWNER, "container": "another"},
        {**OWNER, "host": "\x1b[31m\n", "container": ""},
    ):
        (tmp_path / ".lock").write_text(json.dumps(owner))
        with pytest.raises(CornetError, match=r"being written by process \d+ on ") as told, locked(tmp_path):
            pass
        assert str(told.value).isprintable()
        assert f"or remove {tmp_path / '.lock'} if that process has ended" in str(told.value)


def test_a_process_of_another_user_lives():
    assert not has_ended({**OWNER, "pid": 1})


def test_containers_with_one_host_name_exclude_each_other(tmp_path):
    unshare = ["unshare", "--fork", "--pid", "--uts", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("namespaces are not permitted here")
    code = (
        "import sys; from pathlib import Path; from cornet.runs.lock import pid_namespace, locked\n"
        "with locked(Path(sys.argv[1])): print(pid_namespace(), flush=True); sys.stdin.read()"
    )
    command = [*unshare, sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command, **pipes)
    assert first.stdout.readline().strip() != pid_namespace()
    descriptor = os.open(tmp_path / ".lock", os.O_RDONLY)
    assert read_owner(descriptor)["host"] == OWNER["host"]
    os.close(descriptor)
    second = subprocess.run(command, capture_output=True, text=True)
    first.communicate("")
    assert second.returncode == 1
    assert "is being written by process 1 on" in second.stderr
    assert first.returncode == 0
