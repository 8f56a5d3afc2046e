"""Accuracy against alignment of harmonised runs, with intervals over seeds.

    python benchmarks/harmonised_runs.py RUNS --name objects [--to results/harmonised_runs.json]

RUNS: a folder with runs of train.py that differ in losses.harmonisation.weight and seed, each with maps. For each
weight: the last epoch's accuracy, alignment, image-specific alignment and loss, with 95 % intervals (Student's t over
seeds), and the paired difference from the plain runs of the same seeds. Draws results/harmonised_NAME.png.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
from record import write_record

from cornet.report.statistics import mean_interval, pair_difference
from cornet.runs.folder import load_run

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results"
OUT = RESULTS / "harmonised_runs.json"
MEASURES = (
    "top-1",
    "network",
    "network, image-specific",
    "network, other images",
    "centred blob",
    "mean map",
)


def read(folder: Path) -> dict[str, Any] | None:
    """Numbers of a finished run; None for one that is not finished."""
    if not (folder / "finished.json").is_file():
        return None
    run = load_run(folder)
    losses = run.config.get("losses") or {}
    weight = float((losses.get("harmonisation") or {}).get("weight", 0.0))
    table = pd.read_csv(folder / "alignment.csv")
    last = table[table["epoch"] == table["epoch"].max()].set_index("maps")["raw"]
    metrics = run.metrics
    found: dict[str, Any] = {"weight": weight, "seed": int(run.config["seed"])}
    found["top-1"] = float(metrics["val/top1"].dropna().iloc[-1])
    found |= {name: float(last[name]) for name in MEASURES[1:]}
    if "train/loss_harmonisation" in metrics:
        terms = metrics["train/loss_harmonisation"].dropna()
        found |= {"first term": float(terms.iloc[0]), "last term": float(terms.iloc[-5:].mean())}
    scores = run.scores
    if scores is not None and len(scores):
        final = scores[scores["epoch"] == scores["epoch"].max()]
        found |= {f"brain {row.benchmark}": float(row.raw) for row in final.itertuples()}
    return found


def summary(runs: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    plain = runs[runs["weight"] == 0].set_index("seed")
    for weight, group in runs.groupby("weight"):
        own = group.set_index("seed")
        row: dict[str, Any] = {"weight": weight, "seeds": sorted(own.index.tolist())}
        for name in [column for column in runs if column not in ("weight", "seed")]:
            values = own[name].dropna()
            if not len(values):
                continue
            estimate = mean_interval(values)
            row[name] = [round(float(one), 4) for one in (estimate.mean, estimate.low, estimate.high)]
            shared = values.index.intersection(plain[name].dropna().index)
            if weight > 0 and len(shared) > 1:
                gap = pair_difference(values[shared], plain[name][shared])
                row[f"{name}, change"] = [round(float(one), 4) for one in (gap.mean, gap.low, gap.high)]
        rows.append(row)
    return rows


def draw(runs: pd.DataFrame, path: Path, title: str) -> None:
    figure, axes = plt.subplots(figsize=(5.2, 3.8), dpi=150, layout="constrained")
    for (weight, group), colour in zip(
        runs.groupby("weight"), ("#444444", "#5b9bd5", "#1b6ca8", "#0b3d61"), strict=False
    ):
        axes.scatter(group["top-1"], group["network"], s=22, color=colour, label=f"weight {weight:g}")
    for name, line in (("centred blob", "-"), ("mean map", "-.")):
        axes.axhline(runs[name].mean(), color="0.5", lw=0.9, ls=line, label=name)
    axes.set(xlabel="top-1", ylabel="alignment (Spearman)")
    axes.set_title(title, fontsize=9, loc="left")
    axes.legend(fontsize=7, frameon=False)
    axes.locator_params(axis="x", nbins=6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--about", default="", help="what the runs are, for the record")
    parser.add_argument("--beside", default="nothing")
    arguments = parser.parse_args()
    folders = sorted({path.parent for path in arguments.runs.glob("**/alignment.csv")})
    found = [one for folder in folders if (one := read(folder)) is not None]
    runs = pd.DataFrame(found).sort_values(["weight", "seed"])
    print(runs.round(3).to_string(index=False))
    rows = summary(runs)
    for row in rows:
        print(json.dumps({key: value for key, value in row.items() if not key.startswith("brain")}))
    draw(runs, RESULTS / f"harmonised_{arguments.name}.png", arguments.about or arguments.name)
    known = json.loads(OUT.read_text()).get("results", {}) if OUT.is_file() else {}
    known[arguments.name] = {
        "about": arguments.about,
        "rows": rows,
        "runs": runs.replace(np.nan, None).to_dict("records"),
    }
    write_record(OUT, torch.device("cpu"), arguments.beside, results=known)


if __name__ == "__main__":
    main()
