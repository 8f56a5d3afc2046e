"""`cornet train` does what train.py does, and both refuse a wrong command line in one sentence."""

import sys
from pathlib import Path

import pytest

from cornet.cli.trainings.train import options_first
from cornet.errors import CornetError
from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch) -> Path:
    """The current folder, with configuration files of the user's own."""
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/short.yaml").write_text(
        "# @package _global_\nrecipe: {epochs: 1}\nname: short\n"
    )
    (tmp_path / "mine/other.yaml").write_text("defaults: [config, _self_]\nseed: 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["--help"], "model: b, bl, blt, cornet_r, ", marks=pytest.mark.slow),
        (["--config-dir", "mine", "experiment=short", "--cfg", "job", "seed=3"], "name: short\n"),
        (["--config-dir=mine", "-cn", "other", "--cfg", "job", "-p", "seed"], "7\n"),
        pytest.param(["model.wdth=1"], "did you mean model.width?", marks=pytest.mark.slow),
    ],
)
def test_it_does_what_train_py_does(words, expected, cornet, train):
    code, out, err = cornet("train", *words)
    assert (code, out.replace("cornet train", "train.py"), err) == train(*words, small=False)
    assert code == (2 if "model.wdth=1" in words else 0)
    assert expected in out + err
    if words[0] == "--help":
        assert "\n  cornet train -m seed=0,1,2 " in out
        assert "train.py" not in out


def test_a_folder_of_configurations_is_one_of_the_current_folder(own, cornet):
    """Not of the package, where Hydra would look for it."""
    assert cornet("train", "--config-path", str(ROOT / "conf"), "--cfg", "job", "-p", "seed") == (
        0,
        "0\n",
        "",
    )
    code, _, err = cornet("train", "--config-path", "nothing")
    assert (code, f"'{own / 'nothing'}'" in err) == (2, True)


@pytest.mark.slow
def test_a_plan_with_a_network_and_a_configuration_of_ones_own(own, cornet):
    (own / "small_net.py").write_text(
        "from torch import nn\n\ndef net(num_classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))\n"
    )
    words = [
        "--config-dir",
        "mine",
        "experiment=short",
        "model=own",
        "model._target_=small_net.net",
        "brain=none",
    ]
    code, out, err = cornet("plan", *words, "data.train_images=64", "data.val_images=32", "data.size=32")
    assert (code, "total, 1 epoch" in out) == (0, True), out + err
    error = "cornet: --config-dir mien is not a folder; give one with configuration files.\n"
    assert cornet("plan", "--config-dir", "mien") == (2, "", error)


def test_control_c_before_the_run_is_one_sentence(cornet, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hydra.main", interrupted)
    assert cornet("train") == (130, "", "\nStopped. Repeat the command to start again.\n")


def test_options_may_stand_between_overrides():
    words = ["a=1", "--config-dir", "mine", "b=2", "-m", "+c=3", "~d", "--cfg=job"]
    assert options_first(words) == ["--config-dir", "mine", "-m", "--cfg=job", "a=1", "b=2", "+c=3", "~d"]
    assert options_first([]) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--confg-dir=mine", "a=1"], r"--confg-dir=mine is not an option; did you mean --config-dir\? "),
        (["a=1", "-z"], r"-z is not an option\. "),
        (["--config-dir"], r"argument --config-dir/-cd: expected one argument; "),
        (["--cfg", "jobs"], r"argument --cfg/-c: invalid choice: 'jobs' .*; "),
    ],
)
def test_a_wrong_option_is_one_sentence(words, said, capsys):
    with pytest.raises(CornetError, match=rf"^{said}--hydra-help lists the options\.$"):
        options_first(words)
    assert capsys.readouterr() == ("", "")
