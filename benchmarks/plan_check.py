"""Is what `train.py plan=true` says true? The plan of a run beside the run itself.

    python benchmarks/plan_check.py                                    # the embedded demo, two epochs
    python benchmarks/plan_check.py experiment=tiny_s recipe.epochs=2  # any overrides of train.py
    python benchmarks/plan_check.py --scaling                          # the table of docs/scaling.md, from given rates

Plan and run follow each other --rounds times; medians are shown. The run's figures are its own log's: images per second
(training steps alone, without an epoch's first) and the seconds from one epoch's end to the next, its brain scores,
validation and checkpoint included. Adds to results/plan_check.json.
"""

import argparse
import datetime
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from cornet.files import atomic_write
from cornet.runs.metrics import read_metrics
from cornet.runs.provenance import versions
from cornet.terminal import duration
from cornet.training.plan import Hardware, Measured, Plan, plan_training

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "plan_check.json"
EPOCHS = 2

console = Console(width=140)


def planned(overrides: list[str]) -> dict[str, float]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        told = plan_training(compose("config", overrides))
    return {
        "images_per_second": told.images_per_second,
        "epoch_s": told.epoch,
        "brain_s": told.brain,
    }


def ran(overrides: list[str]) -> dict[str, float]:
    """A run of its own process: what it logged."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, str(ROOT / "train.py"), *overrides, f"root={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        wall = time.perf_counter() - start
        (path,) = Path(folder).glob("**/seed*/metrics.csv")
        metrics = read_metrics(path)
    seconds = []
    for whole, part, unit in re.findall(
        r"^epoch .*  ([\d.]+):?(\d\d)? (s|min|h)$", done.stdout, re.MULTILINE
    ):  # 4.5 s, 1:05 min, 3:20 h
        seconds.append((float(whole) + int(part or 0) / 60) * {"s": 1, "min": 60, "h": 3600}[unit])
    found = {
        "images_per_second": float(metrics["train/images_per_second"].dropna().median()),
        "epoch_s": statistics.median(seconds),
        "wall_s": wall,
    }
    if "brain/seconds" in metrics:
        found["brain_s"] = float(metrics["brain/seconds"].dropna().median())
    return found


def scaling(images_per_second: float) -> None:
    """Weak scaling in a stated model: nothing here was measured."""
    measured = Measured(
        step=256 / images_per_second,
        batch=256,
        forward=1 / images_per_second / 3,
        core=500,
        image_bytes=110_000,
        gradient_bytes=4 * 53_416_616,
        at_once=True,
    )
    table = Table(
        "GPUs",
        "machines",
        "images/s",
        "step",
        "held up by",
        "ImageNet, an epoch",
        "a billion images, an epoch",
    )
    for devices in (1, 2, 4, 8, 16, 64, 256, 1024):
        hardware = Hardware(devices=devices, cores=128, storage=5e9, link=3e11, network=2.5e10)
        rows = [
            Plan(measured=measured, hardware=hardware, train_images=n, val_images=0, epochs=1)
            for n in (1_281_167, 10**9)
        ]
        table.add_row(
            f"{devices:,}",
            f"{hardware.machines:,}",
            f"{rows[0].images_per_second:,.0f}",
            f"{1000 * rows[0].step:,.1f} ms",
            rows[0].bottleneck,
            *(duration(row.epoch) for row in rows),
        )
    console.print(f"given {images_per_second:,.0f} images/s a GPU; none was measured", table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="as of train.py")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the results")
    parser.add_argument(
        "--scaling", type=float, nargs="?", const=3500.0, help="images/s that a GPU is taken to do"
    )
    arguments = parser.parse_args()
    if arguments.scaling:
        scaling(arguments.scaling)
        return
    overrides = arguments.overrides or [f"recipe.epochs={EPOCHS}"]
    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(arguments.rounds):
        rounds.append({"plan": planned(overrides), "run": ran(overrides)})
        console.print(rounds[-1])
    figures: dict[str, Any] = {
        side: {name: statistics.median(one[side][name] for one in rounds) for name in rounds[0][side]}
        for side in ("plan", "run")
    }
    for name in ("images_per_second", "epoch_s"):
        console.print(f"{name}: plan {figures['plan'][name]:.4g}, run {figures['run'][name]:.4g}")
    entry = {
        "date": str(datetime.date.today()),
        "overrides": overrides,
        "rounds": len(rounds),
        "beside": arguments.beside,
        **figures,
        "versions": versions(),
    }
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[" ".join(overrides)] = entry
    atomic_write(RESULTS, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
