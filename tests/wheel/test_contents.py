"""What the wheel contains: all that a training needs without a checkout, and nothing else."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import CONF, ROOT


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


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(wheel, tmp_path):
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(archive) as unpacked:
        unpacked.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    (again,) = WheelBuilder(str(folder)).build(directory=str(tmp_path / "again"), versions=["standard"])
    assert content(Path(again)) == content(wheel)
    assert not {".git", ".venv", "runs", "data"}.intersection(path.name for path in folder.iterdir())
