"""Environments in which a wheel of cornet is installed, outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["UNSET", "Environment", "borrow", "constraints", "install", "uv"]

UNSET = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTEST_ADDOPTS")
"""Variables of the tests that other environments must not see."""


class Environment(NamedTuple):
    """An environment, and the folder that its commands have as home."""

    folder: Path
    home: Path

    def run(self, *words: str, cwd: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `cornet WORDS` in the folder `cwd`."""
        return self.call([str(self.folder / "bin" / "cornet"), *words], cwd, timeout)

    def call(
        self, command: Sequence[str], cwd: Path, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        own = {"HOME": str(self.home), "CORNET_CACHE": str(self.home / "cache"), "OMP_NUM_THREADS": "1"}
        own |= {
            "CUDA_VISIBLE_DEVICES": "",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "COLUMNS": "100",
        }
        variables = {name: value for name, value in os.environ.items() if name not in UNSET}
        return subprocess.run(
            command,
            cwd=cwd,
            env={**variables, **own},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def borrow(folder: Path, wheel: Path) -> Environment:
    """Return an environment with the wheel alone, which takes all other packages from the environment of the tests."""
    environment = create(folder)
    (packages,) = environment.folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = uv("pip", "install", "--python", str(environment.folder), "--offline", "--no-deps", str(wheel))
    assert done.returncode == 0, done.stderr
    return environment


def install(folder: Path, wheel: Path) -> Environment:
    """Return an environment with the wheel and its declared dependencies, in the versions of the tests' environment.

    Skips the test if a package is neither in uv's cache nor to be had.
    """
    environment = create(folder)
    command = [
        "pip",
        "install",
        "--python",
        str(environment.folder),
        "--compile-bytecode",
        "-c",
        str(constraints(folder)),
    ]
    for more in (["--offline"], []):
        done = uv(*command, *more, str(wheel))
        if done.returncode == 0:
            return environment
    pytest.skip(f"the dependencies cannot be installed here: {done.stderr.strip().splitlines()[0]}")


def constraints(folder: Path) -> Path:
    """Write and return a file of constraints with the versions of the tests' environment."""
    found = {one.metadata["Name"]: one.version for one in distributions()}
    file = folder / "versions.txt"
    file.write_text("".join(f"{name}=={found[name]}\n" for name in sorted(found) if "cornet" not in name))
    return file


def create(folder: Path) -> Environment:
    """Return an empty environment with the Python of the tests. Skips the test without uv."""
    (folder / "home").mkdir(parents=True)
    done = uv("venv", "--python", sys.executable, str(folder / "env"))
    assert done.returncode == 0, done.stderr
    return Environment(folder / "env", folder / "home")


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    """Run uv outside every project. Skips the test without uv."""
    program = shutil.which("uv")
    if program is None:
        pytest.skip("uv is not installed")
    variables = {name: value for name, value in os.environ.items() if name not in UNSET}
    return subprocess.run(
        [program, *words], cwd="/", env=variables, capture_output=True, text=True, timeout=600, check=False
    )
