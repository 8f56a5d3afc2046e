"""A card tells what the run's folder records, and calls the rest not recorded."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import yaml

from cornet.brain.subjects.step_times import network_intervals
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.report.card.read import read_recorded
from cornet.report.card.write import card_text, write_card
from cornet.report.statistics import share_interval
from tests.helpers.report.made_up_runs import BENCHMARKS, make_run, metrics, scores
from tests.helpers.report.made_up_seeds import seed_run

CONFIG = {
    "name": "mine",
    "seed": 0,
    "model": {"name": "cornet_s", "width": 0.25, "num_classes": "auto", "times": {"V2": 2, "V4": 3, "IT": 2}},
    "data": {
        "_target_": "cornet.stimuli.datasets.photographs.ImageFolder",
        "name": "photographs",
        "folder": "/home/someone/secret-place",
        "size": 64,
        "crop_scale": [0.08, 1.0],
        "flip": True,
    },
    "task": {"_target_": "cornet.tasks.Classification", "label_smoothing": 0.1},
    "recipe": {
        "_target_": "cornet.training.recipe.Recipe",
        "epochs": 6,
        "batch_size": 96,
        "learning_rate": 0.0375,
        "momentum": 0.85,
        "nesterov": True,
        "weight_decay": 0.0003,
        "schedule": "divide",
        "divide_every": 17,
        "precision": "bf16-mixed",
        "clip": 2.5,
    },
    "trainer": {"limit_train_batches": 0.5},
    "losses": {"harmonisation": {"_target_": "cornet.losses.Harmonisation", "weight": 1.5}},
    "brain": {"step_ms": None, "onset_ms": None},
}
VERSIONS = {
    "python": "3.11.7",
    "torch": "2.15.0",
    "cornet-ventral": "0.1.0",
    "commit": "29d039fa70e8",
    "dirty": True,
    "cpu": "Some Processor",
    "cpus": 16,
    "gpus": ["NVIDIA X", "NVIDIA X"],
    "ranks": 2,
    "threads": 8,
    "continued_with": [
        {"python": "3.11.7", "torch": "2.16.0", "cornet-ventral": "0.1.0", "commit": "29d039fa70e8"}
    ],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    table = scores((0, 1, 6), BENCHMARKS[:2])
    table.loc[table.index[-1], "notes"] = "3 of 60 neuroids are NaN and were left out"
    table["brain_data"] = "24b4e4ae498ba52f"
    folder = make_run(
        tmp_path / "mine/seed0", scores=table, metrics=metrics(6), step_matrix=None, solution_times=None
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "versions.json").write_text(json.dumps(VERSIONS))
    prints = {"fingerprint": "c5051f758034bce2", "continued_with": ["aaaa000011112222"]}
    (folder / "images.json").write_text(json.dumps(prints))
    return folder


def text_of(folder: Path) -> str:
    return card_text(read_recorded(folder), "md")


def test_what_is_recorded(run):
    text = text_of(run)
    for recorded in (
        "# cornet_s on objects, seed 0",
        "3,317,432",
        "optimiser: SGD",
        "learning rate: 0.0375",
        "momentum: 0.85, Nesterov",
        "weight decay: 0.0003",
        "schedule: divided by 10 every 17 epochs, no warm-up",
        "batch size: 96",
        "precision: bf16-mixed",
        "gradient clipping: 2.5",
        "label smoothing: 0.1",
        "harmonisation: Harmonisation (weight 1.5)",
        "random crops of 0.08 to 1 of the area; half of the images mirrored",
        "16 cores of Some Processor, 2 x NVIDIA X",
        "commit 29d039fa70e8 with uncommitted changes",
        "c5051f758034bce2",
        "Kubilius, Schrimpf et al. 2019",
        "@inproceedings{kubilius2019,",
        "@inproceedings{fel2022,",
        "  version = {0.1.0}",
        "We trained cornet_s",
    ):
        assert recorded in text, recorded
    assert "secret-place" not in text  # the path of a folder on somebody's machine


def test_deviations(run):
    text = text_of(run).partition("## Deviations and warnings")[2]
    assert "simulated.V2: 3 of 60 neuroids are NaN and were left out." in text
    assert "torch 2.15.0 to 2.16.0" in text
    assert "c5051f758034bce2, aaaa000011112222" in text
    assert "uncommitted changes" in text
    assert "trainer.limit_train_batches=0.5" in text


def test_areas_and_their_times_are_those_of_the_network(run):
    net = create_model("cornet_s", width=0.25, times={"V2": 2, "V4": 3, "IT": 2}, num_classes=8)
    text = text_of(run)
    for area, steps in network_intervals(net.area_table).items():
        times = ", ".join(f"{start:g}-{end:g}" for start, end in steps)
        assert re.search(rf"\| {area} \| {area} \| {len(steps)} \| .* \| {times} \|", text)
    assert "architecture as published: no" in text
    finished = json.loads((run / "finished.json").read_text())
    del finished["parameters"]
    (run / "finished.json").write_text(json.dumps(finished))
    assert f"* parameters: {sum(p.numel() for p in net.parameters()):,}\n" in text_of(run)


def test_scores_are_those_of_the_last_evaluation(run):
    table = pd.read_csv(run / "scores.csv")
    text = text_of(run).partition("## Brain scores")[2]
    for row in table[table["epoch"] == 6].to_dict("records"):
        line = next(
            line for line in text.splitlines() if line.startswith(f"| {row['benchmark']} (simulated)")
        )
        for shown in (
            f"{row['value']:.3f} +- 0.020",
            f"{row['raw']:.3f} +- 0.015",
            f"{row['ceiling']:.3f}",
            "640 stimuli",
        ):
            assert shown in line
        before = table[(table["epoch"] == 0) & (table["benchmark"] == row["benchmark"])]["value"].item()
        assert f"| {before:.3f} |" in line
        assert "version 1<br>24b4e4ae498ba52f" in line
    assert "All of these scores are simulated" in text


def test_nothing_is_invented(tmp_path):
    """A folder with only a table of metrics: every value that it lacks is called not recorded."""
    folder = tmp_path / "bare"
    folder.mkdir()
    metrics(2).to_csv(folder / "metrics.csv", index=False)
    text = text_of(folder)
    facts = dict(re.findall(r"^\* ([\w' -]+): (.*)$", text, re.MULTILINE))
    known = {"run", "state", "card written by"}
    for name, value in facts.items():
        assert name in known or "not recorded" in value, (name, value)
    assert len(facts) > 35
    assert "results so far" in facts["state"]
    assert "config.yaml is missing." in text
    assert "| top-1 | 0.390 | -" in text  # of the metrics: 0.3 + 0.09


def test_seeds_have_means_and_intervals(tmp_path):
    rises = (0.0, 0.03, 0.07)
    for seed, rise in enumerate(rises):
        seed_run(tmp_path / "a" / f"seed{seed}", seed, rise, top1=0.5 + rise)
    text = text_of(tmp_path / "a")
    top1 = np.array([0.7 + rise for rise in rises])
    low, high = scipy.stats.t.interval(0.95, 2, top1.mean(), top1.std(ddof=1) / np.sqrt(3))
    assert f"| top-1 | {top1.mean():.3f}<br>{low:.3f} to {high:.3f} |" in text
    last = [
        pd.read_csv(tmp_path / f"a/seed{k}/scores.csv").query("epoch == 3").iloc[0]["value"] for k in range(3)
    ]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(last), np.std(last, ddof=1) / np.sqrt(3))
    assert f"{np.mean(last):.3f}<br>{low:.3f} to {high:.3f}, r^2/c | {np.std(last, ddof=1):.3f} | 3 |" in text
    assert "seeds 0, 1, 2" in text
    assert "It was trained 3 times" in text


def test_the_page_has_the_same_and_is_labelled(run):
    path = write_card(run)
    page = path.read_text()
    assert path == run / "card.html"
    assert page.count("class=tag>simulated") == 2
    assert "&plusmn; 0.020" in page
    assert "<dt>learning rate</dt><dd>0.0375</dd>" in page
    assert "@page card" in page


def test_a_network_of_the_users_own_is_not_imported(run):
    config = {**CONFIG, "model": {"_target_": "nowhere.Net", "name": "own"}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    text = text_of(run)
    assert "nowhere.Net, which is not imported" in text
    assert "Steps of its areas: 1/2/4/2." in text


@pytest.mark.parametrize(("share", "n"), [(0.5, 10), (0.908203125, 1024), (0.0, 30), (1.0, 7)])
def test_intervals_of_accuracies_are_wilsons(share, n):
    oracle = scipy.stats.binomtest(round(share * n), n).proportion_ci(method="wilson")
    assert share_interval(share, n) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_an_unknown_share_has_no_interval():
    assert all(np.isnan(share_interval(float("nan"), 10)))
    assert all(np.isnan(share_interval(0.5, 0)))


def test_several_runs_are_no_seeds(tmp_path):
    for name in "ab":
        make_run(tmp_path / name, solution_times=None, step_matrix=None)
    with pytest.raises(CornetError, match="contains 2 runs"):
        write_card(tmp_path)
