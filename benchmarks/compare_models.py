"""Rank filters, HMAX, CORnets, BL, BLT and ResNet-18 on recorded brains, and measure their transfer.

    python benchmarks/compare_models.py --images tiny-imagenet-75 --bundles V4-a V4-b V1 92images choices --held-out 50

images: a folder with train/<class>/ and val/<class>/. The last --held-out classes are left out of the training and used
for transfer. Networks are trained by `train.py` with experiment=tiny_z, tiny_s and tiny_rt and the same recipe; a
stopped program goes on where it was. Then one ranking, as `cornet score ... --rank` makes it. Writes
results/compare_models.json, and the page beside the runs.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.transfer import TransferBenchmark
from cornet.brain.ranking import rank
from cornet.brain.subjects import open_subject
from cornet.files import atomic_write
from cornet.report.ranking.report import accuracy_of, write_ranking
from cornet.runs.provenance import versions

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"

NARROW = ("model.width=0.25",)
TINY = ("data=tiny_imagenet", "recipe=small", "brain=none")
TRAININGS = {
    "cornet_z": ("experiment=tiny_z",),
    "cornet_r": ("experiment=tiny_rt", "model=cornet_r", *NARROW),
    "cornet_rt": ("experiment=tiny_rt",),
    "cornet_s": ("experiment=tiny_s",),
    "bl": ("model=bl", "model.times=4", *NARROW, *TINY),
    "blt": ("model=blt", "model.times=4", *NARROW, *TINY),
    "resnet18": ("model=own", "model._target_=torchvision.models.resnet18", *TINY),
}
"""By name, the overrides of each training."""

LAYERS = {"V1": "net.layer1", "V2": "net.layer2", "V4": "net.layer2", "IT": "net.layer3"}
"""Of ResNet-18."""


def split_classes(images: Path, work: Path, held_out: int) -> tuple[Path, Path]:
    """Folders of links: the classes to train on, and those held out for transfer."""
    classes = sorted(path.name for path in (images / "train").iterdir())
    parts = {"trained": classes[: len(classes) - held_out], "held-out": classes[len(classes) - held_out :]}
    for name, chosen in parts.items():
        for split in ("train", "val"):
            (work / name / split).mkdir(parents=True, exist_ok=True)
            for one in chosen:
                link = work / name / split / one
                if not link.exists():
                    os.symlink((images / split / one).resolve(), link)
    return work / "trained", work / "held-out"


def train(name: str, images: Path, work: Path, epochs: int | None) -> Path:
    """Train a network, or go on; the folder of its run. A finished run is not trained again by a later version."""
    folder = work / "runs" / name / "seed0"
    if (folder / "finished.json").is_file():
        return folder
    overrides = [*TRAININGS[name], f"name={name}", f"root={work / 'runs'}", f"data.folder={images}"]
    overrides += [] if epochs is None else [f"recipe.epochs={epochs}"]
    subprocess.run([sys.executable, str(ROOT / "train.py"), *overrides], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--bundles", required=True, nargs="+")
    parser.add_argument("--held-out", type=int, default=50)
    parser.add_argument("--only", nargs="*", default=list(TRAININGS), choices=list(TRAININGS))
    parser.add_argument("--epochs", type=int, help="default: those of the experiment")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--work", type=Path, default=Path("compare_models"))
    given = parser.parse_args()
    work = given.work.absolute()
    trained, held_out = split_classes(given.images, work, given.held_out)
    runs = {name: train(name, trained, work, given.epochs) for name in given.only}

    texts = ["pixels", "gabor", "hmax", *map(str, runs.values())]
    texts += [f"{path}?untrained" for path in runs.values()]
    subjects = []
    for text in texts:
        own = {"trust": True, "regions": LAYERS} if "resnet18" in text else {}
        subjects.append(open_subject(text, size=given.size, **own))
    benchmarks = open_benchmarks(given.bundles)
    start = time.perf_counter()
    for subject in subjects:  # recordings first, so that the time below is that of the comparisons
        for benchmark in benchmarks:
            subject.record(benchmark.stimuli, benchmark.sites(subject), benchmark.degrees)
    recorded = time.perf_counter()
    ranking = rank(subjects, benchmarks, named=given.bundles)
    compared = time.perf_counter()
    accuracies = {subject.name: accuracy_of(subject.name) for subject in subjects}
    page = write_ranking(ranking, accuracies, work / "ranking")
    print(f"ranking: recording {recorded - start:.0f} s, comparing {compared - recorded:.1f} s; {page}")
    table = ranking.table()
    print(table[["rank", "model", "mean", "low", "high", "groups"]].to_string(index=False))

    transferred = {}
    for subject in subjects:
        score = TransferBenchmark(held_out, shots=(1, 5), seeds=10).run(subject)
        few = {one.k: (one.accuracy, one.low, one.high) for one in score.details["few_shot"]}
        transferred[subject.name] = {
            "top1": (score.raw, score.details["low"], score.details["high"]),
            "few_shot": few,
            "C": score.details["C"],
        }
        print(f"transfer {subject.name}: {score.raw:.3f}, C={score.details['C']:g}", flush=True)

    short = {subject.name: subject.name.replace(f"{work}/", "") for subject in subjects}
    rows = table.replace({"model": short}).to_dict("records")
    content = {
        "date": datetime.date.today().isoformat(),
        "settings": {"bundles": [Path(one).name for one in given.bundles], "size": given.size},
        "versions": versions(),
        "seconds": {"recording": recorded - start, "comparing": compared - recorded},
        "ranking": rows,
        "accuracies": {short[name]: value for name, value in accuracies.items()},
        "transfer": {short[name]: value for name, value in transferred.items()},
        "failures": {f"{short[m]}, {b}": why for (m, b), why in ranking.failures.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(content, indent=1, default=lambda v: float(v) if isinstance(v, np.number) else str(v))
    atomic_write(RESULTS / "compare_models.json", text + "\n")


if __name__ == "__main__":
    main()
