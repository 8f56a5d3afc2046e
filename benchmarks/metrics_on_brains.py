"""Recorded brains by the metrics of 2026: do they agree on the order of models? Nothing simulated.

    OMP_NUM_THREADS=1 python benchmarks/metrics_on_brains.py --data my-bundles \\
        --models pixels gabor 'runs/tiny_s/seed0?untrained' runs/tiny_s/seed0

Reads bundles that the project does not contain: macaque V4 (Cowley et al. 2023), macaque V1 (Henaff et al. 2021) and
macaque IT spikes (Zhang et al. 2011). V4 and V1 of a network are its areas. Each cell is the raw score with its
standard error over splits. The control has the responses shuffled over stimuli. Writes results/metrics_on_brains.json
and .png; what it means stands in LOG.md.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from record import write_record
from scipy.stats import kendalltau

import cornet
from cornet import brain
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.base import rows_of
from cornet.brain.metrics.neural.registry import neural_metric
from cornet.files import atomic_write

matplotlib.use("Agg")

RESULTS = Path(__file__).parent / "results"
SESSIONS = ("190925", "210224", "210225", "210305", "210322", "210325")
V4 = {name: f"cowley2023-V4-{name}" for name in SESSIONS}
V1 = {name: f"henaff2021-V1-{name}" for name in ("ay3_u001", "ay4_u001")}
METRICS = ("pls", "ridgecv", "reverse_pls", "one_to_one", "semi")


def compared(
    data: Path, models: Sequence[str], sessions: dict[str, str], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each session, model and metric."""
    rows = []
    for session, folder in sessions.items():
        opened = open_benchmarks([str(data / folder)], metric=list(metrics))
        for model in models:
            table = cornet.score(model, on=opened, progress=False)
            for _, row in table.iterrows():
                one = {key: row[key] for key in ("metric", "raw", "error", "ceiling", "n", "seconds")}
                rows.append({"session": session, "model": label(model), **one})
                print(
                    f"{session} {label(model)} {row['metric']}: {row['raw']:.3f} +- {row['error']:.3f}",
                    flush=True,
                )
    return rows


def shuffled(data: Path, model: str, session: str, metrics: Sequence[str]) -> dict[str, float]:
    """Raw scores of a model with the responses of other stimuli."""
    found = {}
    subject = brain.open_subject(model)
    for benchmark in open_benchmarks([str(data / session)], metric=list(metrics)):
        (site,) = benchmark.sites(subject)
        recording = subject.record(benchmark.stimuli, [site], benchmark.degrees)
        responses = benchmark.responses
        features = rows_of(recording, site, benchmark.stimuli, responses.stimulus_ids)
        order = np.random.default_rng(0).permutation(len(responses.mean))
        mean = responses.mean[order]
        found[benchmark.metric] = neural_metric(benchmark.metric).score(features, mean, benchmark.splits).raw
    return found


def orders(rows: list[dict[str, Any]], models: Sequence[str]) -> list[dict[str, Any]]:
    """For each session the order of the models by each metric, and Kendall's tau with that by pls."""
    found = []
    for session in dict.fromkeys(row["session"] for row in rows):
        scores = {
            metric: [row["raw"] for row in rows if (row["session"], row["metric"]) == (session, metric)]
            for metric in dict.fromkeys(row["metric"] for row in rows)
        }
        first = next(iter(scores.values()))
        for metric, values in scores.items():
            order = [label(models[k]) for k in np.argsort(values)[::-1]]
            tau = float(kendalltau(values, first).statistic)
            found.append({"session": session, "metric": metric, "order": order, "tau": tau})
    return found


