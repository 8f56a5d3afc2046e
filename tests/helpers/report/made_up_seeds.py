"""Made-up runs of several seeds; nothing was trained for them."""

import json
from pathlib import Path

import pandas as pd

from cornet.report.seeds.measures import Measure
from cornet.report.seeds.read import Seeds
from tests.helpers.report.made_up_runs import BENCHMARKS, FINISHED, scores

TWO = BENCHMARKS[:2]


def seed_run(folder: Path, seed: int = 0, rise: float = 0.0, top1: float = 0.5, **changes) -> Path:
    """A finished run of three epochs, whose scores are `rise` higher. changes: of its identity, or its scores."""
    folder.mkdir(parents=True)
    table = changes.pop("scores", scores((0, 1, 2, 3), TWO))
    if table is not None:
        table = table.assign(value=table["value"] + rise)
        table.to_csv(folder / "scores.csv", index=False)
    rows = [
        {"epoch": e, "step": 10 * e + 9, "val/top1": top1 + 0.1 * e, "val/loss": 2.0 - e} for e in range(3)
    ]
    if table is not None:
        rows += [
            {"epoch": 0, "step": 10 * e, "brain/epoch": e, "brain/mean": part["value"].mean(skipna=False)}
            for e, part in table.groupby("epoch")
        ]
    pd.DataFrame(rows).sort_values("step").to_csv(folder / "metrics.csv", index=False)
    identity = {"model": {"name": "cornet_s", "width": 0.25}, "loader": {"batch_size": 32, "seed": seed}}
    identity["model"] |= changes.pop("model", {})
    summary = {
        "epochs": 3,
        "best_epoch": 2,
        "brain_best": 0.5,
        "brain_best_epoch": 1,
        "brain_monitor": "brain/mean",
    }
    for name, content in {
        "identity": identity,
        "finished": FINISHED | summary | changes.pop("finished", {}),
        "versions": {"torch": "2.15.0", "cpu": str(seed)} | changes.pop("versions", {}),
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "config.yaml").write_text(f"model:\n  name: cornet_s\nseed: {seed}\n")
    assert not changes
    return folder


def measure(seeds: Seeds, name: str) -> Measure:
    """The measure with this logged name, such as val/top1 or brain/mean."""
    return {one.name: one for one in seeds.measures}[name]
