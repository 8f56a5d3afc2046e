"""Time and memory of the comparisons of 2026, beside scikit-learn (which the reference calls), himalaya and POT.

    OMP_NUM_THREADS=1 python benchmarks/comparisons.py --rounds 3       # all cases; --list names them
    OMP_NUM_THREADS=2 python benchmarks/comparisons.py --cases "five subjects" "TVSD subset" --rounds 1

Each method runs in a process of its own, in turn, on the same made-up data of natural size: features with a power-law
spectrum, float32, and responses that follow them. Reported are medians: processor and wall seconds of fit and
prediction, and the peak of memory above the loaded arrays. himalaya is left out if it is not installed; it has another
criterion (k-fold, a penalty per target), so only its time is compared. Results are added to results/comparisons.json
by case and number of threads.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import write_record

OUT = Path(__file__).parent / "results" / "comparisons.json"

Found = dict[str, Any]
Method = Callable[[NDArray[Any], NDArray[Any]], Found]


def made_up(stimuli: int, width: int, neuroids: int) -> tuple[NDArray[Any], NDArray[Any]]:
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


def random_splits(count: int, stimuli: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """As in `cornet.brain.metrics.splits`: 90 % for training."""
    from sklearn.model_selection import ShuffleSplit

    return list(ShuffleSplit(count, train_size=0.9, random_state=1).split(np.zeros(stimuli)))


def last_rows(count: int, stimuli: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """One split whose test set is the last `count` stimuli, at most a third."""
    count = min(count, stimuli // 3)
    return [(np.arange(stimuli - count), np.arange(stimuli - count, stimuli))]


def groups_of(Y: NDArray[Any], count: int) -> NDArray[Any]:
    """Labels (neuroid,) of `count` subjects or regions of equal size."""
    return np.arange(Y.shape[1]) * count // Y.shape[1]


def ridge_ours(X: NDArray[Any], Y: NDArray[Any], splits: Any, groups: int = 1) -> Found:
    from cornet.brain import neural_predictivity

    labels = groups_of(Y, groups)
    score = neural_predictivity(X, Y, "ridgecv", splits=splits(len(X)), alpha_per="subject", subjects=labels)
    return {"r": score.raw, "alphas": np.unique(score.details["alphas"]).tolist()}


def ridge_others(X: NDArray[Any], Y: NDArray[Any], splits: Any, groups: int = 1, name: str = "") -> Found:
    """RidgeCV of scikit-learn or KernelRidgeCV of himalaya, for each split and group."""
    from sklearn.linear_model import RidgeCV

    from cornet.brain.metrics.mapping.ridge_cv import as_penalties

    labels = groups_of(Y, groups)
    medians, alphas = [], set()
    for train, test in splits(len(X)):
        r = np.empty(Y.shape[1])
        for group in range(groups):
            own = Y[:, labels == group]
            if name == "himalaya":
                from himalaya.kernel_ridge import KernelRidgeCV

                center = X[train].mean(axis=0)
                model: Any = KernelRidgeCV(alphas=np.logspace(-10, 10, 21), cv=5)
                model.fit(X[train] - center, own[train] - own[train].mean(axis=0))
                predicted = model.predict(X[test] - center)
            else:
                model = RidgeCV(as_penalties(None)).fit(X[train], own[train])
                alphas.add(float(model.alpha_))
                predicted = model.predict(X[test])
            both = [np.corrcoef(predicted[:, k], own[test, k])[0, 1] for k in range(own.shape[1])]
            r[labels == group] = both
        medians.append(np.median(r))
    return {"r": float(np.mean(medians)), "alphas": sorted(alphas)}


def reverse_ours(X: NDArray[Any], Y: NDArray[Any], splits: Any) -> Found:
    from cornet.brain import reverse_predictivity

    return {"r": reverse_predictivity(X, Y, splits=splits(len(X))).raw}


def reverse_scikit_learn(X: NDArray[Any], Y: NDArray[Any], splits: Any) -> Found:
    from sklearn.cross_decomposition import PLSRegression

    medians = []
    for train, test in splits(len(X)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = PLSRegression(25, scale=False).fit(Y[train], X[train])
        a, b = model.predict(Y[test]), X[test].astype(float)
        a -= a.mean(axis=0)
        b -= b.mean(axis=0)
        medians.append(np.median((a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))))
    return {"r": float(np.mean(medians))}


def match(X: NDArray[Any], Y: NDArray[Any], method: Any, splits: Any) -> Found:
    from cornet.brain import match_units

    return {"r": match_units(X, Y, method, splits=splits(len(X))).raw}


def grid(X: NDArray[Any], Y: NDArray[Any], bins: int, metric: Any, sites: int = 9) -> Found:
    """Bins with the same neuroids, and sites with a part of the features each; ten splits."""
    from cornet.brain import temporal_predictivity

    width, neuroids = X.shape[1] // sites, Y.shape[1] // 30
    states = {f"area[{k}]": X[:, k * width : (k + 1) * width] for k in range(sites)}
    by_bin = Y[:, : bins * neuroids].reshape(len(Y), bins, neuroids).transpose(1, 0, 2)
    edges = np.stack([10.0 * np.arange(bins), 10.0 * np.arange(bins) + 10], axis=1)
    return {"r": float(np.median(temporal_predictivity(states, by_bin, edges, metric).raw))}


@dataclass(frozen=True)
class Case:
    """size: stimuli, features, neuroids. methods: by name."""

    size: tuple[int, int, int]
    methods: dict[str, Method]


ONE, TEN = partial(random_splits, 1), partial(random_splits, 10)
STATIC = (2560, 25_088, 168)
CASES = {
    "one split": Case(
        STATIC,
        {
            "ours": partial(ridge_ours, splits=ONE),
            "scikit-learn": partial(ridge_others, splits=ONE),
            "himalaya": partial(ridge_others, splits=ONE, name="himalaya"),
        },
    ),
    "four regions": Case(
        (2560, 25_088, 4 * 168),
        {
            "ours": partial(ridge_ours, splits=ONE, groups=4),
            "scikit-learn": partial(ridge_others, splits=ONE, groups=4),
        },
    ),
    "ten splits": Case(
        STATIC,
        {"ours": partial(ridge_ours, splits=TEN), "scikit-learn": partial(ridge_others, splits=TEN)},
    ),
    "five subjects": Case(
        (5833 + 371, 25_088, 10_000),
        {"ours": partial(ridge_ours, splits=partial(last_rows, 371), groups=5)},
    ),
    "TVSD subset": Case(
        (5100, 25_088, 1355), {"ours": partial(ridge_ours, splits=partial(last_rows, 100), groups=2)}
    ),
    "reverse PLS": Case(
        STATIC,
        {
            "ours": partial(reverse_ours, splits=TEN),
            "ours, one split": partial(reverse_ours, splits=ONE),
            "scikit-learn, one split": partial(reverse_scikit_learn, splits=ONE),
        },
    ),
    "matching": Case(
        STATIC,
        {
            "semi": partial(match, method="semi", splits=ONE),
            "one to one": partial(match, method="one_to_one", splits=ONE),
            "soft": partial(match, method="soft", splits=ONE),
        },
    ),
    "time grid": Case(
        (640, 9 * 8192, 30 * 60),
        {
            f"{metric}, {bins} bin{'s' * (bins > 1)}": partial(grid, bins=bins, metric=metric)
            for metric in ("ridgecv", "ridge", "pls")
            for bins in (1, 30)
        },
    ),
}


def peak() -> int:
    """Bytes of the largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one(case: str, method: str, size: tuple[int, int, int]) -> None:
    """Measure in this process, and print JSON."""
    import sklearn.linear_model  # noqa: F401

    from cornet import brain

    brain.neural_predictivity, brain.reverse_predictivity, brain.match_units, brain.temporal_predictivity  # noqa: B018
    X, Y = made_up(*size)
    np.linalg.eigh(X[:64, :64].astype(float) @ X[:64, :64].T)  # load the libraries
    before, wall, processor = peak(), time.perf_counter(), time.process_time()
    found = CASES[case].methods[method](X, Y)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - processor}
    print(json.dumps({**seconds, "memory": peak() - before, **found}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--list", action="store_true", help="list the cases and their methods")
    parser.add_argument("--only", nargs="*", help="methods to measure, of all cases")
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes, to try the program")
    parser.add_argument("--beside", default="nothing known", help="what else ran on the machine")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.list:
        for name, case in CASES.items():
            print(f"{name}: {' x '.join(f'{n:,}' for n in case.size)}: {', '.join(case.methods)}")
        return
    if given.one:
        case = CASES[given.one[0]]
        one(*given.one, tuple(max(30, int(given.scale * n)) for n in case.size))  # type: ignore[arg-type]
        return
    threads = torch.get_num_threads()
    rows = json.loads(OUT.read_text())["rows"] if OUT.exists() else []
    for name in given.cases:
        methods = [one for one in CASES[name].methods if one != "himalaya" or find_spec("himalaya")]
        methods = [one for one in methods if given.only is None or one in given.only]
        runs: dict[str, list[dict[str, Any]]] = {method: [] for method in methods}
        for _ in range(given.rounds):
            for method in methods:
                words = [sys.executable, __file__, "--scale", str(given.scale), "--one", name, method]
                output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
                runs[method].append(json.loads(output))
                print(name, method, runs[method][-1], flush=True)
        for method, found in runs.items():
            middle = {
                key: statistics.median(one[key] for one in found) for key in ("wall", "cpu", "memory", "r")
            }
            print(
                f"{name}, {method}: cpu {middle['cpu']:.2f} s, wall {middle['wall']:.2f} s, "
                f"{middle['memory'] / 1e6:.0f} MB, r {middle['r']:.6f}"
            )
            key = {"case": name, "method": method, "threads": threads}
            rows = [row for row in rows if {k: row[k] for k in key} != key]
            rows.append({**key, "size": CASES[name].size, **middle, "runs": found})
        if given.scale == 1:
            write_record(OUT, torch.device("cpu"), given.beside, rows=rows)


if __name__ == "__main__":
    main()
