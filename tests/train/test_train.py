"""train.py as a user meets it: what it leaves, how it goes on, what it refuses."""

import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.helpers.training.small_runs import checkpoint, only_run, weights

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_run_leaves_what_it_says_and_is_not_repeated(train, tmp_path):
    code, out, err = train("recipe.epochs=2")
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
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.ckpt")}
    code, out, err = train("recipe.epochs=2")
    assert (code, "This run was already finished" in out) == (0, True)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())


@pytest.mark.slow  # trains
def test_the_last_checkpoint_is_of_the_last_epoch_though_another_was_best(train, tmp_path):
    """Found with a run whose accuracy had stopped rising: its last epochs were lost."""
    code, _, err = train("recipe.epochs=4", "recipe.learning_rate=1e-9", "monitor=train/learning_rate")
    assert code == 0, err
    rates = pd.read_csv(only_run(tmp_path) / "metrics.csv")["train/learning_rate"].dropna().tolist()
    assert rates.index(max(rates)) < 3
    best, last = (checkpoint(only_run(tmp_path), which) for which in ("best", "last"))
    assert best["epoch"] < 3
    assert (last["epoch"], last["global_step"]) == (3, 16)


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
        (["trainer=gpu"], "No supported gpu backend"),
    ],
)
def test_a_mistake_is_one_sentence_without_a_traceback(overrides, said, train, tmp_path):
    if "trainer=gpu" in overrides and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    code, _, err = train(*overrides, small=not overrides[0].startswith("data="))
    assert code == 2, err
    assert said in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, err
    assert not list(tmp_path.rglob("runs/*")), "it left a folder of a run that never began"


@pytest.mark.slow
def test_a_checkpoint_of_another_training_is_refused(train, tmp_path):
    code, _, err = train("recipe.epochs=1")
    assert code == 0, err
    held = f"ckpt_path={only_run(tmp_path)}/checkpoints/last.ckpt"
    code, _, err = train("model.width=0.2", held, "recipe.epochs=2")
    assert (code, "model.width=0.1" in err) == (2, True), err
    code, _, err = train("model=cornet_z", held, "recipe.epochs=2")
    assert (code, 'model.name="cornet_s"' in err) == (2, True), err
    for split in ("train", "val"):
        for name in "abc":
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for k in range(6):
                Image.fromarray(np.full((32, 32, 3), 40 * k, dtype=np.uint8)).save(folder / f"{k}.png")
    small = ["data.size=32", "model.width=0.1", "recipe.batch_size=6"]
    code, _, err = train("data=imagefolder", "data.folder=images", *small, held, small=False)
    assert (code, "num_classes=8" in err) == (2, True), err


def test_a_checkpoint_with_code_in_it_is_refused(train, tmp_path):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    torch.save({"state_dict": {}, "loops": Hostile()}, "hostile.ckpt")
    code, _, err = train("ckpt_path=hostile.ckpt")
    assert code == 2
    assert "refused" in err
    assert not marker.exists()


def mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


@pytest.mark.slow  # trains three times
def test_a_full_disk_keeps_the_previous_checkpoint(train, tmp_path):
    """A real file system that has no room for a second checkpoint beside the first two."""
    (tmp_path / "runs").mkdir()
    if mount("-t", "tmpfs", "-o", "size=32m", "tmpfs", str(tmp_path / "runs")):
        pytest.skip("mounting is not permitted here")
    try:
        code, _, err = train("recipe.epochs=2")
        assert code == 0, err
        used = sum(path.stat().st_size for path in tmp_path.glob("runs/**/checkpoints/*"))
        mount("-o", f"remount,size={int(used * 1.2)}", str(tmp_path / "runs"))
        code, _, err = train("recipe.epochs=2", "fresh=true")
        assert code == 2
        assert "make room" in err
        assert "Traceback" not in err
        run = tmp_path / "runs" / "objects-cornet_s"
        (old,) = (path.parent for path in run.rglob("finished.json"))
        assert all(torch.isfinite(v).all() for v in weights(old).values())
        mount("-o", "remount,size=64m", str(tmp_path / "runs"))
        code, _, err = train("recipe.epochs=2")
        assert code == 0, err
    finally:
        subprocess.run(["umount", str(tmp_path / "runs")], check=True)
