"""Ridge with a chosen penalty: ours beside scikit-learn (which the reference calls) and himalaya.

    OMP_NUM_THREADS=1 python benchmarks/ridge_cv.py --rounds 3

Each method runs in a process of its own, in turn, on the same made-up data of natural size: features with a power-law
spectrum, float32, and responses that follow them. Reported are medians: processor and wall seconds of fit and
prediction, and the peak of memory above the loaded arrays. himalaya is left out if it is not installed; it has another
criterion (k-fold, a penalty per target), so only its time is compared. Writes results/ridge_cv.json.
"""

import argparse
import datetime
import json
import resource
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cornet.files import atomic_write
from cornet.runs.provenance import versions

RESULTS = Path(__file__).parent / "results"

CASES = {
    "one split": ("ours", "scikit-learn", "himalaya"),
    "four regions": ("ours", "scikit-learn"),
    "ten splits": ("ours", "scikit-learn"),
}


def made_up(stimuli: int, width: int, neuroids: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (stimulus, feature) float32 and responses (stimulus, neuroid), the same each time."""
    rng = np.random.default_rng(0)
    rank = min(stimuli, 400)
    scale = 100 * np.arange(1, rank + 1) ** -0.7
    latent = rng.standard_normal((stimuli, rank)) * scale
    X = np.empty((stimuli, width), np.float32)
    for start in range(0, width, 1024):
        stop = min(start + 1024, width)
        X[:, start:stop] = latent @ rng.standard_normal((rank, stop - start)) / np.sqrt(rank)
        X[:, start:stop] += rng.standard_normal((stimuli, stop - start))
    Y = latent @ rng.standard_normal((rank, neuroids)) / 100 + 2 * rng.standard_normal((stimuli, neuroids))
    return X, Y


def peak() -> int:
    """Bytes of the largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compute(method: str, case: str, X: np.ndarray, Y: np.ndarray) -> dict[str, object]:
    """Run one method; the median r over neuroids and the penalties."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import ShuffleSplit

    from cornet.brain import neural_predictivity
    from cornet.brain.metrics.ridge_cv import as_penalties

    count = 10 if case == "ten splits" else 1
    splits = list(ShuffleSplit(count, train_size=0.9, random_state=1).split(X))
    regions = np.repeat(np.arange(4), Y.shape[1]) if case == "four regions" else np.zeros(Y.shape[1], int)
    if case == "four regions":
        Y = np.concatenate([np.roll(Y, 7 * k, axis=1) + k for k in range(4)], axis=1)
    if method == "ours":
        score = neural_predictivity(X, Y, "ridgecv", splits=splits, alpha_per="subject", subjects=regions)
        alphas = score.details["alphas"]
        return {"r": score.raw, "alphas": sorted(set(alphas.ravel()))}
    found, alphas = [], set()
    for train, test in splits:
        for region in np.unique(regions):
            own = Y[:, regions == region]
            if method == "scikit-learn":
                model = RidgeCV(as_penalties(None)).fit(X[train], own[train])
                alphas.add(float(model.alpha_))
            else:
                from himalaya.kernel_ridge import KernelRidgeCV

                model = KernelRidgeCV(alphas=np.logspace(-10, 10, 21), cv=5).fit(
                    X[train] - X[train].mean(axis=0), own[train] - own[train].mean(axis=0)
                )
            predicted = model.predict(X[test] - (0 if method == "scikit-learn" else X[train].mean(axis=0)))
            r = [np.corrcoef(predicted[:, k], own[test, k])[0, 1] for k in range(own.shape[1])]
            found.append(np.median(r))
    return {"r": float(np.mean(found)), "alphas": sorted(alphas)}


def one(method: str, case: str, size: list[int]) -> None:
    """Measure in this process, and print JSON."""
    import sklearn.linear_model  # noqa: F401

    import cornet.brain.metrics.predictivity  # noqa: F401

    X, Y = made_up(*size)
    before, wall, processor = peak(), time.perf_counter(), time.process_time()
    found = compute(method, case, X, Y)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - processor}
    print(json.dumps({**seconds, "memory": peak() - before, **found}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=3, default=[2560, 25088, 168])
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(*given.one, given.size)
        return
    rows = []
    for case in given.cases:
        methods = [name for name in CASES[case] if name != "himalaya" or find_spec("himalaya")]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
        for _ in range(given.rounds):
            for name in methods:
                words = [sys.executable, __file__, "--size", *map(str, given.size), "--one", name, case]
                runs[name].append(
                    json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
                )
                print(case, name, runs[name][-1], flush=True)
        for name, found in runs.items():
            middle = {
                key: statistics.median(one[key] for one in found) for key in ("wall", "cpu", "memory", "r")
            }
            rows.append({"case": case, "method": name, **middle, "alphas": found[0]["alphas"], "runs": found})
            print(
                f"{case}, {name}: cpu {middle['cpu']:.1f} s, wall {middle['wall']:.1f} s, "
                f"{middle['memory'] / 1e6:.0f} MB"
            )
    content = {
        "date": datetime.date.today().isoformat(),
        "size": given.size,
        "versions": versions(),
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    atomic_write(RESULTS / "ridge_cv.json", json.dumps(content, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
