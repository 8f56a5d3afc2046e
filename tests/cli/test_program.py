"""Where the configuration is, and what starts a run of a sweep again."""

import shutil
import sys
from pathlib import Path

import pytest

from cornet.cli import program
from cornet.cli.program import begin_train, conf_folder, program_name, start_command
from cornet.errors import CornetError
from tests.helpers.paths import CONF, ROOT


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """No test changes how the others seem to have been started."""
    monkeypatch.setattr(program, "_subcommand", ())
    monkeypatch.setattr(sys, "argv", ["train.py"])


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """The package in another place, without a configuration."""
    monkeypatch.setattr(program, "PACKAGE", tmp_path / "cornet")
    return tmp_path / "cornet"


def test_a_checkout_has_its_configuration_beside_the_package():
    assert conf_folder() == CONF


def test_a_wheel_has_it_in_the_package(package):
    """Even if there is a folder conf beside it, which may be of another package."""
    shutil.copytree(CONF, package / "conf")
    shutil.copytree(CONF, package.parent / "conf")
    assert conf_folder() == package / "conf"
    assert program_name() == "cornet train"


def test_without_a_configuration_one_sentence_says_what_to_do(package):
    (package.parent / "conf").mkdir(parents=True)  # of something else
    with pytest.raises(
        CornetError, match=r"has no configuration, .*; install cornet-ventral again, or .*\.$"
    ):
        conf_folder()


@pytest.mark.parametrize(
    ("argv", "train", "name", "command"),
    [
        (["train.py", "seed=1"], False, "train.py", [str(ROOT / "train.py")]),
        (["/x/bin/cornet", "train", "seed=1"], True, "cornet train", ["/x/bin/cornet", "train"]),
        (
            [str(ROOT / "cornet/__main__.py"), "train"],
            True,
            "python -m cornet train",
            ["-m", "cornet", "train"],
        ),
    ],
)
def test_the_program_is_started_again_as_it_was(argv, train, name, command, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", list(argv))
    if train:
        begin_train(["seed=1"])
    assert sys.argv == [argv[0], "seed=1"]
    assert program_name() == name
    assert start_command() == [sys.executable, *command]
