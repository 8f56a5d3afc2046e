"""Images a second that one core makes ready for training: our loader against torchvision's ImageFolder with Pillow.

    python benchmarks/loader_throughput.py imagenet-100-originals.zip      # or a folder with train/<class>/

Both read files, decode, draw a random resized crop of 224 pixels, mirror half of them, and stack uint8 batches, in one
process with one thread. Ours also from smaller copies by `cornet prepare` (short side 256; long side 500) and from
LitData shards, in turn within each round; medians over rounds with the quartiles, by the clock and by the processor's
time, which other processes on the machine disturb less. The files are in memory (read once before). Takes 30 s for 100
photographs. Writes results/loader_throughput.json.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder as TorchvisionFolder
from torchvision.transforms import v2

from cornet.runs.provenance import versions
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.prepare import prepare_copy, write_shards
from cornet.training.loaders import ImageLoaders

RESULTS = Path(__file__).parent / "results" / "loader_throughput.json"
SIZE, BATCH = 224, 50
TARGETS = {"cornet, originals": 1.3, "cornet, copy with short side 256": 2.5}
BASE = "torchvision + Pillow, originals"


def unpack(source: Path, target: Path) -> Path:
    """train/ of a zip or folder, and val/ with the same images, which is not measured."""
    if source.is_dir():
        shutil.copytree(source / "train", target / "train")
    else:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(target, [n for n in archive.namelist() if n.startswith("train/")])
    shutil.copytree(target / "train", target / "val")
    return target


def torchvision_loader(folder: Path) -> DataLoader:
    transform = v2.Compose([v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.PILToTensor()])
    images = TorchvisionFolder(str(folder / "train"), transform)
    return DataLoader(images, BATCH, shuffle=True, num_workers=0, drop_last=True)


def loaders(originals: Path, work: Path) -> dict[str, Callable[[int], Iterable[object]]]:
    """{name: epoch -> batches}; makes the copies and shards."""
    made = {
        "cornet, originals": ImageFolder(originals, size=SIZE),
        "cornet, copy with short side 256": ImageFolder(copy(originals, work, "short", 256), size=SIZE),
        "cornet, copy with long side 500": ImageFolder(copy(originals, work, "long", 500), size=SIZE),
    }
    write_shards("imagenet", originals, work / "shards", per_shard=32, processes=1)
    made["cornet, shards of originals"] = ImageShards(work / "shards", size=SIZE)

    def ours(source: ImageFolder) -> Callable[[int], Iterable[object]]:
        loader = ImageLoaders(source, batch_size=BATCH, workers=0).train_dataloader()

        def batches(epoch: int) -> Iterable[object]:
            loader.sampler.set_epoch(epoch)
            return loader

        return batches

    theirs = torchvision_loader(originals)
    theirs_copy = torchvision_loader(work / "short256")
    return {
        BASE: lambda epoch: theirs,
        "torchvision + Pillow, copy with short side 256": lambda epoch: theirs_copy,
        **{name: ours(source) for name, source in made.items()},
    }


def copy(originals: Path, work: Path, side: str, pixels: int) -> Path:
    target = work / f"{side}{pixels}"
    prepare_copy("imagenet", originals, target, side=side, pixels=pixels, processes=1)
    return target


def measure(
    made: dict[str, Callable[[int], Iterable[object]]], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """{name: {"clock": images a second in each round, "processor": the same by the processor's time}}."""
    rates: dict[str, dict[str, list[float]]] = {name: {"clock": [], "processor": []} for name in made}
    for epoch in range(rounds + 1):
        for name, batches in made.items():
            clock, processor, images = time.perf_counter(), time.process_time(), 0
            for batch in batches(epoch):
                images += len(batch[0])
            if epoch:  # the first round warms up
                rates[name]["clock"].append(images / (time.perf_counter() - clock))
                rates[name]["processor"].append(images / (time.process_time() - processor))
    return rates


def summary(rates: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Median and quartiles of the rates and of each round's ratio to torchvision on originals."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, by in rates.items():
        result[name] = {}
        for kind, values in by.items():
            ratios = [mine / base for mine, base in zip(values, rates[BASE][kind], strict=True)]
            result[name][kind] = quartiles(values, 1)
            result[name][f"{kind}_ratio"] = quartiles(ratios, 3)
    return result


def quartiles(values: list[float], digits: int) -> dict[str, float]:
    lower, median, upper = statistics.quantiles(values, n=4)
    return {"median": round(median, digits), "lower": round(lower, digits), "upper": round(upper, digits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="zip or folder with train/<class>/")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as work:
        originals = unpack(arguments.source, Path(work) / "originals")
        made = loaders(originals, Path(work))
        results = summary(measure(made, arguments.rounds))
        folders = {
            "originals": originals,
            "short 256": Path(work) / "short256",
            "long 500": Path(work) / "long500",
        }
        sizes = {
            name: round(statistics.mean(p.stat().st_size for p in (folder / "train").rglob("*.*")))
            for name, folder in folders.items()
        }

    table = Table(title=f"images/s of one core: median (quartiles) of {arguments.rounds} rounds")
    for column in ("", "by the clock", "ratio", "by the processor's time", "ratio", "target"):
        table.add_column(column, justify="right" if column else "left")
    for name, by in results.items():
        cells = []
        for kind in ("clock", "processor"):
            rate, ratio = by[kind], by[f"{kind}_ratio"]
            cells.append(f"{rate['median']:.0f} ({rate['lower']:.0f}-{rate['upper']:.0f})")
            cells.append(f"{ratio['median']:.2f} ({ratio['lower']:.2f}-{ratio['upper']:.2f})")
        table.add_row(name, *cells, f"{TARGETS[name]}" if name in TARGETS else "")
    Console(width=150).print(table)
    print(f"bytes an image: {sizes}; load before: {load:.1f} on {os.cpu_count()} cores")

    report = {
        "what": "images a second, read, decoded, augmented and stacked, by one process with one thread",
        "date": datetime.date.today().isoformat(),
        "bytes_an_image": sizes,
        "size": SIZE,
        "rounds": arguments.rounds,
        "load_before": round(load, 2),
        "cores": os.cpu_count(),
        "made_with": versions(),
        "images_per_second": results,
        "targets": TARGETS,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
