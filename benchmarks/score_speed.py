"""How long comparisons take, beside scikit-learn's own loop in the same run.

    python benchmarks/score_speed.py                     # two cores: about ten minutes, most of it scikit-learn's
    python benchmarks/score_speed.py --device cuda       # ours on a GPU; scikit-learn's loop stays on the CPU
    python benchmarks/score_speed.py --skip reference    # ours alone: half a minute
    python benchmarks/score_speed.py --skip wide gpu-size --busy 4    # beside four processes that never rest

| work, 10 splits | size | reference | target |
|---|---|---|---|
| pls, narrow | 2,560 x 1,000 -> 168 | measured here, all 10 splits | 12 times faster |
| pls, wide (CORnet-S's IT) | 2,560 x 25,088 -> 168 | one split measured, times 10 | 60 times; 15 s; memory 3 x |
| ceiling | 20 x 400 x 30 | 1.4 s, recorded | 100 times |
| i2n and its ceiling | 240 images, 24 objects, 14,400 trials | 8 s, recorded | 100 times |
| V4 and IT of CORnet-S (50,176 and 25,088 features) | 2,560 stimuli, 88 and 168 neuroids | - | 3 s on a GPU |

Memory: the process's peak over the features' size, features included. The recorded constants are the reference
package's (brainscore-vision 2.4.2), which cannot be installed beside this one. Ours and the reference take turns;
figures are medians. Object solution times have their own program, ost_speed.py. Writes results/score_speed.json.
"""

import argparse
import atexit
import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.cross_decomposition import PLSRegression

from cornet import brain
from cornet.brain.metrics.splits import make_splits
from cornet.runs.provenance import versions

RESULTS = Path(__file__).parent / "results" / "score_speed.json"
RECORDED = {"ceiling": 1.4, "i2n": 8.0}
STIMULI, NEUROIDS = 2560, 168


