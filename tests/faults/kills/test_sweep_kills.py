"""Sweeps of train.py itself, whose runs fail, are killed or are stopped: the others end, and the rest comes later."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.faults.run_results import alike, children, finished
from tests.helpers.faults.starter import until
from tests.helpers.paths import ROOT

SMALL = [
    "data.train_images=64",
    "data.val_images=32",
    "data.size=32",
    "model.width=0.1",
    "recipe.batch_size=16",
    "brain=none",
    "callbacks.last_checkpoint.minutes=0.001",
]


EPOCHS = "recipe.epochs=8"


def sweep(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    place = {"CORNET_CACHE": str(folder / "cache"), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "-m", *SMALL, *overrides],
        cwd=folder,
        env={**os.environ, **place},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def runs_of(root: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in root.glob("**/seed*/config.yaml")}


PATIENCE = 500.0  # seconds, of which a machine that others use takes many for a start


def begun(root: Path, *names: str) -> bool:
    """Whether these have a checkpoint."""
    return all((runs_of(root).get(name, root) / "checkpoints" / "last.ckpt").exists() for name in names)


def process_of(parent: int, words: str) -> int:
    """The run with these words among a sweep's."""
    found = [
        pid
        for pid in children(parent)
        if words.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    ]
    assert len(found) == 1, words
    return found[0]


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory) -> Path:
    """What nothing has disturbed, one run after the other."""
    folder = tmp_path_factory.mktemp("quiet")
    code, out, err = ended(sweep(folder, "seed=0,1", EPOCHS, "root=whole"))
    assert code == 0, out + err
    assert "[2/2] seed=1" in out
    assert "2 of 2 done, 0 failed, 0 left" in out
    assert out.count(", 8 epochs; written to ") == 2
    assert "Try next" not in out, "a line a run is enough"
    assert "cornet_s on objects, 2 seeds" in out, "the seeds are shown together"
    return folder / "whole"


@pytest.mark.longest
def test_two_at_once_are_the_same_bit_for_bit(one_by_one, tmp_path):
    code, out, err = ended(sweep(tmp_path, "seed=0,1", EPOCHS, "root=both", "sweep.at_once=2"))
    assert code == 0, out + err
    assert "[1/2 seed=0] epoch 1/8" in out
    for name, run in runs_of(tmp_path / "both").items():
        alike(runs_of(one_by_one)[name], run)
        log = (run / "sweep.log").read_text()
        assert "epoch 8/8" in log
        assert f"seed={name[-1]}" in log.splitlines()[0]


@pytest.mark.longest
def test_one_is_killed_and_one_fails_and_only_those_are_repeated(one_by_one, tmp_path):
    """The first is killed in training; the second finds a stranger's file where its folder is to be."""
    given = ("seed=0,1,2", EPOCHS, "root=hurt")
    home = tmp_path / "hurt" / runs_of(one_by_one)["seed0"].relative_to(one_by_one).parent
    (home / "seed1").mkdir(parents=True)
    (home / "seed1" / "mine.txt").touch()
    process = sweep(tmp_path, *given)
    until(lambda: begun(tmp_path / "hurt", "seed0"), PATIENCE)
    os.kill(process_of(process.pid, "seed=0"), signal.SIGKILL)
    code, out, err = ended(process)
    assert code == 1, out + err
    assert "1 of 3 done, 2 failed, 0 left" in out
    table = out[out.index("2 of 3 runs failed:") :]
    assert "seed=0  killed by SIGKILL" in table
    assert "seed=1  exit code 2" in table
    assert "mine.txt but no identity.json" in table
    (home / "seed1" / "mine.txt").unlink()
    untouched = (home / "seed2" / "finished.json").stat().st_mtime_ns
    code, out, err = ended(sweep(tmp_path, *given))
    assert code == 0, out + err
    assert "3 runs, 1 finished before" in out
    assert "resuming from" in err
    assert (home / "seed2" / "finished.json").stat().st_mtime_ns == untouched
    for name in ("seed0", "seed1"):
        alike(runs_of(one_by_one)[name], home / name)
    code, out, err = ended(sweep(tmp_path, *given))
    assert (code, "3 finished before" in out, "epoch" in out.split("mean")[0]) == (0, True, False), out


@pytest.mark.longest
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_with_checkpoints(tmp_path, signum):
    given = ("seed=0,1,2", "recipe.epochs=200", "root=asked", "sweep.at_once=2")
    process = sweep(tmp_path, *given)
    until(lambda: begun(tmp_path / "asked", "seed0", "seed1"), PATIENCE)
    process.send_signal(signum)
    code, out, err = ended(process)
    assert code == 128 + signum, out + err
    assert f"Stopped by {signum.name} with 3 runs left. Repeat the command to resume." in out
    assert err.count(f"{signum.name}: writing a checkpoint after this step") == 2
    assert "Traceback" not in err
    assert set(runs_of(tmp_path / "asked")) == {"seed0", "seed1"}


@pytest.fixture(scope="module")
def undisturbed(starter) -> Path:
    """A run that nothing disturbs."""
    return finished(starter, *SMALL, "seed=1", EPOCHS, root=starter.folder / "undisturbed")


@pytest.mark.longest  # trains in several processes
def test_a_killed_sweep_takes_its_runs_with_it_and_they_go_on_later(undisturbed, tmp_path):
    given = ("seed=0,1", EPOCHS, "root=alone", "data.train_images=64", "sweep.at_once=2")
    process = sweep(tmp_path, *given)
    until(lambda: begun(tmp_path / "alone", "seed0", "seed1"), PATIENCE)
    started = children(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in started), 60)
    code, out, err = ended(sweep(tmp_path, *given))
    assert code == 0, out + err
    assert "2 of 2 done" in out
    alike(undisturbed, runs_of(tmp_path / "alone")[undisturbed.name])


@pytest.mark.longest
def test_hopeless_runs_are_stopped_and_not_repeated(tmp_path):
    given = ("recipe.learning_rate=0.05,1e-9", "recipe.epochs=3", "root=halved", "sweep.halving.first=1")
    given = (*given, "monitor=val/top1", "sweep.halving.factor=2")
    code, out, err = ended(sweep(tmp_path, *given))
    assert code == 0, out + err
    ends = {
        path.parents[1].name: json.loads(path.read_text())
        for path in tmp_path.glob("halved/**/finished.json")
    }
    stopped = [end.get("stopped_early") for end in ends.values()]
    assert len(ends) == 2
    (journal,) = tmp_path.glob("halved/*/halving.jsonl")
    values = [json.loads(line)["value"] for line in journal.read_text().splitlines()]
    expected = 1 if values[1] < values[0] else None  # the first run goes on whatever it is
    assert sorted(stopped, key=str) == sorted([None, expected], key=str)
    if expected:
        assert "Successive halving stopped 1 run early and saved 2 of 6 epochs" in out
        assert "stopped early after epoch 1 of 3" in err
    code, out, err = ended(sweep(tmp_path, *given))
    assert (code, "2 runs, 2 finished before" in out) == (0, True)
