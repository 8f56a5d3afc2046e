"""A sweep of networks that learn two tasks: each task is compared, and drawn against the factor."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cornet.report.sweep.changes import changes_of, find_base
from cornet.report.sweep.report import report_sweep
from cornet.report.sweep.tasks import baseline, draw_tasks
from cornet.report.sweep.variants import read_sweep
from tests.helpers.report.made_up_sweeps import made_up_run

BRANCHES = (0, 7, 11)
BASELINE = {"word": 0.4, "genre": 0.53}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Words lose .1 from branch point 0 to 11, genres nothing; three seeds."""
    folder = tmp_path_factory.mktemp("tasks") / "audio_branch"
    rng = np.random.default_rng(0)
    for branch in BRANCHES:
        for seed in range(3):
            run = made_up_run(
                folder / f"branch={branch}" / f"seed{seed}", {"model.branch": branch}, seed, 0.5, {}
            )
            word, genre = 0.8 - 0.1 * branch / 11 + 0.005 * rng.standard_normal(), 0.7
            rows = [
                {
                    **{
                        "epoch": epoch,
                        "step": 10 * epoch + 9,
                        "val/loss": 1.0,
                        "val/mean": (word + genre) / 2,
                    },
                    **{"val/word_top1": word, "val/genre_top1": genre, "val/word_top5": 1.0},
                    **{f"baseline/{name}_top1": value for name, value in BASELINE.items()},
                }
                for epoch in (0, 1)
            ]
            pd.DataFrame(rows).to_csv(run / "metrics.csv", index=False)
            summary = json.loads((run / "finished.json").read_text())
            summary |= {"monitor": "val/mean", "task_metric": "val/mean", "task": "Multitask"}
            (run / "finished.json").write_text(json.dumps(summary))
    return folder


def test_each_task_is_a_measure_and_is_tested_seed_by_seed(folder):
    sweep = read_sweep(folder)
    assert list(sweep.measures) == ["best mean", "genre top-1", "word top-1"]
    base = find_base(sweep)
    assert base.values["model.branch"] == 0
    found = {
        (one.measure, one.variant.values["model.branch"]): one.difference for one in changes_of(sweep, base)
    }
    word = found["word top-1", 11]
    assert word.paired
    assert word.low < -0.1 < word.high < -0.05
    assert found["genre top-1", 11].mean == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_the_page_draws_each_task_and_the_readout_of_the_inputs(folder):
    page = report_sweep(folder, console=Console(quiet=True)).read_text()
    assert "Tasks against branch" in page
    assert (
        "word top-1 and genre top-1 against branch" in page
        or "genre top-1 and word top-1 against branch" in page
    )
    sweep = read_sweep(folder)
    assert baseline(sweep, "val/word_top1") == BASELINE["word"]
    assert baseline(sweep, "val/word_top5") is None
    drawn = draw_tasks(sweep, sweep.factors[0], "t0")
    for branch in BRANCHES:
        assert f"branch {branch}, word top-1" in drawn
