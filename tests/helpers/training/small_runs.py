"""Overrides of train.py for runs of seconds, and what such runs leave."""

import subprocess
import time
from pathlib import Path
from typing import Any

import torch

SMALL_WITH_BRAIN = [
    "data.train_images=64",
    "data.val_images=32",
    "data.size=32",
    "model.width=0.1",
    "recipe.batch_size=16",
]
SMALL = [*SMALL_WITH_BRAIN, "brain=none"]
SPEED = ["train/images_per_second", "speed/images_per_second", "speed/data_wait"]


def only_run(folder: Path) -> Path:
    (run,) = (path.parent for path in folder.glob("runs/**/seed*/config.yaml"))
    return run


def checkpoint(run: Path, which: str = "last") -> dict[str, Any]:
    return torch.load(run / "checkpoints" / f"{which}.ckpt", weights_only=True)


def weights(run: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return checkpoint(run, which)["state_dict"]


def wait_for_epoch(process: subprocess.Popen, folder: Path, epochs: int) -> None:
    """Until the run has written its checkpoint of so many epochs."""
    for _ in range(3600):
        for path in folder.glob("runs/**/seed*/metrics.csv"):
            text = path.read_text()
            if (path.parent / "checkpoints" / "last.ckpt").exists() and text.count("\n") > epochs:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the run did not get that far")
