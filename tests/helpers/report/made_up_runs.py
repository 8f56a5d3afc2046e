"""Made-up folders of runs, as training with brain scores leaves them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

BENCHMARKS = (
    ("simulated.V1", "V1", "r^2/c", 0.8),
    ("simulated.V2", "V2", "r^2/c", 0.75),
    ("simulated.V4", "V4", "r^2/c", 0.7),
    ("simulated.IT", "IT", "r^2/c", 0.72),
    ("simulated-i2n", "behaviour", "r/sqrt(c)", 0.6),
    ("simulated-ost", "IT", "r/c", 1.0),
)


def scores(
    epochs: Sequence[float] = (0, 0.25, 0.5, 1, 2, 3, 4, 5, 6),
    benchmarks: Sequence[tuple[str, str, str, float]] = BENCHMARKS,
    simulated: bool = True,
    weights: Sequence[str] = ("raw",),
) -> pd.DataFrame:
    """A table that rises with the epochs; the seed is fixed."""
    rng, rows = np.random.default_rng(3), []
    for epoch in epochs:
        for k, (name, region, scale, ceiling) in enumerate(benchmarks):
            for kind in weights:
                raw = 0.2 + 0.05 * k + 0.25 * (1 - math.exp(-epoch / 2)) + rng.normal(0, 0.01)
                value = {"raw": raw, "r/c": raw / ceiling, "r^2/c": raw**2 / ceiling}.get(
                    scale, raw / math.sqrt(ceiling)
                )
                rows.append(
                    {
                        "epoch": float(epoch),
                        "step": int(128 * epoch),
                        "benchmark": name,
                        "region": region,
                        "value": value + (0.02 if kind == "averaged" else 0),
                        "value_error": 0.02,
                        "scale": scale,
                        "raw": raw,
                        "error": 0.015,
                        "ceiling": ceiling,
                        "n": 640,
                        "splits": 10,
                        "neuroids": 60,
                        "sites": f"{region}[1]",
                        "metric": "pls",
                        "split_rule": "90/10",
                        "version": 1,
                        "simulated": simulated,
                        "weights": kind,
                        "task_metric": "val/top1",
                        "task_value": 0.125 + 0.75 * (1 - math.exp(-epoch / 2)),
                        "seconds": 1.5,
                        "notes": "",
                        "failure": "",
                    }
                )
    return pd.DataFrame(rows)


def matrix(epochs: Sequence[float] = (0, 6)) -> pd.DataFrame:
    """Steps 1/2/4/2; each region is predicted best by an area's last step."""
    rng, rows = np.random.default_rng(4), []
    steps = {"V1": 1, "V2": 2, "V4": 4, "IT": 2}
    for epoch in epochs:
        for r, region in enumerate(steps):
            for a, (area, number) in enumerate(steps.items()):
                for step in range(number):
                    raw = 0.3 + 0.03 * epoch - 0.06 * abs(a - r) + 0.02 * step + rng.normal(0, 0.004)
                    rows.append(
                        {
                            "epoch": epoch,
                            "benchmark": f"simulated.{region}",
                            "region": region,
                            "area": area,
                            "step": step,
                            "raw": raw,
                            "error": 0.012,
                        }
                    )
    return pd.DataFrame(rows)


def times(images: int = 640, truth: bool = True) -> pd.DataFrame:
    """Predicted times that follow the target ones loosely; a fifth is not solved."""
    rng = np.random.default_rng(5)
    true = 100 + 10 * rng.integers(0, 16, images)
    target = true + rng.normal(0, 12, images)
    predicted = 90 + 0.5 * target + rng.normal(0, 25, images)
    predicted[rng.random(images) < 0.2] = np.nan
    table = pd.DataFrame(
        {
            "benchmark": "simulated-ost",
            "simulated": True,
            "stimulus_id": [f"object-{k}" for k in range(images)],
            "target_ms": target,
            "predicted_ms": predicted,
        }
    )
    return table.assign(truth_ms=true) if truth else table


def metrics(epochs: int = 6, per_epoch: int = 128) -> pd.DataFrame:
    rows = [
        {"epoch": s // per_epoch, "step": s, "train/loss": 2.2 * math.exp(-s / 300) + 0.2}
        for s in range(0, epochs * per_epoch, 20)
    ]
    for epoch in range(epochs):
        rows.append(
            {
                "epoch": epoch,
                "step": (epoch + 1) * per_epoch - 1,
                "val/loss": 2.0 / (epoch + 1),
                "val/top1": 0.3 + 0.09 * epoch,
            }
        )
    return pd.DataFrame(rows).sort_values("step")


FINISHED = {
    "network": "cornet_s",
    "parameters": 3317432,
    "steps": [1, 2, 4, 2],
    "data": "objects",
    "classes": 8,
    "train_images": 4096,
    "val_images": 1024,
    "epochs": 6,
    "best": 0.8916015625,
    "best_epoch": 6,
    "last": {"val/top1": 0.89},
    "chance": 0.125,
}


def make_run(folder: Path, **tables: pd.DataFrame | None) -> Path:
    """A finished run; a table given as None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "scores": scores(),
        "step_matrix": matrix(),
        "solution_times": times(),
        "metrics": metrics(),
    } | tables
    for name, table in found.items():
        if table is not None:
            table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "config.yaml").write_text(
        "model:\n  name: cornet_s\n  width: 0.25\ndata:\n  size: 64\nseed: 0\n"
    )
    (folder / "versions.json").write_text(json.dumps({"python": "3.11.7", "torch": "2.15.0", "gpus": []}))
    (folder / "finished.json").write_text(json.dumps(FINISHED))
    return folder
