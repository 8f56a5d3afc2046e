"""Does one network that learns heads and objects at once use different units for the two?

    python benchmarks/dual_task.py --seeds 0 1 2 --twins 0
    python benchmarks/dual_task.py --dual runs/dual_task/seed0 runs/dual_task/seed1 --alone runs/dual_task/*/seed0

1. Trains `experiment=dual_task` for each seed, and for the seeds of --twins the network of each task alone; what is
   finished is kept. Lesions are those that the callback measured, or are measured now from a run's best checkpoint.
2. Accuracy on test images: of both tasks in the dual network, over all classes and among the classes of the task, and
   of the twins. Intervals over seeds by Student's t.
3. Segregation at each layer, of the two tasks and of random halves of all classes in the same networks.

Writes results/dual_task.json. The images are rendered: a stand-in for photographs.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from record import write_record

import cornet
from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.instantiate import make
from cornet.lesions import LesionStudy, choose_places, find_places, segregation_table
from cornet.lesions.callback import read_images
from cornet.lesions.study import TASKS
from cornet.report.statistics import mean_interval

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SETTINGS = ("images", "shares", "group", "halves", "random", "rows", "seed")


def trained(root: Path, seed: int, *overrides: str) -> Path:
    """The folder of a run, trained if it is not there."""
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "experiment=dual_task",
        f"seed={seed}",
        f"root={root}",
        *overrides,
    ]
    subprocess.run([*command, "trainer=cpu"], check=True)
    only = next((one.partition("=")[2] for one in overrides if one.startswith("data.only=")), "null")
    for path in sorted((root / "dual_task").rglob(f"seed{seed}/config.yaml")):
        found = OmegaConf.load(path)
        if str(found.data.get("only") or "null") == only and (path.parent / "finished.json").is_file():
            return path.parent
    raise SystemExit(f"no finished run of seed {seed} with data.only={only} in {root}")


def opened(folder: Path) -> tuple[Any, Any, Any]:
    """Network, images and configuration of a run."""
    config = OmegaConf.load(folder / "config.yaml")
    net = cornet.load_run(str(folder)).model(trust=True)
    return getattr(net, "net", net).eval(), make(config.data, "data"), config


def normalised(source: Any, images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(one).view(-1, 1, 1) for one in (source.mean, source.std))
    return (images.float() / 255 - mean) / std


def lesions_of(folder: Path) -> pd.DataFrame:
    """lesions.csv of a run; measured now if it is missing."""
    path = folder / "lesions.csv"
    if not path.is_file():
        net, source, config = opened(folder)
        default = OmegaConf.load(ROOT / "conf" / "experiment" / "dual_task.yaml").callbacks.lesions
        settings = {key: default[key] for key in SETTINGS if key != "seed"} | {"seed": config.seed}
        train = read_images(source.shown(), settings["images"], source.groups)
        study = LesionStudy(
            train, read_images(source.test()), source.groups, lambda x: normalised(source, x), **settings
        )
        places = choose_places(find_places(net, source.size), list(default.layers))
        atomic_write(path, csv_text(study.run(net, places)))
    return pd.read_csv(path)


@torch.no_grad()
def test_accuracy(folder: Path) -> float:
    """Top-1 on the test images of a run's data."""
    net, source, _ = opened(folder)
    test = read_images(source.test())
    return float((net(normalised(source, test.images)).argmax(1).numpy() == test.labels).mean())


def estimate(values: Any) -> dict[str, Any]:
    """Mean, 95 % interval over seeds, and the values."""
    found = mean_interval(values)
    numbers = [round(float(one), 4) if np.isfinite(one) else None for one in values]
    known = {key: getattr(found, key) for key in ("mean", "low", "high")}
    return {key: one if np.isfinite(one) else None for key, one in known.items()} | {"seeds": numbers}


def summarise(tables: dict[int, pd.DataFrame]) -> dict[str, Any]:
    """Accuracies, and drops and segregation at each place, over seeds."""
    every = pd.concat([segregation_table(table).assign(seed=seed) for seed, table in tables.items()])
    places: dict[str, Any] = {}
    for place, rows in every.groupby("place", sort=False):
        tasks, halves = rows[rows["grouping"] == TASKS], rows[rows["grouping"] != TASKS]
        controls = halves.groupby("seed")["segregation"].mean()
        difference = tasks.set_index("seed")["segregation"] - controls
        columns = [name for name in tasks if name.startswith(("drop_", "random_"))]
        places[str(place)] = {
            "units": int(rows["units"].iloc[0]),
            "silenced": int(rows["silenced"].iloc[0]),
            "segregation": estimate(tasks["segregation"].to_numpy(float)),
            "segregation_halves": estimate(controls.to_numpy(float)),
            "difference": estimate(difference.to_numpy(float)),
            "drops": {name: estimate(tasks[name].to_numpy(float)) for name in columns},
            "drops_halves": {name: estimate(halves[name].to_numpy(float)) for name in columns},
        }
    accuracy = {}
    for task in dict.fromkeys(next(iter(tables.values())).query("grouping == 'tasks'")["group"]):
        first = [
            table[(table["grouping"] == TASKS) & (table["group"] == task)].iloc[0]
            for table in tables.values()
        ]
        accuracy[str(task)] = {
            "all classes": estimate([float(one["accuracy_before"]) for one in first]),
            "own classes": estimate([float(one["within_before"]) for one in first]),
        }
    return {"accuracy": accuracy, "places": places}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--twins", type=int, nargs="*", default=[], help="seeds of the networks of one task")
    parser.add_argument(
        "--dual", type=Path, nargs="*", default=[], help="finished runs of both tasks, not --seeds"
    )
    parser.add_argument("--alone", type=Path, nargs="*", default=[], help="finished runs of one task")
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine")
    parser.add_argument("--out", type=Path, default=RESULTS / "dual_task.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    dual = args.dual or [trained(args.runs, seed) for seed in args.seeds]
    found = summarise({number: lesions_of(folder) for number, folder in enumerate(dual)})
    tasks = list(found["accuracy"])
    alone = args.alone or [
        trained(args.runs, seed, f"data.only={task}") for task in tasks for seed in args.twins
    ]
    twins: dict[str, list[float]] = {}
    for folder in alone:
        twins.setdefault(str(OmegaConf.load(folder / "config.yaml").data.only), []).append(
            test_accuracy(folder)
        )
    found["twins"] = {task: estimate(values) for task, values in twins.items()}
    write_record(args.out, torch.device("cpu"), args.beside, seconds=round(time.monotonic() - begin), **found)
    for place, one in found["places"].items():
        means = [one[key]["mean"] for key in ("segregation", "segregation_halves")]
        print(f"{place:10s} segregation {means[0]:.2f}, random halves {means[1]:.2f}")


if __name__ == "__main__":
    main()
