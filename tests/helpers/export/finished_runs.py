"""Folders of finished runs with a checkpoint, scores and metrics that we chose."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cornet.csv_cells import csv_text
from cornet.models import Network, create_model
from cornet.runs.score_tables import SCORES
from tests.helpers.training.recorded_runs import recorded, run_folder

STEP = 40
SCORE = {
    "epoch": 2.0,
    "step": STEP,
    "task_metric": "val/top1",
    "task_value": 0.75,
    "weights": "raw",
    "benchmark": "majajhong2015.IT",
    "region": "IT",
    "simulated": False,
    "metric": "pls",
    "value": 0.5,
    "value_error": 0.01,
    "scale": "r^2/c",
    "raw": 0.6,
    "error": 0.02,
    "ceiling": 0.8,
    "n": 2560,
    "notes": "",
    "failure": "",
}
VERSIONS = {
    "cornet-ventral": "0.1.0",
    "torch": "2.15.0",
    "cpu": "A processor",
    "cpus": 4,
    "gpus": ["A GPU", "A GPU"],
    "threads": 2,
    "ranks": 1,
}
METRICS = (
    "epoch,step,val/loss,val/top1,val/top5\n"
    f"0,19,2.0,0.3,0.7\n1,{STEP - 1},1.0,0.75,0.99\n2,59,0.9,0.6,0.98\n"
)


def write(
    folder: Path,
    *overrides: str,
    scores: list[dict[str, Any]] | None = None,
    decoder: bool = True,
    **files: Any,
) -> Network:
    """Write the run of a small network (cornet_z unless overridden), and return the network.

    best.ckpt is of step STEP and last.ckpt, with other weights, of a later one. scores: changes of SCORE, a row each.
    """
    config = recorded("model=cornet_z", *overrides)
    arguments = {**config["model"], "num_classes": 8}
    for key in ("pretrained", "freeze", "weights_url", "accept_hash"):
        arguments.pop(key, None)
    net = create_model(**arguments).eval()
    if not decoder:
        net.decoder = torch.nn.Identity()
    facts = {f"model.{key}": value for key, value in arguments.items()}
    if not decoder:
        facts["net.decoder"] = False
    finished = {
        "data": "objects",
        "classes": 8,
        "train_images": 16,
        "val_images": 8,
        "chance": 0.125,
        "images_per_second": 321.0,
    }
    run_folder(folder, config, **{"finished": finished, "versions": VERSIONS, **files})
    (folder / "checkpoints").mkdir()
    for kind, step, add in (("best", STEP, 0.0), ("last", STEP + 20, 1.0)):
        state = {f"net.{key}": value + add if add else value for key, value in net.state_dict().items()}
        content = {"epoch": 1, "global_step": step, "state_dict": state, "cornet": facts}
        torch.save(content, folder / "checkpoints" / f"{kind}.ckpt")
    (folder / "metrics.csv").write_text(METRICS)
    if scores is not None:
        table = pd.DataFrame([{**SCORE, **one} for one in scores]).reindex(columns=list(SCORES))
        (folder / "scores.csv").write_text(csv_text(table))
    return net


def header_of(folder: Path) -> dict[str, Any]:
    """The header of the model card in a folder, as huggingface_hub reads it."""
    from huggingface_hub import ModelCard

    return ModelCard.load(folder / "README.md").data.to_dict()


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())