def population(features: int, neuroids: int = NEUROIDS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rectified features and noisy responses that share 60 latent variables of falling strength."""
    rng = np.random.default_rng(seed)
    latent = (rng.standard_normal((STIMULI, 60)) / np.sqrt(np.arange(1, 61))).astype(np.float32)
    X = latent @ rng.standard_normal((60, features), dtype=np.float32)
    X += 0.3 * rng.standard_normal((STIMULI, features), dtype=np.float32)
    Y = latent @ rng.standard_normal((60, neuroids)) + 2 * rng.standard_normal((STIMULI, neuroids))
    return np.maximum(X, 0, out=X), Y


def trials(images: int = 240, objects: int = 24, number: int = 14_400) -> tuple[pd.DataFrame, np.ndarray]:
    """Binary choices, and a model's probabilities."""
    rng = np.random.default_rng(0)
    truth = np.arange(images) % objects
    image = rng.integers(0, images, number)
    distractor = (truth[image] + rng.integers(1, objects, number)) % objects
    right = rng.random(number) < 0.6 + 0.4 * rng.random((images, objects))[image, distractor]
    names = np.array([f"object{k:02d}" for k in range(objects)])
    table = pd.DataFrame(
        {
            "stimulus_id": np.array([f"im{k:03d}" for k in range(images)])[image],
            "sample": names[truth[image]],
            "distractor": names[distractor],
            "choice": names[np.where(right, truth[image], distractor)],
        }
    )
    logits = rng.standard_normal((images, objects)) + 2 * np.eye(objects)[truth]
    return table, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def scikit_learn(X: np.ndarray, Y: np.ndarray, splits: int) -> np.ndarray:
    """The reference's loop: a fit and a prediction per split, r per neuroid."""
    rows = []
    for train, test in make_splits(len(X))[:splits]:
        model = PLSRegression(n_components=25, scale=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predicted = model.fit(X[train], Y[train]).predict(X[test])
        rows.append([np.corrcoef(predicted[:, k], Y[test][:, k])[0, 1] for k in range(Y.shape[1])])
    return np.array(rows)


def timed(work: Callable[[], object], device: str) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def resident_mb(field: str) -> float:
    """VmRSS: memory that the process holds now; VmHWM: the most since `forget_peak`. Linux; else NaN. MB."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return float("nan")


def forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def summary(ours: list[float], reference: list[float] | float | None, note: str = "") -> dict[str, object]:
    figures: dict[str, object] = {
        "ours_s": [round(t, 4) for t in ours],
        "ours_median_s": statistics.median(ours),
    }
    if reference is not None:
        base = statistics.median(reference) if isinstance(reference, list) else reference
        figures |= {"reference_s": reference, "ratio": base / statistics.median(ours)}
    return figures | ({"note": note} if note else {})


def pls(features: int, rounds: int, splits: int, with_reference: bool, device: str) -> dict[str, object]:
    """Ours on all splits and scikit-learn on `splits` of them, in turns; and how far they differ."""
    X, Y = population(features)
    ours, reference, difference, peaks = [], [], 0.0, []
    for number in range(rounds):
        forget_peak()
        before = resident_mb("VmRSS")
        seconds, score = timed(lambda: brain.neural_predictivity(X, Y, device=device), device)
        ours.append(seconds)
        peaks.append(resident_mb("VmHWM") - before)
        if with_reference and (splits == 10 or number == 0):
            wide = X.astype(np.float64)
            seconds, values = timed(lambda wide=wide: scikit_learn(wide, Y, splits), "cpu")
            reference.append(seconds * 10 / splits)
            difference = float(np.abs(values - score.values[:splits]).max())  # type: ignore[attr-defined]
            del wide
    note = "" if splits == 10 else f"reference: {splits} of 10 splits measured, times {10 // splits}"
    figures = summary(ours, reference or None, note)
    size = X.nbytes / 1e6
    figures |= {"features_mb": size, "peak_rise_mb": max(peaks), "peak_over_features": 1 + max(peaks) / size}
    return figures | ({"largest_difference_of_r": difference} if reference else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=[], choices=["reference", "wide", "narrow", "gpu-size"])
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--busy", type=int, default=0, help="start this many processes that never rest")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for _ in range(arguments.busy):
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        atexit.register(busy.kill)
    device, both = arguments.device, "reference" not in arguments.skip
    load = os.getloadavg()[0]
    small = population(64)
    brain.neural_predictivity(
        small[0][:400], small[1][:400], device=device
    )  # what is loaded once per process
    figures: dict[str, dict[str, object]] = {}

    def report(name: str, found: dict[str, object]) -> None:
        figures[name] = found
        print(f"{name}: {json.dumps(found)}", flush=True)

    if "wide" not in arguments.skip:
        report("pls 2560 x 25088 -> 168", pls(25_088, arguments.rounds, 1, both, device))
    if "narrow" not in arguments.skip:
        report("pls 2560 x 1000 -> 168", pls(1000, arguments.rounds, 10, both, device))
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((1, 400, 30)) + rng.standard_normal((20, 400, 30))
    rounds = range(5 * arguments.rounds)
    each = [timed(lambda: brain.internal_consistency(responses), "cpu")[0] for _ in rounds]
    report("ceiling 20 x 400 x 30", summary(each, RECORDED["ceiling"], "reference: recorded"))
    table, probabilities = trials()
    ids, choices = np.unique(table["stimulus_id"]), np.unique(table["sample"])

    def behaviour() -> None:
        brain.i2n(probabilities, choices, ids, table)
        brain.i2n_ceiling(table)

    each = [timed(behaviour, "cpu")[0] for _ in rounds]
    report("i2n and ceiling, 240 images, 14400 trials", summary(each, RECORDED["i2n"], "reference: recorded"))
    if "gpu-size" not in arguments.skip:
        v4, it = population(50_176, 88), population(25_088, NEUROIDS, seed=1)
        if device.startswith("cuda"):
            v4, it = ((torch.from_numpy(X).to(device), Y) for X, Y in (v4, it))  # as recorded there

        def areas() -> None:
            for X, Y in (v4, it):
                brain.neural_predictivity(X, Y, device=device)

        seconds = [timed(areas, device)[0] for _ in range(arguments.rounds)]
        report("V4 50176 -> 88 and IT 25088 -> 168", summary(seconds, None))
    gpu = {"gpu": torch.cuda.get_device_name()} if device.startswith("cuda") else {}
    content = {
        "what": "seconds of comparisons of made-up data; reference: scikit-learn's loop, or the recorded one",
        "date": datetime.date.today().isoformat(),
        "device": device,
        **gpu,
        "threads": arguments.threads,
        "load_average_before": load,
        "beside": arguments.beside,
        "busy_processes": arguments.busy,
        "made_with": versions(),
        "work": figures,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
