"""The wiring of trained olfactory circuits: seeds of the demo, the published circuit, and claws against receptor types.

    python train.py experiment=olfaction seed=0 root=runs            # and seeds 1, 2
    python train.py experiment=olfaction_2021 root=runs
    python train.py experiment=sweeps/claws root=runs
    python benchmarks/olfaction.py runs --beside "nothing"

Reads wiring.csv of every finished run below the folder. Intervals are of the mean over seeds (Student's t, 95 %).
K = e^a N^b is fitted to the runs of the sweep by least squares of log K against log N, without those with a fifth or
more of the Kenyon cells unconnected. Writes results/olfaction.json.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from record import write_record
from rich.console import Console
from rich.table import Table

from cornet import load_run
from cornet.report.statistics import mean_interval

RESULTS = Path(__file__).parent / "results" / "olfaction.json"
MEASURES = ("accuracy", "glo", "types", "claws", "no_claws", "coding")
MOST_BAD = 0.2

console = Console(width=140)


def read_runs(root: Path) -> list[dict[str, Any]]:
    """What each finished run below a folder reached, and where it began."""
    found = []
    for path in sorted(root.rglob("wiring.csv")):
        run = load_run(path.parent)
        if run.finished is None:
            continue
        table = pd.read_csv(path)
        config, last = run.config, table.iloc[-1]
        found.append(
            {
                "name": config["name"],
                "seed": config["seed"],
                "receptors": int(last["receptors"]),
                "odours_seen": int(last["step"]) * config["recipe"]["batch_size"],
                "learning_rate": config["recipe"]["learning_rate"],
                "start": plain(table.iloc[0]),
                "end": {**plain(last), "claws_sd": float(last["claws_sd"]), "peak": bool(last["peak"])},
                "odours_per_second": run.summary["images_per_second"],
            }
        )
    return found


def plain(row: pd.Series) -> dict[str, float]:
    return {name: float(row[name]) for name in MEASURES}


def growth(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Exponent and factor of claws against receptor types. None: fewer than three numbers of types."""
    used = [run for run in runs if run["end"]["no_claws"] < MOST_BAD]
    if len({run["receptors"] for run in used}) < 3:
        return None
    x = np.log([run["receptors"] for run in used])
    y = np.log([run["end"]["claws"] for run in used])
    (b, a), cov = np.polyfit(x, y, 1, cov="unscaled")
    residual = y - (a + b * x)
    error = math.sqrt(cov[0, 0] * (residual**2).sum() / (len(x) - 2)) if len(x) > 2 else math.nan
    return {"a": a, "b": b, "b_standard_error": error, "points": sorted({run["receptors"] for run in used})}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--beside", default="unknown", help="what else ran on the machine")
    arguments = parser.parse_args()
    runs = read_runs(arguments.runs)
    demo = [run for run in runs if run["name"] == "olfaction"]
    seeds = {name: mean_interval(run["end"][name] for run in demo)._asdict() for name in MEASURES}
    claws = growth([run for run in runs if run["name"] == "claws"])
    table = Table("run", "types", "seed", "odours", "accuracy", "GloScore", "covered", "claws", "without")
    for run in runs:
        end = run["end"]
        count = f"{end['claws']:.1f} +- {end['claws_sd']:.1f}"
        shown = (
            run["receptors"],
            run["seed"],
            f"{run['odours_seen']:,}",
            f"{end['accuracy']:.3f}",
            f"{end['glo']:.3f}",
        )
        table.add_row(run["name"], *map(str, shown), f"{end['types']:.0f}", count, f"{end['no_claws']:.3f}")
    console.print(table)
    for name, value in seeds.items():
        console.print(
            f"demo, {name}: {value['mean']:.3f} ({value['low']:.3f} to {value['high']:.3f}), {value['n']} seeds"
        )
    console.print(f"claws against types: {claws}")
    write_record(RESULTS, torch.device("cpu"), arguments.beside, runs=runs, demo=seeds, growth=claws)


if __name__ == "__main__":
    main()
