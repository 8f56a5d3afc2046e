"""What the wheel and the source archive contain: all that they need, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import CONF, ROOT

MB = 10**6
MOST = {"wheel": 2 * MB, "wheel, unpacked": 6 * MB, "source archive": 12 * MB, "a file": 1 * MB}
"""Limits in bytes, at about twice the sizes of version 0.2.0: what is larger was added by mistake."""

DATA = (".nc", ".h5", ".hdf5", ".ckpt", ".pth", ".pyc")
UNWANTED = (*DATA, ".pt", ".zip", ".npz", ".npy", ".mat", ".safetensors", ".onnx")


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_wheel_has_every_file_that_a_training_needs(wheel):
    found = content(wheel)
    conf = {f"cornet/conf/{name}": data for name, data in files(CONF).items()}
    package = {f"cornet/{name}": data for name, data in files(ROOT / "cornet").items()}
    plugins = {f"hydra_plugins/{name}": data for name, data in files(ROOT / "hydra_plugins").items()}
    assert len(conf) > 70
    assert {"cornet/cli/project/conf/experiment/mine.yaml", "cornet/cli/project/my_network.py"} < set(package)
    assert set(plugins) == {"hydra_plugins/cornet_local.py", "hydra_plugins/cornet_slurm.py"}
    about = {name: data for name, data in found.items() if ".dist-info/" in name}
    assert found == {**conf, **package, **plugins, **about}


def test_other_plugins_of_hydra_are_found_beside_ours(wheel):
    """An __init__.py in hydra_plugins would hide those of other packages."""
    assert "hydra_plugins/__init__.py" not in content(wheel)


def test_the_command_and_its_dependencies_are_declared(wheel):
    found = content(wheel)
    (points,) = (data.decode() for name, data in found.items() if name.endswith("entry_points.txt"))
    assert "cornet = cornet.cli:main" in points
    (about,) = (data.decode() for name, data in found.items() if name.endswith("METADATA"))
    assert "Requires-Dist: hydra-core<2,>=1.3.5" in about


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """The source archive, built in this process."""
    builders = pytest.importorskip("hatchling.builders.sdist", reason="hatchling is in the group dev")
    folder = tmp_path_factory.mktemp("archive")
    (path,) = builders.SdistBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(path)


def test_the_wheel_has_no_tests_no_data_and_is_small(wheel):
    found = content(wheel)
    tops = {name.partition("/")[0] for name in found}
    assert {top for top in tops if ".dist-info" not in top} == {"cornet", "hydra_plugins"}
    assert not [name for name in found if "tests" in name.split("/") or name.endswith(UNWANTED)]
    assert wheel.stat().st_size < MOST["wheel"]
    assert sum(map(len, found.values())) < MOST["wheel, unpacked"]
    assert max(map(len, found.values())) < MOST["a file"]


def test_the_licence_and_the_description_are_in_the_wheel(wheel):
    found = content(wheel)
    (licence,) = (data for name, data in found.items() if name.endswith(".dist-info/licenses/LICENSE"))
    assert licence == (ROOT / "LICENSE").read_bytes()
    (about,) = (data.decode() for name, data in found.items() if name.endswith("METADATA"))
    assert "License-Expression: MIT" in about
    assert about.endswith((ROOT / "README.md").read_text())


def test_the_source_archive_has_what_a_distribution_needs_and_is_small(archive):
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
    names = {member.name.partition("/")[2]: member for member in members}
    needed = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "tests/conftest.py"}
    assert needed <= set(names)
    assert all(member.isfile() for member in members)
    assert not [name for name in names if name.endswith(DATA)]
    assert not {".git", ".venv", "runs", "data", "dist", "shared"}.intersection(
        name.split("/")[0] for name in names
    )
    assert archive.stat().st_size < MOST["source archive"]


@pytest.mark.slow  # starts two programs
def test_the_checkers_of_uploads_find_nothing(wheel, archive):
    """twine renders the description as PyPI does."""
    for module, words in (
        ("twine", ["check", "--strict", wheel, archive]),
        ("check_wheel_contents", [wheel]),
    ):
        pytest.importorskip(module, reason=f"{module} is in the group dev")
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, words)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(wheel, archive, tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    with tarfile.open(archive) as unpacked:
        unpacked.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    (again,) = WheelBuilder(str(folder)).build(directory=str(tmp_path / "again"), versions=["standard"])
    assert content(Path(again)) == content(wheel)
    assert not {".git", ".venv", "runs", "data"}.intersection(path.name for path in folder.iterdir())
