"""Draw the learning curves of several runs in one picture.

python benchmarks/plot_runs.py runs/tiny_z/seed0 runs/tiny_s/seed0 --out benchmarks/results/tiny.png
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from cornet.report.curves import plot_curves
from cornet.runs.config import read_config


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--title", default="")
    arguments = parser.parse_args()
    runs = {
        read_config(run / "config.yaml")["name"]: pd.read_csv(run / "metrics.csv") for run in arguments.runs
    }
    summaries = [json.loads((run / "finished.json").read_text()) for run in arguments.runs]
    plot_curves(runs, arguments.out, chance=summaries[0]["chance"], title=arguments.title)


if __name__ == "__main__":
    main()
