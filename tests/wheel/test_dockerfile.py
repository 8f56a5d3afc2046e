"""packaging/Dockerfile: built where docker is, and its RUN steps run as a script in a fresh folder."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.environments import UNSET, constraints
from tests.helpers.paths import ROOT

FILE = ROOT / "packaging/Dockerfile"
SMALL = "data.train_images=64 data.val_images=32 data.size=32 model.width=0.1 recipe.batch_size=16 recipe.epochs=1"


def instructions() -> list[tuple[str, str]]:
    """The instructions with their arguments, continued lines joined, without comments."""
    lines = [line for line in FILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [
        (word, rest)
        for word, _, rest in (
            line.partition(" ") for line in "\n".join(lines).replace("\\\n", "").splitlines()
        )
    ]


def arguments(word: str) -> list[str]:
    return [rest for one, rest in instructions() if one == word]


def copied() -> list[str]:
    return [name for rest in arguments("COPY") for name in rest.split()[:-1]]


def test_the_command_runs_without_root():
    last = instructions()[-1]
    assert last == ("ENTRYPOINT", '["cornet"]')
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", arguments("USER")[-1])
    assert arguments("FROM") == ["python:${PYTHON}-slim"]
    python = next(rest for rest in arguments("ARG") if rest.startswith("PYTHON="))
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert [int(part) for part in python.removeprefix("PYTHON=").split(".")] >= [
        int(part) for part in needed.removeprefix(">=").split(".")
    ]


def test_it_copies_what_the_wheel_is_built_from_and_nothing_is_ignored():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {"pyproject.toml", "README.md", "LICENSE", *wheel["only-include"]} == set(copied())
    ignored = (ROOT / "packaging/Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())


@pytest.mark.longest
@pytest.mark.timeout(1800)  # installs all dependencies
@pytest.mark.parametrize("device", ["gpu", "tpu"])
def test_the_run_steps_as_a_script(device, tmp_path):
    """PyTorch's builds for CPUs alone are not on PyPI, so that the step for a GPU is run here."""
    variables = {name: value for name, value in os.environ.items() if name not in UNSET}
    places = {"SOURCE": tmp_path / "src", "CORNET": tmp_path / "env", "WORK": tmp_path / "work"}
    variables |= {name: str(path) for name, path in places.items()}
    variables |= {"DEVICE": device, "EXTRAS": "", "UV_CONSTRAINT": str(constraints(tmp_path))}
    for name in copied():
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(
            ROOT / name, made(places["SOURCE"]) / name
        )
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    script = "set -e\n" + "\n".join(arguments("RUN"))
    done = run(["sh", "-c", script], tmp_path, variables)
    if device == "tpu":
        assert done.returncode == 2, done.stderr
        assert "DEVICE=tpu must be cpu or gpu" in done.stderr
        return
    if done.returncode and re.search("(?i)connect|resolve host|dns error|network|timed out", done.stderr):
        pytest.skip(f"the packages cannot be fetched here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert oct(places["WORK"].stat().st_mode)[-4:] == "1777"
    variables |= {"HOME": str(places["WORK"]), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [str(places["CORNET"] / "bin/cornet"), "train", *SMALL.split(), "brain=none"]
    done = run(command, places["WORK"], variables)
    assert done.returncode == 0, done.stderr
    assert list(places["WORK"].glob("runs/objects-cornet_s/**/seed0/finished.json"))
    shutil.rmtree(places["CORNET"])


@pytest.mark.longest
@pytest.mark.timeout(3600)
def test_docker_builds_it(tmp_path):
    docker = shutil.which("docker")
    if docker is None or run([docker, "info"], tmp_path).returncode:
        pytest.skip("docker is not running here")
    done = run([docker, "build", "-q", "-f", str(FILE), str(ROOT)], tmp_path)
    assert done.returncode == 0, done.stderr
    image = done.stdout.strip()
    try:
        done = run([docker, "run", "--rm", image, "train", *SMALL.split(), "brain=none"], tmp_path)
        assert done.returncode == 0, done.stderr
        done = run([docker, "run", "--rm", "--entrypoint", "id", image, "-u"], tmp_path)
        assert done.stdout.strip() == "1000"
    finally:
        run([docker, "rmi", image], tmp_path)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(
    command: list[str], cwd: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=3000, check=False
    )
