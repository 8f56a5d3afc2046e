"""Brain scores by several metrics while a network trains."""

import numpy as np
import pandas as pd
import pytest
import yaml

from cornet import brain
from cornet.runs.metrics import read_metrics
from cornet.runs.scores import read_scores
from cornet.stimuli.objects import RenderedObjects
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.callbacks.step_matrix import StepMatrix
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.training import object_training
from tests.helpers.training.small_runs import SMALL_WITH_BRAIN, only_run

NAMES = ["mine.IT", "mine.IT-cka", "mine.IT-rdm", "mine.V4", "mine.V4-cka", "mine.V4-rdm"]
METRICS = ["pls", "cka", "rdm"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bundle(tmp_path):
    """60 stimuli, four neuroids of V4 and four of IT."""
    return str(write(tmp_path / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return RenderedObjects(
        train_images=64, val_images=32, size=32, cache=str(tmp_path_factory.mktemp("objects"))
    )


@pytest.mark.slow  # trains with scores
def test_every_metric_has_rows_logs_and_a_matrix(source, bundle, tmp_path):
    options = {"metric": METRICS, "folder": tmp_path, "start_and_end_only": ["mine.IT-rdm"]}
    scorer = BrainScore([bundle], **options)
    trainer, module = object_training.train(source, tmp_path, [scorer, StepMatrix(tmp_path)], epochs=2)
    scores = read_scores(tmp_path)
    assert set(scores["benchmark"]) == set(NAMES)
    for name, rows in scores.groupby("benchmark"):
        metric = name.partition("-")[2] or "pls"
        assert set(rows["metric"]) == {metric}
        assert list(rows["epoch"]) == ([0, 2] if name == "mine.IT-rdm" else [0, 1, 2])
        assert rows["value"].notna().all()
        assert rows["ceiling"].gt(0.5).all()
    metrics = read_metrics(tmp_path)
    last = scores[scores["epoch"] == 2].set_index("benchmark")
    for name in NAMES:
        logged = metrics[f"brain/{name}"].dropna()
        assert logged.iloc[-1] == pytest.approx(last["value"][name])
        assert trainer.callback_metrics[f"brain/{name}"] == pytest.approx(last["value"][name], abs=1e-6)
    assert not {"brain/V4", "brain/IT"} & set(metrics)
    mean = last["value"].drop("mine.IT-rdm").mean()
    assert metrics["brain/mean"].dropna().iloc[-1] == pytest.approx(mean)
    subject = brain.NetworkSubject(module.net, mean=source.mean, std=source.std, size=32)
    for one in brain.open_benchmarks([bundle], metric=METRICS):
        assert last["raw"][one.name] == pytest.approx(one.run(subject).raw, abs=1e-9)
    matrix = pd.read_csv(tmp_path / "step_matrix.csv")
    assert set(matrix["benchmark"]) == set(NAMES)
    cells = matrix[(matrix["benchmark"] == "mine.V4-cka") & (matrix["area"] == "V4")]
    assert np.isclose(cells["raw"], last["raw"]["mine.V4-cka"]).any()


@pytest.mark.slow  # trains with scores
def test_a_single_similarity_is_the_score_of_its_region(source, bundle, tmp_path):
    object_training.train(source, tmp_path, [BrainScore([bundle], metric="cka", folder=tmp_path)], epochs=1)
    metrics = read_metrics(tmp_path)
    logged = metrics.dropna(subset=["brain/V4"])
    assert (logged["brain/V4"] == logged["brain/mine.V4-cka"]).all()


@pytest.mark.slow  # trains with scores
def test_the_first_metric_chooses_the_layers(source, bundle, tmp_path, caplog):
    aside = str(write(tmp_path / "aside", assembly(("V4",) * 4 + ("IT",) * 4)))
    options = {"metric": ["rdm", "pls"], "layers": "auto", "choose_on": aside, "network": "net"}
    scorer = BrainScore([bundle], folder=tmp_path / "run", size=32, **options)
    object_training.train(source, tmp_path / "run", [scorer], epochs=1)
    assert set(scorer.chosen) == {"V4", "IT"}
    assert set(read_scores(tmp_path / "run")["benchmark"]) == {name for name in NAMES if "cka" not in name}


@pytest.mark.slow  # trains by train.py
def test_metrics_are_listed_in_the_configuration(bundle, tmp_path, elsewhere, train):
    """The page of the run is written too."""
    brains = ["brain=local", f"brain.benchmarks.local=[{bundle}]", "brain.monitor=brain/mine.V4-cka"]
    command = [
        *SMALL_WITH_BRAIN,
        *brains,
        "brain.metric=[pls,cka,rdm]",
        "recipe.epochs=1",
        "brain.matrix=true",
    ]
    code, _, err = train(*command, small=False)
    assert code == 0, err
    run = only_run(tmp_path)
    assert yaml.safe_load((run / "config.yaml").read_text())["brain"]["metric"] == METRICS
    assert set(read_scores(run)["benchmark"]) == set(NAMES)
    assert (run / "checkpoints" / "best_brain.ckpt").is_file()
    assert "mine.V4-cka" in (run / "report.html").read_text()
    code, _, err = train(*command[:-3], "brain.metric=[pls,ckaa]", "name=other", small=False)
    assert code == 2
    assert "metric='ckaa' is unknown (did you mean cka?); choose one of pls, " in err
