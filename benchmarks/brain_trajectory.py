"""How brain scores move while networks train, beside the published course of CORnet-S on ImageNet.

    python benchmarks/brain_trajectory.py runs/brains/**/seed* --published cornet_s_training_curve.csv

Takes runs that scored recorded brains (train.py brain=local ...), reads their scores.csv, and of each network scores
anew what it was at the start, at the most brain-like epoch and at the end, so that differences can be tested over the
neuroids (paired bootstrap; the start is made again from the run's seed and must give the first row of scores.csv).
published: a table of epoch and scores, one column a benchmark (Kubilius, Schrimpf et al. 2019), which the project does
not contain. Writes results/brain_trajectory.json and .png; what it means stands in LOG.md.

The picture shows above each score against the epoch, and below its share of the highest one against the images seen
(an epoch of the published training has 85 times as many), so that courses on different scales can be laid over each
other. half of rise, nine tenths of rise: the first epoch at which so much of the way from the first score to the
highest is behind.
"""

import argparse
import datetime
import json
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from cornet import brain
from cornet.brain.benchmarks import Benchmark, open_benchmarks
from cornet.files import atomic_write
from cornet.runs.config import read_config
from cornet.runs.provenance import versions
from cornet.runs.scores import read_scores

RESULTS = Path(__file__).parent / "results"
PUBLISHED = {
    "V4": "dicarlo.Majaj2015.V4-pls",
    "V1": "movshon.FreemanZiemba2013.V1-pls",
    "IT": "dicarlo.Majaj2015.IT-pls",
    "behaviour": "dicarlo.Rajalingham2018-i2n",
    "top-1": "fei-fei.Deng2009-top1",
}
"""The published column of each panel. Its behaviour is another task (i2n), its IT another measure (predictivity)."""

IMAGENET = 1_281_167
"""Training images of the published epochs."""

console = Console(width=160)


def course(run: Path) -> dict[str, pd.DataFrame]:
    """By panel (region, and top-1): epoch, value and its error, in the order of epochs."""
    scores = read_scores(run)
    scores = scores[scores["value"].notna()]
    found = {}
    for region, rows in scores.groupby("region"):
        name = rows["benchmark"].iloc[0]
        found[str(region)] = rows[rows["benchmark"] == name][["epoch", "value", "value_error"]]
    top1 = scores.drop_duplicates("epoch")[["epoch", "task_value"]].dropna()
    found["top-1"] = top1.rename(columns={"task_value": "value"}).assign(value_error=math.nan)
    return found


def told(rows: pd.DataFrame) -> dict[str, float]:
    """First, highest and last value, when the highest came, and when half and nine tenths of the rise were there."""
    values, epochs = rows["value"].to_numpy(), rows["epoch"].to_numpy()
    rise = (
        (values - values[0]) / (values.max() - values[0])
        if values.max() > values[0]
        else np.zeros(len(values))
    )
    reached = {
        share: epochs[np.argmax(rise >= share)] if (rise >= share).any() else math.nan for share in (0.5, 0.9)
    }
    return {
        "first": values[0],
        "lowest": values.min(),
        "lowest_epoch": epochs[values.argmin()],
        "highest": values.max(),
        "highest_epoch": epochs[values.argmax()],
        "last": values[-1],
        "half_of_rise": reached[0.5],
        "nine_tenths_of_rise": reached[0.9],
    }


def tested(run: Path, benchmarks: list[Benchmark[Any]]) -> dict[str, Any]:
    """Raw differences over neuroids: end less start, end less the most brain-like epoch."""
    seed = int(run.name.removeprefix("seed"))
    subjects = {
        "start": brain.open_subject(f"{run}?untrained", seed=seed),
        "best": brain.open_subject(
            f"{run}?best_brain" if (run / "checkpoints/best_brain.ckpt").exists() else str(run)
        ),
        "end": brain.open_subject(f"{run}?last"),
    }
    found = {}
    first = read_scores(run).query("step == 0").set_index("benchmark")["raw"]
    for one in benchmarks:
        scores = {name: one.run(subject) for name, subject in subjects.items()}
        row = {
            name: {"raw": score.raw, "value": score.value, "error": score.error}
            for name, score in scores.items()
        }
        assert abs(scores["start"].raw - first[one.name]) < 1e-6, (
            "this is not the network that the run began with"
        )
        if scores["end"].values.ndim == 2:
            for other in ("start", "best"):
                difference = brain.paired_difference(scores["end"], scores[other])
                row[f"end - {other}"] = str(difference)
        found[one.name] = row
    return found


