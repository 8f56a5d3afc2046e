"""train.py as a user meets it: what it leaves, how it goes on, what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
SMALL = [
    "data.train_images=64",
    "data.val_images=32",
    "data.size=32",
    "model.width=0.1",
    "recipe.batch_size=16",
]


def start(folder: Path, *overrides: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *SMALL, f"root={folder / 'runs'}", *overrides],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CORNET_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "2", **environment},
    )


def train(folder: Path, *overrides: str, **environment: str) -> tuple[int, str, str]:
    process = start(folder, *overrides, **environment)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def only_run(folder: Path) -> Path:
    (run,) = (path.parent for path in folder.glob("runs/*/*/seed*/config.yaml"))
    return run


def weights(run: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / f"{which}.ckpt", weights_only=True)["state_dict"]


def test_a_run_leaves_what_it_says_and_is_not_repeated(tmp_path):
    code, out, err = train(tmp_path, "recipe.epochs=2")
    assert code == 0, err
    run = only_run(tmp_path)
    names = ("metrics.csv", "curves.png", "config.yaml", "versions.json", "finished.json")
    assert all((run / name).stat().st_size for name in names)
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    for said in ("cornet_s on objects", "best top-1", "chance", "Written to", "Try next"):
        assert said in out
    assert not list(tmp_path.glob("*.yaml")), "Hydra left files in the user's folder"
    metrics = pd.read_csv(run / "metrics.csv")
    epochs = metrics.dropna(subset=["val/top1"])
    assert epochs["epoch"].tolist() == [0, 1]
    assert {"train/loss", "train/top1", "val/loss", "val/top5", "train/learning_rate"} <= set(metrics)
    assert (metrics.dropna(subset=["train/loss"])["train/loss"] > 0).all()
    assert json.loads((run / "finished.json").read_text())["epochs"] == 2
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "curves.png"}
    code, out, err = train(tmp_path, "recipe.epochs=2")
    assert (code, "This run is finished" in out) == (0, True)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path.suffix == ".ckpt")


def wait_for_epoch(process: subprocess.Popen, folder: Path, epochs: int) -> None:
    """Until the run has written its checkpoint of so many epochs."""
    for _ in range(1200):
        for path in folder.glob("runs/*/*/seed*/metrics.csv"):
            text = path.read_text()
            if (path.parent / "checkpoints" / "last.ckpt").exists() and text.count("\n") > epochs:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the run did not get that far")


def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(tmp_path):
    """The same weights, bit for bit, and the same log."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    many = [
        "recipe.epochs=6",
        "model=cornet_s_narrow",
        "data.train_images=256",
        "trainer.log_every_n_steps=1",
    ]
    code, _, err = train(whole, *many)
    assert code == 0, err
    process = start(broken, *many)
    wait_for_epoch(process, broken, 2)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    killed = only_run(broken)
    assert not (killed / "finished.json").exists()
    code, _, err = train(broken, *many)
    assert code == 0, err
    assert "going on from" in err
    expected, ours = weights(only_run(whole)), weights(killed)
    assert expected.keys() == ours.keys()
    assert all(torch.equal(expected[key], ours[key]) for key in expected)
    kept = [
        pd.read_csv(run / "metrics.csv").drop(columns="train/images_per_second")
        for run in (only_run(whole), killed)
    ]
    pd.testing.assert_frame_equal(*kept, check_exact=True)


def test_control_c_stops_politely(tmp_path):
    process = start(tmp_path, "recipe.epochs=500")
    wait_for_epoch(process, tmp_path, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command goes on" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["recipe.lerning_rate=0.1"], "did you mean recipe.learning_rate?"),
        (["model=cornet_zz"], "did you mean cornet_z"),
        (["data=imagefolder"], "data.folder"),
        (["data=imagefolder", "data.folder=nowhere/to/be/found"], "nowhere/to/be/found"),
        (["recipe.epochs=0"], "recipe.epochs=0 must be a whole number"),
        (["model=cornet_rt", "model.times=3"], "at least 4"),
        (["ckpt_path=missing.ckpt"], "missing.ckpt"),
        (["trainer=gpu"], "accelerator"),
    ],
)
def test_a_mistake_is_one_sentence_without_a_traceback(overrides, said, tmp_path):
    if "trainer=gpu" in overrides and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    small = [] if overrides[0].startswith(("data=", "model=")) else SMALL
    result = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *small, f"root={tmp_path}", *overrides],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    code, _, err = train(tmp_path, "recipe.epochs=1")
    assert code == 0, err
    held = only_run(tmp_path) / "checkpoints" / "last.ckpt"
    for override, said in (
        ("model.width=0.2", "model.width=0.1"),
        ("model=cornet_z", "model.name='cornet_s'"),
    ):
        code, _, err = train(tmp_path, override, f"ckpt_path={held}", "recipe.epochs=2")
        assert (code, said in err) == (2, True), err
    folder = tmp_path / "images"
    for split in ("train", "val"):
        for name in "abc":
            (folder / split / name).mkdir(parents=True)
            for k in range(6):
                pixels = np.full((32, 32, 3), 40 * k, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{k}.png")
    result = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "data=imagefolder", f"data.folder={folder}", "data.size=32",
         "model.width=0.1", "recipe.batch_size=6", f"root={tmp_path}/other", f"ckpt_path={held}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert "num_classes=8" in result.stderr


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    torch.save({"state_dict": {}, "loops": Hostile()}, tmp_path / "hostile.ckpt")
    code, _, err = train(tmp_path, f"ckpt_path={tmp_path / 'hostile.ckpt'}")
    assert code == 2
    assert "refused" in err
    assert not marker.exists()


@pytest.mark.slow
def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path):
    """A real file system that is too small for a second checkpoint."""
    small = tmp_path / "runs"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=False, capture_output=True
    ).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        code, _, err = train(tmp_path, "recipe.epochs=30", "model.width=0.17")
        assert code == 2
        assert "room" in err
        assert "Traceback" not in err
        run = only_run(tmp_path)
        assert all(torch.isfinite(v).all() for v in weights(run).values())
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        code, _, err = train(tmp_path, "recipe.epochs=30", "model.width=0.17")
        assert code == 0, err
    finally:
        subprocess.run(["umount", str(small)], check=True)
