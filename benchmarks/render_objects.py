"""How fast the rendered objects are made.

    python benchmarks/render_objects.py

One process, one thread; each setting renders the same images several times over, the settings in turn, so
that a neighbour on the machine slows all alike. The best round is what the code costs, the median what the
machine gave. Takes half a minute. Writes results/render_objects.json.
"""

import argparse
import datetime
import json
import os
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cornet.runs.provenance import versions
from cornet.stimuli.objects import RENDERER_VERSION, RenderedObjects, draw_latents, render
from cornet.stimuli.samples import Key, collate

RESULTS = Path(__file__).parent / "results" / "render_objects.json"
SETTINGS = {
    "64 px, 1 ray a pixel": {"size": 64, "antialias": 1},
    "64 px, 2 x 2": {"size": 64, "antialias": 2},
    "64 px, 3 x 3": {"size": 64, "antialias": 3},
    "128 px, 2 x 2": {"size": 128, "antialias": 2},
    "224 px, 2 x 2": {"size": 224, "antialias": 2},
}


def images_per_second(images: int, rounds: int) -> dict[str, list[float]]:
    """Of every round of every setting, after one round to warm up."""
    latents = draw_latents(images, variation=0.5)
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for turn in range(rounds + 1):
        for name, setting in SETTINGS.items():
            start = time.perf_counter()
            render(latents, **setting)
            if turn:
                rates[name].append(images / (time.perf_counter() - start))
    return rates


def loading(rounds: int) -> list[float]:
    """Milliseconds for a training batch of 64 images of 64 pixels, augmented and collated."""
    train = RenderedObjects(train_images=512, val_images=8, cache=False).train()
    times = []
    for epoch in range(rounds * 10):
        start = time.perf_counter()
        collate(train.__getitems__([Key(7 * k % 512, epoch) for k in range(64)]))
        times.append((time.perf_counter() - start) * 1e3)
    return times[10:]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    rates = images_per_second(arguments.images, arguments.rounds)
    batches = loading(arguments.rounds)

    table = Table(title=f"images/s, one thread, {arguments.images} images, {arguments.rounds} rounds")
    for column in ("", "best", "median", "worst"):
        table.add_column(column, justify="right" if column else "left")
    for name, values in rates.items():
        table.add_row(name, f"{max(values):.0f}", f"{statistics.median(values):.0f}", f"{min(values):.0f}")
    console = Console()
    console.print(table)
    console.print(f"a training batch of 64: {statistics.median(batches):.2f} ms (best {min(batches):.2f})")

    report = {
        "what": "rendered objects: images a second in one process and thread; variation 0.5, mixed backgrounds",
        "date": datetime.date.today().isoformat(),
        "renderer_version": RENDERER_VERSION,
        "images": arguments.images,
        "rounds": arguments.rounds,
        "load_average_before": round(load_before, 2),
        "made_with": versions(),
        "images_per_second": {
            name: {
                "best": round(max(values), 1),
                "median": round(statistics.median(values), 1),
                "worst": round(min(values), 1),
            }
            for name, values in rates.items()
        },
        "training_batch_of_64_ms": {
            "best": round(min(batches), 3),
            "median": round(statistics.median(batches), 3),
        },
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
