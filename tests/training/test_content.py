"""A run is known by what its images and bundles contain: not by where they lie, nor by how that is spelled."""

import copy
import functools
import json
import os
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from cornet.brain.benchmarks import open_benchmarks
from cornet.errors import CornetError
from cornet.runs.path import identity_of
from cornet.training.content import content_of
from cornet.training.run import place_of, resolved
from tests.helpers.brain.drawn_bundle import assembly
from tests.helpers.brain.drawn_bundle import write as write_bundle
from tests.helpers.stimuli.pictures import class_folders, encode, jpeg, picture, write
from tests.helpers.training.swept import swept
from train import CONF


@functools.cache
def composed(group: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [group])


def known(group: str, key: str = "", value: object = None) -> tuple[Path, str]:
    """The folder of a run with this override beside that of a group, and its identity."""
    config, overrides = copy.deepcopy(composed(group)), [group]
    with open_dict(config):
        if key:
            OmegaConf.update(config, key, value)
            overrides.append(f"{key}={json.dumps(value)}")
        content = content_of(config)
        path, _, _ = place_of(config, overrides, content, sweep=True)
    return path, json.dumps(identity_of(resolved(content.in_place(config))), default=str)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photographs")


def test_images_by_any_path(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = shutil.copytree(photographs, tmp_path / "copy", copy_function=shutil.copy)
    os.utime(other / "train/n0000/train_0.JPEG", (1, 1))
    (tmp_path / "link").symlink_to(photographs)
    places = [photographs, f"{photographs}/", other, "link", "./photographs", "copy/../photographs"]
    found = {known("data=imagefolder", "data.folder", str(place)) for place in places}
    assert len(found) == 1
    ((path, identity),) = found
    assert "data.folder-images-" in path.parent.name
    assert str(tmp_path) not in identity
    write(other / "val/n0001/val_0.JPEG", jpeg(picture(seed=99)))
    changed = known("data=imagefolder", "data.folder", str(other))
    assert changed[0] != path
    assert changed[1] != identity


LOCAL = "brain.benchmarks.local"


@pytest.mark.slow  # composes many configurations
def test_bundles_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = write_bundle(tmp_path / "mine", assembly(("V4",) * 4 + ("IT",) * 4))
    other = shutil.copytree(bundle, tmp_path / "elsewhere" / "mine")
    (tmp_path / "link").symlink_to(bundle)
    places = [bundle, f"{bundle}/", f"{bundle}/.", other, "link", "mine", "elsewhere/../mine"]
    names = [[one.name for one in open_benchmarks([str(place)])] for place in places]
    assert names == [["mine.IT", "mine.V4"]] * len(places)
    for region in ("", ":V4"):
        found = {known("brain=local", LOCAL, [f"{place}{region}"]) for place in places}
        assert len(found) == 1
        assert str(tmp_path) not in found.pop()[1]
    assert known("brain=local", LOCAL, ["mine:V4"]) != known("brain=local", LOCAL, ["mine"])
    assert [one.name for one in open_benchmarks([str(bundle), "mine/", "link"])] == names[0]
    with pytest.raises(CornetError, match=r"both define the benchmark mine.IT; rename one"):
        open_benchmarks([str(bundle), str(other)])


def test_a_bundle_folder_of_any_bytes(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / os.fsdecode(b"caf\xe9"), assembly())
    assert [one.name for one in open_benchmarks([str(bundle)])] == [r"caf\xe9.V4"]


def test_what_has_no_folder_keeps_its_name() -> None:
    assert known("model.width=0.1")[0].parent.name == "model.width-0.1"


@pytest.mark.slow  # trains
def test_a_sweep_knows_copies_and_goes_on_without_images(photographs: Path, tmp_path: Path) -> None:
    other = shutil.copytree(photographs, tmp_path / "copy")
    given = ["-m", "data=imagefolder", f"root={tmp_path}/runs"]
    sweep = swept(*given, f"data.folder={photographs},{other}")
    assert (len(sweep.jobs), sweep.repeated) == (1, 1)
    write(other / "val/n0001/val_0.JPEG", jpeg(picture(seed=99)))
    sweep = swept(*given, f"data.folder={photographs},{other}")
    assert (len(sweep.jobs), sweep.repeated) == (2, 0)
    assert len(swept(*given, f"data.folder={tmp_path}/none", "seed=0,1").jobs) == 2


def test_maps_and_bundles_of_losses_by_any_path(photographs: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "mine", assembly(("V4",) * 8))
    maps = tmp_path / "maps"
    for path in photographs.glob("*/*/*.JPEG"):
        write((maps / path.relative_to(photographs)).with_suffix(".png"), encode(picture(48, 64)[..., 0]))

    def content(folder: Path, data: Path) -> dict[str, str]:
        config = copy.deepcopy(composed("data=imagefolder"))
        with open_dict(config):
            config.data.folder, config.data.maps = str(photographs), str(folder)
            config.losses.v4 = {"_target_": "cornet.losses.RecordingAlignment", "bundle": f"{data}:V4"}
        return dict(content_of(config).values)

    first = content(maps, bundle)
    assert first["data.maps"].startswith("maps-")
    assert first["losses.v4.bundle"].startswith("mine-")
    copied = [shutil.copytree(one, tmp_path / "copy" / one.name) for one in (maps, bundle)]
    assert content(*copied) == first
    write(copied[0] / "train/n0000/train_0.png", encode(picture(48, 64, 9)[..., 0]))
    changed = content(*copied)
    assert changed["data.folder"] == first["data.folder"]
    assert changed["data.maps"] != first["data.maps"]