def draw(
    courses: dict[str, dict[str, pd.DataFrame]],
    published: pd.DataFrame | None,
    images: dict[str, int],
    path: Path,
) -> None:
    """Above: each score against the epoch. Below: its share of the highest, with the published course over it.

    images: training images an epoch, by run.
    """
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [name for name in PUBLISHED if any(name in course for course in courses.values())]
    titles = {
        "V4": "macaque V4 (r²/c)",
        "V1": "macaque V1 (r²/c)",
        "IT": "human IT, RDM (r)",
        "behaviour": "human choices (kappa/c)",
    }
    figure, axes = plt.subplots(
        2, len(panels), figsize=(3.1 * len(panels), 5.6), layout="constrained", dpi=130
    )
    colours = plt.get_cmap("tab10")
    for column, panel in enumerate(panels):
        above, below = axes[:, column]
        for number, (name, found) in enumerate(courses.items()):
            if panel not in found:
                continue
            rows, colour = found[panel], colours(number)
            above.plot(rows["epoch"], rows["value"], color=colour, label=name, linewidth=1.4)
            if rows["value_error"].notna().any():
                low, high = rows["value"] - rows["value_error"], rows["value"] + rows["value_error"]
                above.fill_between(rows["epoch"], low, high, color=colour, alpha=0.15, linewidth=0)
            seen = rows["epoch"] * images[name]
            below.plot(seen, rows["value"] / rows["value"].max(), color=colour, linewidth=1.4)
        if published is not None:
            rows = published[["epoch", PUBLISHED[panel]]].dropna()
            share = rows[PUBLISHED[panel]] / rows[PUBLISHED[panel]].max()
            below.plot(rows["epoch"] * IMAGENET, share, color="black", linestyle="--", label="published")
        above.set_title(titles.get(panel, panel), fontsize=10)
        above.set_xlabel("epoch")
        above.set_xlim(0, max(found["top-1"]["epoch"].max() for found in courses.values()))
        below.set_xlabel("images seen")
        below.set_xscale("symlog", linthresh=1000)
        below.set_xticks([0, 1e4, 1e6], ["0", "10,000", "1 million"])
        below.set_ylim(0, 1.05)
        for axis in (above, below):
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("score, with standard error")
    axes[1, 0].set_ylabel("share of the highest")
    axes[0, -1].legend(fontsize=7.5, frameon=False)
    if published is not None:
        axes[1, -1].legend(fontsize=7.5, frameon=False)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--published", type=Path, help="the published course, a CSV")
    parser.add_argument("--on", nargs="*", default=[], help="bundles on which start and end are compared")
    arguments = parser.parse_args()
    courses = {
        f"{read_config(run / 'config.yaml')['name']}, {run.name}": course(run) for run in arguments.runs
    }
    published = pd.read_csv(arguments.published) if arguments.published else None
    report: dict[str, Any] = {"date": str(datetime.date.today()), "versions": versions(), "runs": {}}
    benchmarks = open_benchmarks(arguments.on) if arguments.on else []
    for run, (name, found) in zip(arguments.runs, courses.items(), strict=True):
        report["runs"][name] = {panel: told(rows) for panel, rows in found.items()}
        if benchmarks:
            report["runs"][name]["tested"] = tested(run, benchmarks)
    if published is not None:
        columns = {panel: column for panel, column in PUBLISHED.items() if column in published}
        report["runs"]["published"] = {
            panel: told(published[["epoch", column]].dropna().rename(columns={column: "value"}))
            for panel, column in columns.items()
        }
    keys = (
        "first",
        "lowest",
        "lowest_epoch",
        "highest",
        "highest_epoch",
        "last",
        "half_of_rise",
        "nine_tenths_of_rise",
    )
    table = Table("run", "score", *(key.replace("_", " ") for key in keys))
    for name, rows in report["runs"].items():
        for panel in PUBLISHED:
            if panel in rows:
                table.add_row(name, panel, *(f"{rows[panel][key]:.3g}" for key in keys))
    console.print(table)
    for name, rows in report["runs"].items():
        for benchmark, row in rows.get("tested", {}).items():
            console.print(name, benchmark, json.dumps(row, default=float), highlight=False)
    atomic_write(RESULTS / "brain_trajectory.json", json.dumps(report, indent=1, default=float) + "\n")
    images = {
        name: json.loads((run / "finished.json").read_text())["train_images"]
        for run, name in zip(arguments.runs, courses, strict=True)
    }
    draw(courses, published, images, RESULTS / "brain_trajectory.png")


if __name__ == "__main__":
    main()
