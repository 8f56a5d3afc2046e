"""What tests of faults ask of runs: how they ended, what they said, whether two of them are the same."""

import json
from pathlib import Path

import pandas as pd
import torch

from tests.helpers.faults.starter import Run, Starter
from tests.helpers.training.small_runs import SPEED, checkpoint

TIMES = [*SPEED, "brain/seconds", "seconds", "commit", "versions"]
"""Columns that tell times, and the checkout as it was, which others may be working in."""


def run_of(root: Path) -> Path:
    """The folder of the only run below."""
    (path,) = (path.parent for path in root.glob("**/seed*/config.yaml"))
    return path


def finished(starter: Starter, *overrides: str, root: Path) -> Path:
    """Start a run, or go on with it; its folder, when it has come to its end."""
    run = starter.start(*overrides, f"root={root}")
    assert starter.wait() == 0, run.said.read_text()
    return run_of(root)


def refused(starter: Starter, run: Run) -> str:
    """The one sentence with which a run stops."""
    assert starter.wait() == 2, run.said.read_text()
    said = run.said.read_text()
    assert "Traceback" not in said, said
    return said.strip().splitlines()[-1]


def alike(whole: Path, ours: Path) -> None:
    """Weights, averages, metrics and scores, to the last bit, but for what tells times."""
    names = sorted(path.stem for path in (whole / "checkpoints").glob("*.ckpt"))
    assert names == sorted(path.stem for path in (ours / "checkpoints").glob("*.ckpt"))
    for name in names:
        one, two = checkpoint(whole, name), checkpoint(ours, name)
        assert one["global_step"] == two["global_step"]
        for held in (one, two):
            held["all"] = {**held["state_dict"], **held.get("raw_weights", {}).get("weights", {})}
        assert one["all"].keys() == two["all"].keys()
        assert all(torch.equal(one["all"][key], two["all"][key]) for key in one["all"]), name
        assert torch.equal(one["random_state"]["torch"], two["random_state"]["torch"])
    for name in ("metrics.csv", "scores.csv", "step_matrix.csv"):
        assert (whole / name).exists() == (ours / name).exists()
        if (whole / name).exists():
            tables = [pd.read_csv(run / name).drop(columns=TIMES, errors="ignore") for run in (whole, ours)]
            pd.testing.assert_frame_equal(*tables, check_exact=True)
    ends = [json.loads((run / "finished.json").read_text()) for run in (whole, ours)]
    assert ends[0]["best"] == ends[1]["best"]


def children(process: int) -> list[int]:
    """The processes that one has started and that still run."""
    texts = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]  # of each thread
    return [int(number) for text in texts for number in text.split()]


def memory_peak(process: int) -> int:
    """Bytes of memory that a living process has held at most; 0 for one that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else 0
