"""The examples that score a network in a training of the user's own, as they stand."""

import importlib.util
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from cornet.runs.scores import read_scores
from tests.helpers.paths import ROOT

pytestmark = [
    pytest.mark.slow,  # trains, and renders the stimuli of the simulated brain
    pytest.mark.filterwarnings("ignore"),  # those of transformers and timm
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def example(cache, tmp_path, monkeypatch):
    """Runs main() of an example in an empty folder, perhaps with another import."""
    monkeypatch.chdir(tmp_path)

    def run(name, *words, replace=("", "")):
        file = tmp_path / f"{name}.py"
        file.write_text((ROOT / "examples" / f"{name}.py").read_text().replace(*replace))
        monkeypatch.setattr(sys, "argv", [name, *words])
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main()

    return run


@pytest.mark.parametrize(
    "package", ["lightning.pytorch", pytest.param("pytorch_lightning", marks=pytest.mark.longest)]
)
def test_lightning(example, package):
    example("score_in_lightning", replace=("import pytorch_lightning as pl", f"import {package} as pl"))
    (file,) = Path().glob("lightning_logs/*/scores.csv")
    scores = read_scores(file)
    assert list(scores["epoch"]) == [0, 0, 1, 1, 2, 2]
    assert scores["raw"].notna().all()
    assert list(Path().glob("lightning_logs/*/checkpoints/*.ckpt"))


def test_a_loop(example, capsys):
    example("score_in_a_loop")
    table = pd.read_csv("scores.csv")
    assert list(table["epoch"]) == [0, 0, 1, 1, 2, 2]
    assert len(re.findall(r"epoch \d: V4 -?0\.\d{3}, IT -?0\.\d{3}", capsys.readouterr().out)) == 3


def test_transformers(example, capsys):
    example("score_in_hf_trainer")
    out = capsys.readouterr().out
    assert "eval_brain/simulated.IT" in out
    assert re.search(r"Most brain-like checkpoint: hf-run/checkpoint-\d", out)


def test_timm(example):
    example("score_in_timm", "--epochs", "2")
    table = pd.read_csv("summary.csv")
    assert list(table["epoch"]) == [0, 1]
    assert table[["eval_simulated.V4", "eval_simulated.IT"]].notna().all().all()
