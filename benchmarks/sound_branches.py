"""Words and genres against the branch point, at equal numbers of parameters, with embedded sounds.

    python benchmarks/sound_branches.py --runs runs/audio_branch --seeds 3 --beside "other jobs"

Trains experiment=[audio,sweeps/audio_branch] in this process, run after run; finished runs are not repeated. After each
seed it prints and writes results/audio.json: for each branch point the parameters and both accuracies after the last
epoch with intervals over seeds (Student's t), the paired differences from separate networks, and what a linear read-out
of the mean spectrum and guessing reach. `cornet report sweep FOLDER` makes the page.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from record import write_record

from cornet.report.statistics import mean_interval, pair_difference
from cornet.runs.metrics import read_metrics
from cornet.training.run import run

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(__file__).parent / "results" / "audio.json"
TASKS = ("word", "genre")


def trained(branch: int, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one network, unless its run is finished. Returns its last metrics, parameters and processor time."""
    overrides = [f"model.branch={branch}", f"model.parameters={arguments.parameters}", f"seed={seed}"]
    start = time.process_time()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        fixed = ["experiment=audio", "trainer=cpu", "name=audio_branch", f"root={arguments.runs}"]
        config = compose("config", [*fixed, *overrides, *arguments.train])
    outcome = run(config, overrides[:1] + overrides[2:], sweep=True)
    assert outcome is not None
    metrics = read_metrics(outcome.folder)
    found = {
        f"{kind}/{task}": last(metrics, f"{kind}/{task}_top1")
        for kind in ("val", "baseline")
        for task in TASKS
    }
    seconds = 0.0 if outcome.already else time.process_time() - start
    return {**found, "parameters": outcome.summary["parameters"], "seconds": seconds}


def last(metrics: Any, name: str) -> float:
    return float(metrics[name].dropna().iloc[-1])


def rounded(interval: Any) -> dict[str, Any]:
    values = {name: float(getattr(interval, name)) for name in ("mean", "low", "high")}
    return {name: round(value, 4) for name, value in values.items() if math.isfinite(value)}


def summary(runs: dict[int, list[dict[str, Any]]], first: int) -> dict[str, Any]:
    """Rows by branch point, and differences from the first branch point, paired by seed."""
    rows, differences = [], []
    for branch, found in runs.items():
        row: dict[str, Any] = {"branch": branch, "parameters": found[0]["parameters"]}
        for task in TASKS:
            values = [one[f"val/{task}"] for one in found]
            row[task] = {**rounded(mean_interval(values)), "by_seed": [round(value, 4) for value in values]}
            if branch != first:
                gap = rounded(pair_difference(values, [one[f"val/{task}"] for one in runs[first]]))
                differences.append({"branch": branch, "from": first, "task": task, **gap})
        row["seconds"] = [round(one["seconds"], 1) for one in found]
        rows.append(row)
    baseline = {task: round(runs[first][0][f"baseline/{task}"], 4) for task in TASKS}
    chance = {"word": 0.1, "genre": 0.125}
    return {"rows": rows, "differences": differences, "mean_spectrum": baseline, "chance": chance}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", required=True)
    parser.add_argument("--branches", nargs="+", type=int, default=[0, 7, 11])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parameters", type=int, default=100_000)
    parser.add_argument("--train", nargs="*", default=[], help="overrides of train.py")
    parser.add_argument("--beside", default="nothing")
    arguments = parser.parse_args()
    runs: dict[int, list[dict[str, Any]]] = {branch: [] for branch in arguments.branches}
    for seed in range(arguments.seeds):
        for branch in arguments.branches:
            runs[branch].append(trained(branch, seed, arguments))
        found = summary(runs, arguments.branches[0])
        write_record(OUT, torch.device("cpu"), arguments.beside, **found)
        for one in (*found["rows"], *found["differences"]):
            print(one, flush=True)


if __name__ == "__main__":
    main()
