"""train.py as it submits jobs: with submitit's local executor, and with a stand-in for SLURM's programs."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from tests.helpers.paths import ROOT
from tests.helpers.training.slurm_programs import install
from tests.helpers.training.two_ranks import FEED_FORWARD, SMALL

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")


def submit(folder: Path, *overrides: str, path: Path | None = None) -> subprocess.Popen[str]:
    place = {"CORNET_CACHE": str(folder / "cache"), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    if path is not None:
        place["PATH"] = f"{path}:{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *SMALL, *FEED_FORWARD, *overrides],
        cwd=folder,
        env={**os.environ, **place},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("runs/**/seed*/config.yaml"))


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        (["trainer=slurm", "seed=0,1"], "submitit_slurm"),
        (["hydra/launcher=submitit_local"], "submitit_local"),
    ],
)
def test_without_the_package_one_sentence_says_what_to_install(overrides, missing, monkeypatch, train):
    monkeypatch.setattr("cornet.training.config_errors.find_spec", lambda name: None)
    Plugins.instance()  # fills the store
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], f"{missing}.yaml")
    code, _, err = train(*overrides)
    assert code == 2
    assert err.startswith(f"hydra/launcher/{missing} needs the package hydra-submitit-launcher, which is not")
    assert err.count("\n") == 1


def test_without_a_cluster_one_sentence_says_where_to_submit(monkeypatch, train, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = train("trainer=slurm", "seed=0,1")
    assert code == 2
    assert err.startswith("trainer=slurm submits jobs, but there is no srun on this machine; ")
    assert err.count("\n") == 1


@pytest.mark.longest
def test_a_sweep_in_processes_of_the_local_executor(tmp_path):
    overrides = [
        "hydra.mode=MULTIRUN",
        "hydra/launcher=submitit_local",
        "trainer.accelerator=cpu",
        "seed=0,1",
        "recipe.epochs=1",
    ]
    process = submit(tmp_path, *overrides)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err[-3000:]
    assert [run.name for run in runs(tmp_path)] == ["seed0", "seed1"]
    assert all((run / "finished.json").exists() for run in runs(tmp_path))


@pytest.mark.longest
def test_an_array_on_the_stand_in_goes_on_after_its_time_was_over(tmp_path):
    """Two jobs of two ranks; the first is told that its time is over, requeued, and ends as if it had not been."""
    path = install(tmp_path / "cluster")
    many = ["recipe.epochs=8", "data.train_images=128"]
    asked = [
        "hydra.launcher.gpus_per_node=0",
        "hydra.launcher.tasks_per_node=2",
        "hydra.launcher.timeout_min=1",
    ]
    process = submit(
        tmp_path, *many, "trainer=slurm", "trainer.accelerator=cpu", "seed=0,1", *asked, path=path
    )
    job = tmp_path / "cluster" / "jobs" / "100_0"
    last = None
    for _ in range(2400):
        found = [run for run in runs(tmp_path) if (run / "checkpoints" / "last.ckpt").exists()]
        if found and (found[0] / "metrics.jsonl").read_text().count("\n") > 2 * 8:
            last = found[0]
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    assert last is not None
    subprocess.run([path / "scancel", "100_0", "--signal", "USR2"], check=True)
    _, err = process.communicate(timeout=400)
    logs = "".join(log.read_text() for log in tmp_path.glob("runs/.submitit/*/*_log.err"))
    assert process.returncode == 0, err[-2000:] + logs[-3000:]
    assert (job / "starts").read_text() == "2"
    assert (tmp_path / "cluster" / "jobs" / "100_1" / "starts").read_text() == "1"
    assert "timed-out" in logs
    assert "99 remaining timeouts" in logs
    assert logs.count("resuming from") == 1
    first, second = runs(tmp_path)
    assert json.loads((first / "finished.json").read_text())["epochs"] == 8
    assert (second / "finished.json").exists()
    assert pd.read_csv(first / "metrics.csv")["step"].tolist() == list(range(8 * 8))
    (script,) = tmp_path.glob("runs/.submitit/*/*_submission.sh")
    text = script.read_text()
    for line in (
        "--signal=USR2@120",
        "--ntasks-per-node=2",
        "--array=0-1%2",
        "--open-mode=append",
        "--time=1",
    ):
        assert f"#SBATCH {line}" in text, text


@pytest.mark.longest
def test_what_is_finished_is_not_submitted_again(tmp_path):
    path = install(tmp_path / "cluster")
    asked = ["trainer=slurm", "trainer.accelerator=cpu", "recipe.epochs=1", "hydra.launcher.gpus_per_node=0"]
    asked += ["hydra.launcher.tasks_per_node=1"]
    jobs = tmp_path / "cluster" / "jobs"
    for seeds, before, submitted in (("0", 0, 1), ("0,1,2", 1, 2), ("0,1,2", 3, 0)):
        process = submit(tmp_path, *asked, f"seed={seeds}", path=path)
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, err[-3000:]
        assert ("finished before" in out) == bool(before), out
        assert f"sweep: {seeds.count(',') + 1} run" in out
        assert len(list(jobs.glob("*"))) == submitted
        shutil.rmtree(jobs, ignore_errors=True)
    assert len(runs(tmp_path)) == 3
    assert all((run / "finished.json").exists() for run in runs(tmp_path))
