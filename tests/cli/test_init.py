"""`cornet init`: what it writes, what it refuses; the project as written trains, and both its networks are scored."""

import json
import os
import sys

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf, open_dict
from typer.testing import CliRunner

from cornet.cli import app, main
from cornet.cli.program import conf_folder
from cornet.cli.trainings.init import FILES, TEMPLATES
from cornet.stimuli.fingerprint import fingerprint
from cornet.stimuli.samples import ImageDataset, ImageSource, Key
from cornet.training.config_errors import config_error


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    for name in ("my_network", "my_images", "my_callback"):  # of the project of another test
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def init(*words):
    return CliRunner().invoke(app, ["init", *words])


def test_it_writes_a_project_and_says_what_to_type(here):
    result = init("demo")
    assert result.exit_code == 0
    assert {
        str(path.relative_to(here / "demo")) for path in (here / "demo").rglob("*") if path.is_file()
    } == {*FILES}
    assert "\n  cd demo\n  cornet train --config-dir conf experiment=mine " in result.output
    assert "cd " not in init("--help").output.partition("Examples")[0]
    (here / "other").mkdir()
    os.chdir(here / "other")
    assert "cd " not in init().output
    assert (here / "other" / "README.md").is_file()


def test_every_file_is_short_and_complete():
    found = {
        str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*") if "__pycache__" not in path.parts
    }
    assert found - {"conf", "conf/experiment"} == {*FILES}
    for name in FILES:
        text = (TEMPLATES / name).read_text()
        assert text.isascii()
        assert 20 <= text.count("\n") <= 60, name


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_overwritten(here, name, monkeypatch, capsys):
    (here / "demo" / name).parent.mkdir(parents=True)
    (here / "demo" / name).symlink_to(here / "nothing")  # also one that leads nowhere
    monkeypatch.setattr(sys, "argv", ["cornet", "init", "demo"])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith(f"cornet: demo/{name} exists, and cornet init overwrites no file; ")
    assert error.count("\n") == 1
    assert [path for path in (here / "demo").rglob("*") if path.is_file()] == []
    assert not (here / "nothing").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(here, monkeypatch, capsys):
    (here / "demo").write_text("a file")
    monkeypatch.setattr(sys, "argv", ["cornet", "init", "demo"])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("\n"), "demo" in error) == (2, 1, True)


@pytest.mark.slow  # trains
def test_the_project_trains_as_written(here, cornet, monkeypatch):
    """By the first command of its README."""
    assert cornet("init")[0] == 0
    monkeypatch.setattr(sys, "path", [*sys.path])
    command = (here / "README.md").read_text().partition("```sh\ncornet ")[2].partition("\n")[0]
    code, out, err = cornet(*command.split())
    assert code == 0, err
    assert "own on my_images" in out
    assert out.count("the decoder's weights have the size") == 6
    run = here / "runs/mine/seed0"
    summary = json.loads((run / "finished.json").read_text())
    assert summary["best"] > 3 * summary["chance"]
    assert pd.read_csv(run / "metrics.csv")["mine/decoder"].count() == 6


@pytest.fixture
def project(here, monkeypatch):
    """The current folder is a new project; returns its composed experiment."""
    from hydra import compose, initialize_config_dir

    assert init().exit_code == 0
    monkeypatch.syspath_prepend(str(here))
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = compose("config", [f"hydra.searchpath=[file://{here}/conf]", "experiment=mine"])
    except Exception as error:
        raise config_error(error, conf_folder(), []) or error from None
    with open_dict(config):
        config.run_folder, config.run_id = str(here / "run"), "token"
    return config


@pytest.mark.slow
def test_the_parts_of_the_project(project):
    from cornet.training.build import build

    project.data.update(train_images=64, val_images=32, size=32)
    training = build(project)
    assert training.net(torch.zeros(2, 3, 32, 32)).shape == (2, 8)
    assert "MyCallback" in [type(one).__name__ for one in training.trainer.callbacks]
    source = training.source
    assert isinstance(source, ImageSource)
    train, val = source.train(), source.val()
    assert isinstance(train, ImageDataset)
    assert [tuple(split[Key(3, 0)].image.shape) for split in (train, val)] == [(3, 32, 32), (1, 3, 32, 32)]
    shown = torch.stack([train[Key(3, epoch)].image for epoch in range(16)])
    mirrored = (shown == shown[:1]).all(dim=(1, 2, 3)).logical_not()
    assert 0 < mirrored.sum() < 16
    assert torch.equal(shown[mirrored][0].flip(-1), shown[0])
    assert len({train[Key(k, 0)].label for k in range(8)}) == 8
    pixels = torch.stack([val[Key(k, 0)].image for k in range(32)]).float() / 255
    assert abs(pixels.std() - source.std[0]) < 0.03
    assert abs(pixels.mean() - source.mean[0]) < 0.03
    first = fingerprint(source)
    project.data.contrast = 0.4
    assert fingerprint(build(project).source) != first


@pytest.mark.slow
def test_the_alternative_of_the_project_has_areas(project):
    from cornet.models import CORnet
    from cornet.training.build import build

    text = (TEMPLATES / "conf/experiment/mine.yaml").read_text()
    lines = [line.removeprefix("  # ") for line in text.splitlines() if line.startswith("  # ")]
    chosen = OmegaConf.create("\n".join(line for line in lines if not line.startswith("An alternative")))
    assert set(chosen) == {"_target_", "width"}
    with open_dict(project):
        del project.model.channels
        project.model.update(chosen)
        project.data.update(train_images=64, val_images=32, size=32)
    net = build(project).net
    assert isinstance(net, CORnet)
    assert net.steps == {"V1": 1, "V2": 2, "V4": 4, "IT": 2}