def spikes(data: Path) -> dict[str, Any]:
    """What the object and its position explain of the spikes in each bin, and how half of IT predicts the other half.

    Both halves have neurons of different sessions: within a session, slow changes of the rate are shared, which
    predicts even before onset. Trials of different sessions share only their condition.
    """
    assembly = brain.load_assembly(data / "zhang2011-IT-spikes")
    counts = assembly.values.astype(float)
    complete = np.isfinite(counts).all(axis=(0, 2))
    counts = counts[:, complete]
    starts = assembly.coords["time_bin_start"].values.astype(float)
    width = 5
    whole = len(starts) // width
    binned = counts[:, :, : whole * width].reshape(*counts.shape[:2], whole, width).sum(axis=3)
    edges = np.stack([starts[: whole * width : width], starts[: whole * width : width] + 50], axis=1)
    objects, places = (assembly.coords[name].values.astype(str) for name in ("object_name", "position"))
    both = np.char.add(objects, places)
    responses = binned.transpose(2, 0, 1)  # (bin, trial, neuroid)
    states = {"object[0]": one_hot(objects), "position[0]": one_hot(places), "both[0]": one_hot(both)}
    found = brain.temporal_predictivity(states, responses, edges, "ridgecv", stratify=both)
    names = assembly.coords["neuroid_id"].values.astype(str)[complete]
    sessions, session = np.unique([name.partition("spk")[0] for name in names], return_inverse=True)
    first = np.isin(session, np.random.default_rng(0).permutation(len(sessions))[: len(sessions) // 2])
    halves = np.flatnonzero(first), np.flatnonzero(~first)
    sites = {f"half[{k}]": responses[k][:, halves[0]] for k in range(whole)}
    across = brain.temporal_predictivity(sites, responses[:, :, halves[1]], edges, "ridgecv", stratify=both)
    return {
        "neuroids": int(complete.sum()),
        "left_out": int((~complete).sum()),
        "trials": len(counts),
        "bins": edges.tolist(),
        "states": {site.layer: found.raw[k].tolist() for k, site in enumerate(found.sites)},
        "errors": {site.layer: found.error[k].tolist() for k, site in enumerate(found.sites)},
        "onset": {area: interval(found.onset(area)) for area in found.areas},
        "peak": {area: interval(found.peak(area)) for area in found.areas},
        "across": across.raw.tolist(),
    }


def interval(latency: Any) -> list[float]:
    return [latency.value, latency.low, latency.high]


def one_hot(labels: NDArray[np.str_]) -> NDArray[np.float64]:
    return (labels[:, None] == np.unique(labels)).astype(float)


def label(model: str) -> str:
    """A short name: of a run, its folder's."""
    name, _, state = model.partition("?")
    path = Path(name)
    run = path.parent.name if path.name.startswith("seed") else path.name
    return f"{run}{' untrained' if state else ''}"


def draw(found: dict[str, Any], path: Path) -> None:
    """Scores of V4 by metric and session, and IT over time."""
    import matplotlib.pyplot as plt

    rows = found["V4"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    figure = plt.figure(figsize=(3 * len(metrics), 6.8), layout="constrained")
    above, below = figure.subfigures(2, 1)
    axes = above.subplots(1, len(metrics))
    for metric, one in zip(metrics, axes, strict=True):
        for session in dict.fromkeys(row["session"] for row in rows):
            part = {row["model"]: row for row in rows if (row["metric"], row["session"]) == (metric, session)}
            y, error = ([part[name][key] for name in models] for key in ("raw", "error"))
            one.errorbar(range(len(models)), y, error, marker="o", markersize=3, linewidth=1, label=session)
        one.set_xticks(range(len(models)), models, rotation=35, ha="right", fontsize=7)
        one.set_title(f"V4 by {metric}", fontsize=9)
        one.axhline(0, color="0.8", linewidth=0.8)
    axes[0].set_ylabel("raw score")
    axes[-1].legend(fontsize=6, title="session", title_fontsize=6)
    it = found["IT"]
    edges = np.array(it["bins"])
    curve, matrix = below.subplots(1, 2)
    for name, values in it["states"].items():
        curve.errorbar(edges.mean(axis=1), values, it["errors"][name], label=name, linewidth=1)
    curve.axvline(0, color="0.7", linewidth=0.8)
    curve.set(xlabel="ms after onset", ylabel="r with single trials")
    curve.set_title("IT spikes from conditions", fontsize=9)
    curve.legend(fontsize=7)
    span = [edges[0, 0], edges[-1, 1]]
    shown = matrix.imshow(it["across"], origin="lower", extent=[*span, *span], aspect="auto", cmap="viridis")
    matrix.set(xlabel="predicted bin, ms", ylabel="predicting bin, ms")
    matrix.set_title("half of IT from the other half", fontsize=9)
    below.colorbar(shown, ax=matrix, label="r")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with the bundles")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--beside", default="nothing known", help="what else ran on the machine")
    parser.add_argument("--out", type=Path, default=RESULTS / "metrics_on_brains.json")
    given = parser.parse_args()
    found: dict[str, Any] = {"IT": spikes(given.data)}
    found["V4"] = compared(given.data, given.models, V4, METRICS)
    found["V1"] = compared(given.data, given.models, V1, ("ridgecv",))
    found["orders"] = orders(found["V4"], given.models) + orders(found["V1"], given.models)
    found["shuffled"] = {
        label(model): shuffled(given.data, model, V4["210325"], METRICS) for model in given.models
    }
    write_record(given.out, torch.device("cpu"), given.beside, **json.loads(json.dumps(found, default=float)))
    picture = given.out.with_suffix(".png")
    draw(found, picture.with_suffix(".part.png"))
    atomic_write(picture, picture.with_suffix(".part.png").read_bytes())
    picture.with_suffix(".part.png").unlink()


if __name__ == "__main__":
    main()
