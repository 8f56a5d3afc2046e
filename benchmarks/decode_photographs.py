"""How fast photographs become training samples: our path against torchvision's ImageFolder with Pillow.

    python benchmarks/decode_photographs.py PHOTOGRAPHS.zip        # or a folder; any tree of JPEG files

Both start from the file's bytes in memory and end with a (3, 224, 224) uint8 tensor: decode, random resized
crop, flip. One process, one thread, the two in turn; medians over rounds, with the quartiles. Takes 15 s for
100 photographs. Writes results/decode_photographs.json.
"""

import argparse
import datetime
import io
import json
import statistics
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torchvision.transforms import v2

from cornet.runs.provenance import versions
from cornet.stimuli.decode import decode_image
from cornet.stimuli.geometry import center_view, random_box, random_generator, resize_crop

RESULTS = Path(__file__).parent / "results" / "decode_photographs.json"
SIZE = 224


def read_all(source: Path) -> list[bytes]:
    """All JPEG files of a zip or a folder."""
    extensions = (".jpg", ".jpeg")
    if source.is_dir():
        return [p.read_bytes() for p in sorted(source.rglob("*")) if p.suffix.lower() in extensions]
    with zipfile.ZipFile(source) as archive:
        return [archive.read(n) for n in archive.namelist() if n.lower().endswith(extensions)]


def ours_train(data: bytes, index: int, epoch: int) -> torch.Tensor:
    image = decode_image(data)
    rng = random_generator(0, epoch, index)
    box = random_box(image.shape[0], image.shape[1], rng)
    return resize_crop(image, box, SIZE, flip=bool(rng.random() < 0.5))


def ours_decode(data: bytes, index: int, epoch: int) -> np.ndarray:
    return decode_image(data)


def ours_val(data: bytes, index: int, epoch: int) -> torch.Tensor:
    return center_view(decode_image(data), SIZE, 256)


def pillow(data: bytes) -> Image.Image:
    """As torchvision's ImageFolder opens a file."""
    return Image.open(io.BytesIO(data)).convert("RGB")


TRAIN = v2.Compose([v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.PILToTensor()])
VAL = v2.Compose([v2.Resize(256), v2.CenterCrop(SIZE), v2.PILToTensor()])

PATHS: dict[str, dict[str, Callable[[bytes, int, int], object]]] = {
    "decode": {"cornet": ours_decode, "torchvision": lambda data, index, epoch: pillow(data)},
    "train": {"cornet": ours_train, "torchvision": lambda data, index, epoch: TRAIN(pillow(data))},
    "val, center": {"cornet": ours_val, "torchvision": lambda data, index, epoch: VAL(pillow(data))},
}


def measure(files: list[bytes], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds per image: {path: {whose: {median, lower, upper}}}, each round over all files."""
    times: dict[tuple[str, str], list[float]] = {(p, w): [] for p, both in PATHS.items() for w in both}
    for epoch in range(rounds + 1):
        for path, whose in times:
            run = PATHS[path][whose]
            start = time.perf_counter()
            for index, data in enumerate(files):
                run(data, index, epoch)
            if epoch:  # the first round warms up
                times[path, whose].append((time.perf_counter() - start) * 1e3 / len(files))
    results: dict[str, dict[str, dict[str, float]]] = {path: {} for path in PATHS}
    for (path, whose), values in times.items():
        lower, median, upper = statistics.quantiles(values, n=4)
        figures = {"median": median, "lower": lower, "upper": upper}
        results[path][whose] = {name: round(value, 4) for name, value in figures.items()}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="zip or folder of JPEG files")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = read_all(arguments.source)
    results = measure(files, arguments.rounds)

    pixels = [image.shape[0] * image.shape[1] for image in map(decode_image, files)]
    about = f"{len(files)} files, {np.mean(pixels) / 1e6:.2f} megapixels and {np.mean([*map(len, files)]) / 1e3:.0f} kB"
    table = Table(
        title=f"ms an image, one thread: {about} on average; median (quartiles) of {arguments.rounds}"
    )
    for column in ("", "cornet", "torchvision", "times as fast", "cornet, images/s"):
        table.add_column(column, justify="right" if column else "left")
    for path, by in results.items():
        cells = [f"{by[w]['median']:.2f} ({by[w]['lower']:.2f}-{by[w]['upper']:.2f})" for w in by]
        ours, theirs = by["cornet"]["median"], by["torchvision"]["median"]
        table.add_row(path, *cells, f"{theirs / ours:.2f}", f"{1e3 / ours:.0f}")
    Console(width=110).print(table)

    report = {
        "what": "milliseconds an image, one process and one thread, from bytes in memory",
        "date": datetime.date.today().isoformat(),
        "files": {
            "count": len(files),
            "mean_megapixels": round(float(np.mean(pixels)) / 1e6, 4),
            "mean_bytes": round(float(np.mean([*map(len, files)]))),
        },
        "size": SIZE,
        "rounds": arguments.rounds,
        "made_with": versions(),
        "ms": results,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
