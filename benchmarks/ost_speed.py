"""How long object solution times take at the size of the public benchmark.

    python benchmarks/ost_speed.py                       # both decoders on two threads: about a minute and a half
    python benchmarks/ost_speed.py --device cuda
    python benchmarks/ost_speed.py --images 300 --features 2000 --out /tmp/trial.json     # a short trial

1,318 images x 25,088 features (CORnet-S's IT), 18 time bins of two distinct states, 10 splits, 10 objects; made-up
rectified features with a weak signal. The time is that of the public function: finding the identical bins, decoding,
d', crossings, correlation and 1,000 resamples. How soon the reference decoder's classifiers stop depends on the data,
so it is timed twice: as published, and through all 40 epochs, the longest it can take. Targets: reference under 180 s
on two CPU cores and 10 s on a GPU, optimum under 60 s on two cores. Writes results/ost_speed.json.
"""

import argparse
import datetime
import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from cornet.brain import object_solution_times
from cornet.brain.metrics.solution_times import reference_decoder, time_decoders
from cornet.runs.provenance import versions

RESULTS = Path(__file__).parent / "results" / "ost_speed.json"
OBJECTS = 10
BINS = 18


def made_up(images: int, features: int) -> dict[str, object]:
    """Two states of rectified features, the later with more of a signal, and targets for every image."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, OBJECTS, images)
    centers = rng.standard_normal((OBJECTS, features), np.float32)
    states = []
    for gain in (0.02, 0.06):
        state = rng.standard_normal((images, features), np.float32)
        state += gain * centers[labels]
        states.append(np.maximum(state, 0, out=state))
    return {
        "features": [states[0]] * 10 + [states[1]] * (BINS - 10),
        "labels": labels,
        "target_ost": rng.uniform(80, 200, images),
        "threshold_i1": rng.uniform(0.5, 3, images),
        "time_bin_start": 70 + 10 * np.arange(BINS),
    }


def peak_mb() -> float:
    """The process's largest resident memory so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def measure(data: dict[str, object], decoder: str, stop: bool, device: str, memory: int) -> dict[str, object]:
    """Seconds of one whole call, and what it came to."""
    before = os.getloadavg()[0]
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    if not stop:
        time_decoders.reference_probabilities = never_stopping
    try:
        score = object_solution_times(**data, decoder=decoder, device=device, memory=memory)  # type: ignore[arg-type]
    finally:
        time_decoders.reference_probabilities = reference_decoder.reference_probabilities
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "load_average_before": round(before, 2),
        "load_average_after": round(os.getloadavg()[0], 2),
        "accuracy_first_last": [round(float(score.details["accuracy"][k]), 4) for k in (0, -1)],
        "peak_process_mb": round(peak_mb()),
        **(
            {"peak_gpu_mb": round(torch.cuda.max_memory_allocated() / 1e6)}
            if device.startswith("cuda")
            else {}
        ),
    }


def never_stopping(*args: object, **options: object) -> object:
    """The reference decoder through all of its 40 epochs."""
    return reference_decoder.reference_probabilities(*args, **options, stop=0.0)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1318)
    parser.add_argument("--features", type=int, default=25088)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--decoder", choices=("reference", "optimum", "both"), default="both", help="what to time"
    )
    parser.add_argument("--memory", type=int, default=time_decoders.MEMORY, help="bytes for working arrays")
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = made_up(arguments.images, arguments.features)
    features_mb = round(8 * arguments.images * arguments.features / 1e6)
    start_mb = round(peak_mb())
    print(f"two states: {features_mb} MB; the process before: {start_mb} MB", flush=True)

    runs = {
        "optimum": ("optimum", True),
        "reference, as published": ("reference", True),
        "reference, all 40 epochs": ("reference", False),
    }
    figures = {}
    for name, (decoder, stop) in runs.items():
        if arguments.decoder in (decoder, "both"):
            figures[name] = measure(data, decoder, stop, arguments.device, arguments.memory)
            print(f"{name}: {json.dumps(figures[name])}", flush=True)

    report = {
        "what": "seconds of object_solution_times on made-up features, one call each",
        "date": datetime.date.today().isoformat(),
        "size": {
            "images": arguments.images,
            "features": arguments.features,
            "bins": BINS,
            "distinct": 2,
            "splits": 10,
            "objects": OBJECTS,
        },
        "device": arguments.device,
        "threads": arguments.threads,
        "memory_limit_bytes": arguments.memory,
        "features_mb": features_mb,
        "process_mb_before": start_mb,
        "beside": arguments.beside,
        "made_with": versions(),
        "runs": figures,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
