"""benchmarks/endurance.py: what it would find, and a small one."""

import json
import os
import random
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from cornet.runs.journal import Journal
from tests.helpers.paths import ROOT


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module


def test_growth_is_found_and_waves_are_none(module):
    """A leak of 30 MB an hour under waves of 50 MB, as validations make; and the waves alone."""
    watch: ModuleType = module("endurance_watch")
    times = np.arange(300.0)
    waves = 600 + 50 * (times % 7 < 2) + np.random.default_rng(0).normal(0, 1, len(times))
    leak = watch.growth(times, waves + times / 3600 * 30)
    assert leak.low < 30 < leak.high
    assert leak.low > 0
    none = watch.growth(times, waves)
    assert none.low < 0 < none.high
    assert np.isnan(watch.growth(times[:5], waves[:5]).per_hour)


def test_what_a_process_and_its_children_hold(module):
    watch: ModuleType = module("endurance_watch")
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        end = time.monotonic() + 20
        while not watch.below(process.pid) and time.monotonic() < end:
            time.sleep(0.02)
        watcher = watch.Watcher()
        watcher.look(process.pid)
        (sample,) = watcher.samples
        (child,) = watch.below(process.pid)
        assert sample.processes == 2
        assert sample.memory > 5
        assert sample.files >= 6
        process.kill()
        process.wait()
        assert watcher.left_over(patience=0.1) == [child]
        os.kill(child, 9)
        assert watcher.left_over() == []
    finally:
        process.kill()
        process.wait()


def a_run(folder: Path, change: bool = False) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    state = {"weight": torch.arange(4.0) + (1e-7 if change else 0), "empty": torch.tensor(float("nan"))}
    content = {
        "state_dict": {"weight": state["weight"]},
        "global_step": 2,
        "epoch": 0,
        "random_state": [1, None],
    }
    torch.save(content, folder / "checkpoints/last.ckpt")
    (folder / "metrics.csv").write_text(
        f"epoch,step,train/loss,speed/data_wait\n0,0,2.5,0.{random.randrange(9)}\n0,1,{2.25 if change else 2.0},0.1\n"
    )
    rows = [{"step": step, "epoch": 0, "train/loss": 2.5} for step in (0, 1)]
    Journal(folder / "metrics.jsonl").append(rows)
    (folder / "scores.csv").write_text("step,benchmark,value,seconds\n0,mine.V4,0.5,1.0\n")
    return folder


def test_differences_are_found(module, tmp_path):
    check: ModuleType = module("endurance_check")
    whole, ours, other = a_run(tmp_path / "whole"), a_run(tmp_path / "ours"), a_run(tmp_path / "other", True)
    assert check.differences(whole, ours) == []
    assert check.differences(whole, other) == [
        "last.ckpt: state_dict",
        "metrics.csv: row 1, train/loss: 2.0 and 2.25",
    ]
    assert check.differences(whole, other, before=1) == []
    assert (check.trained_steps(ours), check.good_checkpoint(ours), check.doubled(ours)) == (2, 2, [])
    with open(ours / "metrics.csv", "a") as file:
        file.write("0,1,2.0,0.1\n")
    assert check.doubled(ours) == ["metrics.csv: step 1"]
    (ours / "checkpoints/last.ckpt").write_bytes(b"PK\x03\x04 cut off")
    assert check.good_checkpoint(ours) == 0
    assert check.differences(whole, ours)[0].count("last.ckpt")
    (ours / "checkpoints/.last.ckpt.here-1.tmp").write_bytes(b"")
    left = check.leftovers(ours, tmp_path / "cache")
    assert left["aside in the run"] == ["checkpoints/.last.ckpt.here-1.tmp"]


def test_a_cache_is_put_back(module, tmp_path):
    faults: ModuleType = module("endurance_faults")
    cache = tmp_path / "cache"
    (cache / "kind").mkdir(parents=True)
    (cache / "kind/entry.npz").write_bytes(bytes(100))
    scene = faults.Scene(0, tmp_path, cache, [], {}, random.Random(0), lambda: False)
    assert faults.BETWEEN["cache entries cut off"](scene)
    assert (cache / "kind/entry.npz").stat().st_size < 100
    assert faults.BETWEEN["no cache folder"](scene)
    assert cache.is_file()
    faults.restore_cache(cache)
    assert (cache / "kind/entry.npz").exists()
    assert not faults.BETWEEN["last.ckpt cut off"](scene)  # there is none
    assert set(faults.DECK) == {*faults.DURING, *faults.BETWEEN}


@pytest.mark.longest
def test_a_small_one(tmp_path):
    out = tmp_path / "endurance.json"
    command = [sys.executable, str(ROOT / "benchmarks/endurance.py"), "--minutes", "0.5", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert found["same"]
    assert found["failures"] == []
    assert found["sessions"] >= 2
    assert sum(fault["inflicted"] for fault in found["faults"].values()) >= 1
    assert out.with_suffix(".png").stat().st_size > 10_000
