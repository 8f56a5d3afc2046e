"""Single checks of `cornet doctor` against made-up machines: files, programs and environments of the test."""

import os
import sys
import time
from pathlib import Path

import pytest

from cornet.cli.health import data, machine, packages, storage, torch_state
from cornet.cli.health.check import NOTE, OK, PROBLEM, Check, gibibytes, run_checks
from tests.helpers.paths import ROOT

CARD = {"name": "NVIDIA H200", "memory": "143771 MiB", "free": "143000 MiB", "driver": "570.1"}
DEVICE = {"name": "NVIDIA H200", "memory": 150754820096, "capability": "9.0", "bf16": True}


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", None), ("150000 100000", 1.5), ("400000 100000", 4.0), ("no", None)]
)
def test_the_limit_of_a_container(quota, cores, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/cpu.max").write_text(quota)
    (tmp_path / "a/b/cpu.max").write_text("800000 100000")
    (tmp_path / "groups").write_text("0::/a/b\n")
    found = machine.quota_of(tmp_path, tmp_path / "groups")
    assert found == (8.0 if cores is None else min(cores, 8.0))


def test_the_limit_of_an_older_container(tmp_path):
    (tmp_path / "cpu/x").mkdir(parents=True)
    (tmp_path / "cpu/x/cpu.cfs_quota_us").write_text("250000\n")
    (tmp_path / "cpu/x/cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "groups").write_text("4:cpu,cpuacct:/x\n1:memory:/y\n")
    assert machine.quota_of(tmp_path, tmp_path / "groups") == 2.5
    assert machine.quota_of(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("cards", "driver", "cuda", "visible", "state", "words"),
    [
        ([], None, {"built": None, "available": False}, None, NOTE, "none found"),
        ([CARD], "13.0", {"built": None, "available": False}, None, PROBLEM, "built for the CPU"),
        (
            [CARD],
            "12.8",
            {"built": "13.2", "available": False},
            None,
            PROBLEM,
            "up to 12.8, and PyTorch is built for 13.2",
        ),
        (
            [CARD],
            "13.0",
            {"built": "13.2", "available": False, "error": "no access"},
            None,
            PROBLEM,
            "no access",
        ),
        ([CARD], "13.0", {"built": "13.2", "available": False}, "", NOTE, "hidden by CUDA_VISIBLE_DEVICES"),
        (
            [CARD],
            "13.0",
            {"built": "13.2", "available": True, "devices": [DEVICE]},
            None,
            OK,
            "140 GiB (143000 MiB free)",
        ),
        (
            [CARD],
            "13.0",
            {"built": "13.2", "available": True, "devices": [{**DEVICE, "capability": "7.5", "bf16": False}]},
            None,
            NOTE,
            "bf16 no",
        ),
    ],
)
def test_gpus(cards, driver, cuda, visible, state, words):
    (check,) = torch_state.judged(cards, driver, cuda, visible)
    assert (check.state, words in check.text) == (state, True), check.text
    assert bool(check.remedy) == (state == PROBLEM or visible is not None or "bf16 no" in check.text)


def test_what_the_driver_says(tmp_path, monkeypatch):
    """A program with the output of nvidia-smi."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\nif [ -n "$1" ]; then echo "NVIDIA A, 40 MiB, 39 MiB, 570.1"; else echo '
        '"| NVIDIA-SMI 570.1    Driver Version: 570.1    CUDA Version: 12.8 |"; fi\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    card = {"name": "NVIDIA A", "memory": "40 MiB", "free": "39 MiB", "driver": "570.1"}
    assert torch_state.nvidia_gpus() == [card]
    assert torch_state.driver_cuda() == "12.8"
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (torch_state.nvidia_gpus(), torch_state.driver_cuda()) == ([], None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "raise ImportError('libcudart.so.13: cannot open shared object file')",
            "cannot be imported (ImportError: libcudart",
        ),
        ("import os; os.kill(os.getpid(), 4)", "ended by SIGILL"),
        ("import os; os._exit(3)", "exit status 3"),
    ],
)
def test_a_broken_pytorch(source, words, tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    torch_state.probed.cache_clear()
    try:
        check = torch_state.imports()[0]
        assert (check.name, check.state, words in check.text) == ("PyTorch", PROBLEM, True), check.text
        assert "pip install --force-reinstall torch torchvision" in check.remedy
        assert torch_state.gpus()[0].state == NOTE
    finally:
        torch_state.probed.cache_clear()


def test_dependencies_are_those_of_the_project(monkeypatch):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    monkeypatch.setattr(packages.importlib.metadata, "requires", missing)
    found = {(one.name, one.bounds) for one in packages.needed() if not one.extra}
    assert {f"{name}{bounds}" for name, bounds in found} == set(project["dependencies"])
    assert {one.extra for one in packages.needed() if one.extra} == set(project["optional-dependencies"])


def missing(name: str) -> str:
    raise packages.importlib.metadata.PackageNotFoundError(name)


def test_missing_and_old_packages(monkeypatch):
    versions = {"numpy": "1.26.4", "torch": None}
    real = packages.installed
    monkeypatch.setattr(
        packages, "installed", lambda name: versions.get(name, real(name)) if name in versions else real(name)
    )
    found = {one.name: one for one in packages.dependencies()}
    assert (found["torch"].state, found["torch"].text) == (PROBLEM, "missing")
    assert found["torch"].remedy.startswith("pip install 'torch>=2")
    assert (found["numpy"].state, "1.26.4 is outside >=2.0,<3" in found["numpy"].text) == (NOTE, True)
    assert "scipy" in found["dependencies"].text
    assert "numpy" not in found["dependencies"].text


def test_python_is_new_enough():
    assert packages.python_and_cornet()[0].state == OK
    assert not packages.within("3.10.4", ">=3.11")
    assert packages.within("2.15.0+cu132", ">=2.11,<3")


@pytest.mark.parametrize("name", ["no-such-compiler", "a compiler that fails"])
def test_no_compiler(name, tmp_path, monkeypatch):
    if name == "a compiler that fails":
        program = tmp_path / "c"
        program.write_text(
            "#!/bin/sh\necho 'small.cpp:1:10: fatal error: Python.h: No such file' >&2\nexit 1\n"
        )
        program.chmod(0o755)
        name = str(program)
    monkeypatch.setenv("CXX", name)
    (check,) = machine.compiler()
    assert check.state == NOTE
    assert ("python3-dev" in check.remedy) == (name != "no-such-compiler")


def test_sizes_of_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    assert "empty" in storage.caches()[0].text
    for name, count in (("recordings", 3 * 2**20), ("compiled-7", 2**20)):
        (tmp_path / "cache" / name / "below").mkdir(parents=True)
        (tmp_path / "cache" / name / "below/file").write_bytes(b"0" * count)
    found = storage.caches()
    assert [one.name.strip() for one in found] == ["cache", "recordings", "compiled-7"]
    assert found[0].values["bytes"] == 4 * 2**20
    assert found[1].text == "3 MiB, features of networks for benchmarks"
    assert "torch.compile" in found[2].text
    assert storage.folder_size(tmp_path, time.monotonic() - 1)[1] is False


def test_the_folder_of_runs(tmp_path):
    (check,) = storage.runs_folder(tmp_path / "a/b")()
    assert (check.state in (OK, NOTE), "does not exist yet" in check.text) == (True, True)
    assert not (tmp_path / "a").exists()
    (check,) = storage.runs_folder(Path("/proc/self"))()  # where nobody can make a file
    assert (check.state, "--root" in check.remedy) == (PROBLEM, True)


SECRET = "0123456789abcdef" * 2


def test_credentials_are_found_and_never_shown(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {SECRET}\n")
    (tmp_path / ".netrc").chmod(0o600)
    (tmp_path / "token").write_text(SECRET)
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    assert [one.values["place"] for one in data.credentials()] == [str(tmp_path / ".netrc"), None]
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    found = data.credentials()
    assert [one.values["place"] for one in found] == ["WANDB_API_KEY", str(tmp_path / "token")]
    assert SECRET not in str(found)
    assert (
        data.wandb_key({"WANDB_BASE_URL": "https://other.example", "NETRC": str(tmp_path / ".netrc")}) == ""
    )
    assert data.hub_token({"HF_TOKEN": SECRET}) == "HF_TOKEN"


def test_public_data(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path))
    found = {one.name: one for one in data.brain_data()}
    assert {one.state for one in found.values()} == {NOTE}
    assert found["kar2019"].remedy.endswith("cornet fetch kar2019")
    (tmp_path / "data/kar2019").mkdir(parents=True)
    (tmp_path / "data/kar2019/dataset.h5").write_text("")
    assert {one.name: one for one in data.brain_data()}["kar2019"].state == OK


def test_shared_memory_and_open_files(tmp_path):
    assert machine.shared_memory(tmp_path / "missing") == []
    assert machine.shared_memory(tmp_path)[0].state in (OK, NOTE)
    assert machine.open_files()[0].name == "open files"
    assert machine.memory()[0].values["available"] > 0
    assert machine.cores()[0].values["machine"] == os.cpu_count()


def test_a_check_that_fails_is_a_note():
    def strange_machine() -> list[Check]:
        raise RuntimeError("no such thing\x1b[2J")

    (found,) = run_checks([strange_machine])
    assert (found.name, found.state) == ("strange machine", NOTE)
    assert "\x1b" not in found.text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 MiB"), (2**29, "512 MiB"), (15.5 * 2**30, "15.5 GiB"), (3 * 2**40, "3 TiB")]
)
def test_bytes(count, text):
    assert gibibytes(count) == text


def test_this_python_is_shown():
    assert sys.executable in packages.python_and_cornet()[0].text
