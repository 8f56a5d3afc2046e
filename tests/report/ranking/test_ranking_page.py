"""`cornet score ... --rank`: the table, the files and the page."""

import csv
import json
import math
import re

import pytest
from typer.testing import CliRunner

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.ranking import rank
from cornet.brain.subjects import open_subject
from cornet.cli import app
from cornet.report.ranking.report import accuracy_of, write_ranking
from tests.helpers.brain.drawn_bundle import write

MODELS = ("pixels", "gabor", "cornet_z?untrained&width=0.1&num_classes=4")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def test_the_command_writes_tables_and_a_page(tmp_path):
    bundle = write(tmp_path / "mine")
    out = tmp_path / "out"
    words = [
        "score",
        *MODELS,
        "--on",
        str(bundle),
        "--metric",
        "ridge,cka",
        "--size",
        "64",
        "--rank",
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.exception
    assert "cannot be told apart (Holm, alpha = .05)" in " ".join(result.output.split())
    assert max(map(len, result.output.splitlines()[:-1])) <= 80
    with (out / "ranking.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert {row["model"] for row in rows} == set(MODELS)
    assert float(rows[0]["low"]) < float(rows[0]["mean"]) < float(rows[0]["high"])
    with (out / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    page = (out / "ranking.html").read_text()
    assert page.count("<svg") == 4  # pairs, the mean and two benchmarks; no model has an accuracy
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "Score against accuracy" not in page
    assert "amp;amp" not in page


def test_scores_against_accuracy_before_the_published_networks(tmp_path):
    bundle = write(tmp_path / "mine")
    subjects = [open_subject(name, size=64) for name in MODELS]
    ranking = rank(subjects, open_benchmarks([str(bundle)], metric="ridge"), named=[str(bundle)])
    page = write_ranking(ranking, {MODELS[0]: 0.4, MODELS[2]: 0.6, MODELS[1]: math.nan}, tmp_path).read_text()
    assert "Score against accuracy" in page
    assert f"{MODELS[2].replace('&', '&amp;')}: top-1 0.600" in page
    assert "ImageNet" in page


def test_accuracies(tmp_path):
    assert accuracy_of("cornet_z") == 0.47
    assert math.isnan(accuracy_of("cornet_z?untrained"))
    assert math.isnan(accuracy_of("pixels"))
    run = tmp_path / "mine" / "seed0"
    (run / "checkpoints").mkdir(parents=True)
    facts = {"best": 0.8, "monitor": "val/top1", "task_metric": "val/top1"}
    (run / "finished.json").write_text(json.dumps(facts))
    for name in ("config.yaml", "identity.json", "run_id"):
        (run / name).write_text("{}")
    assert accuracy_of(str(run)) == accuracy_of(str(run / "checkpoints" / "last.ckpt")) == 0.8
    (run / "finished.json").write_text(json.dumps(facts | {"monitor": "val/r2", "task_metric": "val/r2"}))
    assert math.isnan(accuracy_of(str(run)))  # of another task
