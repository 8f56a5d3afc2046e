"""Made-up sweeps, as folders of runs whose effects are known; nothing was trained for them."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.helpers.report.made_up_runs import FINISHED

BENCHMARKS = (("simulated.V4", "V4"), ("simulated.IT", "IT"))
BASE = {
    "model": {
        "name": "cornet_s",
        "num_classes": "auto",
        "times": {"V2": 2, "V4": 4, "IT": 2},
        "width": 0.25,
        "bottleneck": 4,
        "norm": None,
    },
    "data": {"size": 64},
    "recipe": {"epochs": 2, "batch_size": 32},
}

Effect = Callable[[Mapping[str, Any]], float]


def made_up_run(
    folder: Path,
    overrides: Mapping[str, Any],
    seed: int,
    top1: float,
    brain: Mapping[str, float],
    **finished: Any,
) -> Path:
    """A finished run of two epochs, the first of which is the better. brain: value by benchmark, NaN for a failure."""
    config = json.loads(json.dumps(BASE))
    for key, value in overrides.items():
        *path, last = key.split(".")
        node = config
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    steps = config["model"]["times"]
    identity = config | {"loader": {"seed": seed, "batch_size": config["recipe"]["batch_size"]}}
    folder.mkdir(parents=True)
    settings = identity | {"seed": seed, "root": "runs", "loader": {"workers": 2, **identity["loader"]}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "identity.json").write_text(json.dumps(identity))
    summary = FINISHED | {
        "steps": [1, steps["V2"], steps["V4"], steps["IT"]],
        "parameters": 100_000 * sum(steps.values()),
        "best": top1,
        "best_epoch": 1,
        "epochs": 2,
        "images_per_second": 500.0,
    }
    (folder / "finished.json").write_text(json.dumps(summary | finished))
    logged = [
        {"epoch": e, "step": 10 * e + 9, "val/top1": top1 - 0.05 * e, "val/loss": 1 + e} for e in (0, 1)
    ]
    if brain:
        mean = float(np.mean(list(brain.values())))
        logged.append({"epoch": 1, "step": 20, "brain/epoch": 2, "brain/mean": mean})
    pd.DataFrame(logged).to_csv(folder / "metrics.csv", index=False)
    regions = {"simulated-ost": "IT", "simulated-i2n": "behaviour"}
    rows = [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "benchmark": name,
            "region": regions.get(name, name.rpartition(".")[2]),
            "value": value - (0.1 if epoch < 2 else 0.0),
            "scale": "r^2/c",
            "ceiling": 0.8,
            "version": 1,
            "brain_data": "af84",
            "metric": "pls",
            "split_rule": "90/10",
            "simulated": name.startswith("simulated"),
            "weights": "raw",
            "failure": "" if np.isfinite(value) else "RuntimeError: made up",
        }
        for epoch in (0, 2)
        for name, value in brain.items()
    ]
    if rows:
        pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    return folder


def made_up_sweep(
    folder: Path,
    grid: Mapping[str, Sequence[Any]],
    effect: Effect,
    seeds: Sequence[int] = (0, 1, 2),
    noise: float = 0.01,
    benchmarks: Sequence[str] = tuple(name for name, _ in BENCHMARKS),
) -> Path:
    """All combinations of a grid; accuracy is .3 and the effect, scores are half of it; with noise of its own each."""
    rng = np.random.default_rng(1)
    for values in product(*grid.values()):
        overrides = dict(zip(grid, values, strict=True))
        name = "+".join(f"{key}-{value}".lower() for key, value in overrides.items())
        for seed in seeds:
            told = effect(overrides)
            top1, *scores = rng.normal(0, noise, 1 + len(benchmarks))
            brain = {name: 0.2 + told / 2 + score for name, score in zip(benchmarks, scores, strict=True)}
            made_up_run(folder / name / f"seed{seed}", overrides, seed, 0.3 + told + top1, brain)
    return folder
