"""Does alignment to recorded neurons help on neurons, images and sessions that training has not seen?

    python benchmarks/aligned_training.py --bundle BUNDLE:V4 --sessions OTHER:V4 ANOTHER:V4 --runs runs/aligned \
        --train experiment=tiny_s data.folder=FOLDER recipe.epochs=5

Trains, for each seed, the plain twin (weight 0), the aligned network and the control with shuffled responses, all with
the same held-out stimuli and neuroids; runs that are there already are not repeated. Then the last checkpoints predict
held-in and held-out neuroids on held-out stimuli (PLS fitted on held-in stimuli), and the other sessions (ten splits).
Differences from the plain twin are paired by neuroid, with a bootstrap over neuroids of the mean over seeds.
Results go to results/aligned_training.json under --name.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import write_record

from cornet.brain.benchmarks import open_benchmarks, run_battery
from cornet.brain.data.same_images import image_keys
from cornet.brain.subjects.open import open_subject
from cornet.losses.recorded_target import open_recorded
from cornet.runs.score_tables import NUMBER, TEXT, read_table

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(__file__).parent / "results" / "aligned_training.json"
LOSS = "losses.recordings"
DRAWS = 10_000


def variants(weights: list[float], measure: str) -> dict[str, list[str]]:
    aligned = {f"{measure} {weight:g}": [f"{LOSS}.weight={weight}"] for weight in weights}
    control = {
        f"{measure} {weights[-1]:g}, shuffled": [f"{LOSS}.weight={weights[-1]}", f"{LOSS}.shuffled=true"]
    }
    return {"plain": [f"{LOSS}.weight=0"], **aligned, **control}


def trained(name: str, changes: list[str], seed: int, arguments: argparse.Namespace) -> Path:
    """The folder of a run, trained if it is not finished."""
    plain_name = name.replace(" ", "-").replace(",", "")
    folder = Path(arguments.runs) / plain_name / f"seed{seed}"
    if not (folder / "finished.json").is_file():
        fixed = [
            "losses=recordings",
            f"{LOSS}.bundle={arguments.bundle}",
            f"{LOSS}.measure={arguments.measure}",
        ]
        places = [f"root={arguments.runs}", f"name={plain_name}", f"seed={seed}"]
        command = [sys.executable, str(ROOT / "train.py"), *arguments.train, *fixed, *changes, *places]
        subprocess.run(command, check=True, cwd=ROOT)
    found = [path.parent for path in (Path(arguments.runs) / plain_name).glob(f"**/seed{seed}/finished.json")]
    return found[0]


def similar(target: Any) -> list[Any]:
    """CKA of held-in and held-out neuroids on held-out stimuli."""
    found = target.benchmarks(None, "cka")
    for one in found:
        one.name += "-cka"
    return found


def seen_stimuli(other: Any, target: Any) -> tuple[int, int]:
    """How many stimuli of another session show an image that the alignment has used, and the number of all."""
    own, theirs = target.benchmark, other
    keys = image_keys(own.stimuli, own.responses.stimulus_ids)
    used = {keys[k] for k in target.stimuli[0]}
    shown = image_keys(theirs.stimuli, theirs.responses.stimulus_ids)
    return sum(key in used for key in shown), len(shown)


def per_neuroid(score: Any) -> NDArray[np.float64]:
    """Raw values (neuroid,), the mean over splits; one value for a metric without neuroids."""
    values = np.asarray(score.values, float)
    if values.ndim < 2:
        return np.array([score.raw])
    return np.nanmean(values.reshape(-1, values.shape[-1]), axis=0)


def measured(run: Path, benchmarks: list[Any]) -> dict[str, NDArray[np.float64]]:
    subject = open_subject(f"{run}?last")
    return {one.benchmark.name: per_neuroid(one.score) for one in run_battery([subject], benchmarks)}


def difference(ours: list[NDArray[Any]], plain: list[NDArray[Any]]) -> dict[str, Any]:
    """The mean difference over neuroids and seeds, its interval over neuroids, and the mean of each seed."""
    gaps = np.array(ours) - np.array(plain)  # (seed, neuroid)
    mean = gaps.mean(axis=0)
    rng = np.random.default_rng(0)
    drawn = mean[rng.integers(0, len(mean), (DRAWS, len(mean)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    by_seed = [round(float(one.mean()), 4) for one in gaps]
    return {
        "difference": round(float(mean.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "difference_by_seed": by_seed,
    }


def accuracy(run: Path) -> float:
    table = read_table(
        run / "metrics.csv", {"epoch": NUMBER, "val/top1": NUMBER, "stage": TEXT}, needs=("val/top1",)
    )
    assert table is not None
    return float(table["val/top1"].dropna().iloc[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--sessions", nargs="*", default=[])
    parser.add_argument("--train", nargs="*", default=[], help="overrides of train.py")
    parser.add_argument("--weights", nargs="+", type=float, default=[1.0])
    parser.add_argument("--measure", default="cka", choices=("cka", "regression"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--beside", default="nothing")
    arguments = parser.parse_args()
    target = open_recorded(arguments.bundle)
    others = [one for text in arguments.sessions for one in open_benchmarks([text])]
    seen = {one.name: seen_stimuli(one, target) for one in others}
    found: dict[str, dict[str, list[Any]]] = {}
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for name, changes in variants(arguments.weights, arguments.measure).items():
            run = trained(name, changes, seed, arguments)
            held = [*target.benchmarks(None, "pls"), *similar(target)]
            for benchmark, values in measured(run, [*held, *others]).items():
                found.setdefault(benchmark, {}).setdefault(name, []).append(values)
            found.setdefault("top-1", {}).setdefault(name, []).append(np.array([accuracy(run)]))
    for benchmark, by_name in found.items():
        for name, values in by_name.items():
            means = [round(float(np.nanmean(one)), 4) for one in values]
            row = {
                "benchmark": benchmark,
                "variant": name,
                "mean": round(float(np.mean(means)), 4),
                "by_seed": means,
            }
            row["neuroids"] = len(values[0])
            if benchmark in seen:
                row["stimuli_seen_in_training"], row["stimuli"] = seen[benchmark]
            if name != "plain" and len(values[0]) > 1:
                row |= difference(values, by_name["plain"])
            rows.append(row)
            print(json.dumps(row))
    known = json.loads(OUT.read_text()).get("results", {}) if OUT.is_file() else {}
    settings = {"train": [Path(one).name if "/" in one else one for one in arguments.train]}
    settings |= {
        "bundle": Path(arguments.bundle).name,
        "measure": arguments.measure,
        "weights": arguments.weights,
    }
    known[arguments.name] = {**settings, "rows": rows}
    write_record(OUT, torch.device("cpu"), arguments.beside, results=known)


if __name__ == "__main__":
    main()
