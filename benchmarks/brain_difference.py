"""How far the comparisons with brains are from the reference's values (brainscore-vision 2.4.2).

    python benchmarks/brain_difference.py          # ten seconds
    python benchmarks/brain_difference.py --seeds 10

Largest absolute difference in any split, neuroid, image or choice; and, for object solution times, what other random
starts of the reference's decoder give, among which the published draw is one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))

from cornet import brain
from tests.helpers.brain.golden_comparisons import golden

TARGETS = {"read-out probabilities": 1e-5, "solution times": 1e-3}


def predictivity() -> dict[str, float]:
    neural = golden("neural")
    found = {}
    for name, features, metric, stratified in (
        ("pls", "features", "pls", True),
        ("pls_wide", "wide_features", "pls", True),
        ("pls_unstratified", "features", "pls", False),
        ("ridge", "features", "ridge", True),
        ("linear_predictivity", "features", "linear", True),
        ("neuron_to_neuron", "features", "neuron_to_neuron", True),
    ):
        strata = neural["object_name"] if stratified else None
        score = brain.neural_predictivity(neural[features], neural["responses"], metric, stratify=strata)  # type: ignore[arg-type]
        found[name] = np.abs(score.values - neural[f"{name}/raw"]).max()
    ceiling = golden("ceiling")
    found["ceiling"] = np.abs(brain.internal_consistency(ceiling["responses"]).values - ceiling["raw"]).max()
    found["RDM"] = abs(brain.rdm_similarity(neural["features"], neural["responses"]) - neural["rdm"])
    for name, unbiased in (("cka", True), ("cka_biased", False)):
        found[name] = abs(
            brain.cka(neural["features"], neural["responses"], unbiased=unbiased) - neural[name]
        )
    return found


def behaviour() -> dict[str, float]:
    g = golden("behavior")
    columns = {"stimulus_id": "stimulus", "sample": "sample", "distractor": "distractor", "choice": "choice"}
    trials = pd.DataFrame({name: g[f"trial_{key}"] for name, key in columns.items()})
    fitted, _ = brain.readout_probabilities(g["fit_features"], g["fit_labels"], g["test_features"])
    p, choices, ids = g["probabilities"], g["choices"], g["test_ids"]
    values, names = brain.i1(p, choices, ids, g["test_truth"])
    order = [list(names).index(name) for name in g["i1_ids"]]
    e = golden("error_consistency")
    consistency = brain.error_consistency(e["model_choice"], e["subject_choice"], e["truth"], e["condition"])
    return {
        "read-out probabilities": np.abs(fitted - p).max(),
        "i2n": np.abs(brain.i2n(p, choices, ids, trials).values - g["i2n/raw"]).max(),
        "i2n ceiling": np.abs(brain.i2n_ceiling(trials).values - g["i2n_ceiling/raw"]).max(),
        "i1": np.abs(values[order] - g["i1"]).max(),
        "error consistency": abs(consistency.raw - e["score"]),
        "its ceiling": abs(consistency.ceiling - e["ceiling"]),
    }


def averaging() -> dict[str, float]:
    g = golden("averaging")
    names = ("variation", "object_name", "stimulus_id", "repetition")
    coords = {name: ("presentation", g[name]) for name in names}
    mean = brain.average_repetitions(xr.DataArray(g["values"], coords, ("presentation", "neuroid")))
    assert list(mean.coords["stimulus_id"].values) == list(g["mean_stimulus_id"])
    return {"averaged repetitions": float(np.nanmax(np.abs(mean.values - g["mean"])))}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="random starts of the solution times' decoder")
    arguments = parser.parse_args()
    o = golden("ost")
    data = (o["features"], o["labels"], o["target_ost"], o["threshold_i1"], o["time_bin_start"])
    score = brain.object_solution_times(*data, initial_weights=o["initial_weights"])
    times = {"solution times": float(np.abs(score.values - o["raw"]).max())}
    for name, difference in {**averaging(), **predictivity(), **behaviour(), **times}.items():
        target = TARGETS.get(name, 1e-9)
        print(
            f"{name:24} {difference:8.1e}   (target {target:.0e}){'' if difference <= target else '  MISSED'}"
        )
    seeds = range(arguments.seeds)
    others = brain.object_solution_times(*data, seed=0, seeds=tuple(seeds)).details["raw_by_seed"]
    optimum = brain.object_solution_times(*data, decoder="optimum")
    print(f"solution times of seeds 0 to {seeds[-1]}: {', '.join(f'{value:.3f}' for value in others)}")
    below = int((others < score.raw).sum())
    print(f"mean {others.mean():.3f}, standard deviation {others.std(ddof=1):.3f} (ddof 1)")
    print(
        f"the published draw: {score.raw:.3f}, above {below} of {len(others)}; at the optimum: {optimum.raw:.3f}"
    )


if __name__ == "__main__":
    main()
