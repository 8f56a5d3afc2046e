"""Brain scores on two real processes: the numbers of one process, and nobody waits for a rank that failed."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cornet.runs.scores import read_scores
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow  # each starts two processes


def run(folder, bundle, failing="nothing", devices=2):
    folder.mkdir()
    environment = {
        **os.environ,
        "CORNET_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        "-m",
        "tests.helpers.training.scored_ranks",
        str(folder),
        bundle,
        failing,
        str(devices),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return read_scores(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("bundles") / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))


def test_two_ranks_give_the_numbers_of_one(bundle, tmp_path):
    one = run(tmp_path / "one", bundle, devices=1)
    two = run(tmp_path / "two", bundle)
    assert len(one) == len(two) == 4
    before = [scores[scores["epoch"] == 0] for scores in (one, two)]  # the same weights
    assert np.abs(before[0]["raw"].to_numpy() - before[1]["raw"].to_numpy()).max() < 1e-6
    assert list(two["epoch"]) == [0, 0, 1, 1]
    assert two["raw"].notna().all()


def test_two_ranks_score_a_module_of_the_user(bundle, tmp_path):
    one = run(tmp_path / "one", bundle, "foreign", devices=1)
    two = run(tmp_path / "two", bundle, "foreign")
    before = [scores[scores["epoch"] == 0]["raw"].to_numpy() for scores in (one, two)]
    assert np.abs(before[0] - before[1]).max() < 1e-6
    assert list(two["epoch"]) == [0, 0, 1, 1]
    assert two["task_value"].notna().tolist() == [False, False, True, True]


def test_a_rank_that_fails_is_told_and_training_goes_on(bundle, tmp_path):
    scores = run(tmp_path / "failing", bundle, failing="recording")
    assert scores["failure"].str.contains("MemoryError: no room on this rank").all()
    assert scores["failure"].str.contains("rank 1").all()
    assert len(scores) == 4
    assert (tmp_path / "failing" / "metrics.csv").read_text().count("\n") > 2
