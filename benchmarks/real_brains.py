"""Networks and image filters against recorded brains: nothing simulated.

    OMP_NUM_THREADS=2 python benchmarks/real_brains.py                       # all parts
    python benchmarks/real_brains.py --models gabor runs/my-run 'runs/my-run?untrained' --data my-bundles

Reads the bundles of shared/data, which the project does not contain: macaque V4 (Cowley et al. 2023), macaque V1
(Henaff et al. 2021), macaque IT spikes (Zhang et al. 2011), human IT (Kriegeskorte et al. 2008), human choices
(Geirhos et al. 2019). The filter bank "gabor" is what the others are measured against; the shuffled control
takes it and the first network. Writes results/real_brains.json; what it means stands in LOG.md.

neural: predictivity by PLS as the benchmarks have it, and by ridge: 5-fold cross-validation, or leaving out one film
    of those that group the stimuli; features standardised over all stimuli; Pearson's r over all left-out
    predictions, median over neuroids. The penalty is fixed at 3,000, or chosen in each training set (one for the
    population) by the error of its own left-out folds or films. Left-out means run against training means, so that
    this r falls below 0 where a penalty is large and nothing is predicted. Beside it stand r after the training mean
    has been taken from predictions and responses ("centred"), and the mean of r within each fold ("within"), which
    alone has the expectation 0 for shuffled responses whatever the penalty.
spikes: decoding of objects over time. rdms: representational similarity. choices: error consistency.
"""

import argparse
import datetime
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from left_out_ridge import (
    FIXED,
    PENALTIES,
    Array,
    correlations,
    fixed_ridge,
    folds_of,
    kernel,
    left_out_ridge,
    pearson,
)
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from cornet import brain
from cornet.brain.benchmarks import NeuralBenchmark, open_benchmarks
from cornet.brain.benchmarks.base import rows_of
from cornet.brain.subjects.subject import Site
from cornet.files import atomic_write
from cornet.runs.provenance import versions

RESULTS = Path(__file__).parent / "results" / "real_brains.json"
RUNS = ("tiny_z", "tiny_s", "tiny_rt", "tiny_z_2018")
MODELS = [
    "pixels",
    "gabor",
    *(f"runs/{run}/seed0{end}" for run in RUNS for end in ("", "?untrained")),
]
NEURAL = (
    "cowley2023-V4-210325",
    "cowley2023-V4-190925",
    "cowley2023-V4-210305",
    "henaff2021-V1-ay3_u001",
    "henaff2021-V1-ay4_u001",
)
PARTS = ("neural", "spikes", "rdms", "choices")
DRAWS = 2000
LEVELS = (2.5, 97.5)

console = Console(width=190)


# ---------------------------------------------------------------- neural bundles


def paired_interval(a: Array, b: Array, rng: np.random.Generator) -> list[float]:
    """Difference of the medians over neuroids, and its 95 % interval over resampled neuroids."""
    rows = rng.integers(0, len(a), (DRAWS, len(a)))
    draws = np.median(a[rows], axis=1) - np.median(b[rows], axis=1)
    return rounded([np.median(a) - np.median(b), *np.percentile(draws, LEVELS)])


def neural(folder: Path, texts: Sequence[str], shuffles: int) -> dict[str, Any]:
    """Every model on every bundle, the shuffled control and the paired differences."""
    report: dict[str, Any] = {}
    for name in NEURAL:
        (one,) = open_benchmarks([str(folder / name)])
        assert isinstance(one, NeuralBenchmark)
        responses = one.responses
        groups = responses.table[one.groups].to_numpy() if one.groups else None
        fold = folds_of(len(responses.mean), groups)
        rows, kept = {}, {}
        for text in texts:
            rows[label(text)], kept[label(text)] = neural_row(one, text, fold)
            console.print(f"{name} {label(text)}: {json.dumps(rows[label(text)]['same'])}", highlight=False)
        rng = np.random.default_rng(0)
        reference = kept["gabor"]
        differences = {}
        for word, r in kept.items():
            base = kept.get(f"{word} untrained")
            pairs = {"gabor": reference} | ({"untrained": base} if base else {})
            differences[word] = {
                f"{which} - {other}, {how}": paired_interval(r[which][how], its[which][how], rng)
                for other, its in pairs.items()
                if word != other
                for which in ("same", "best")
                for how in ("chosen", "chosen within")
            }
        networks = [text for text in texts if "/" in text and "untrained" not in text]
        control = {label(text): shuffled(one, text, fold, shuffles) for text in ("gabor", *networks[:1])}
        report[name] = {
            "stimuli": len(fold),
            "neuroids": responses.mean.shape[1],
            "ceiling": None if one.ceiling is None else rounded(one.ceiling.raw),
            "splits_of_pls": one.split_rule,
            "folds_of_ridge": len(np.unique(fold)),
            "models": rows,
            "differences_of_ridge": differences,
            "shuffled": control,
        }
        report[name]["what_gabor_depends_on"] = experiments(one, "gabor", fold)
        show_neural(name, report[name])
    return report


def neural_row(
    one: NeuralBenchmark, text: str, fold: NDArray[np.intp]
) -> tuple[dict[str, Any], dict[str, dict[str, Array]]]:
    """A model's row; and r of each neuroid by ridge, at the area of the same name and at the best."""
    subject = brain.open_subject(text)
    own = one.sites(subject)[0]
    sites = [site for site in subject.sites() if not site.layer.startswith(("decoder", "logits"))]
    recording = subject.record(one.stimuli, sites)
    Y = one.responses.mean
    scores: dict[Site, dict[str, Any]] = {}
    r: dict[Site, dict[str, Array]] = {}
    for site in sites:
        features = rows_of(recording, site, one.stimuli, one.responses.stimulus_ids)
        score = one.with_site(site).compare(recording, subject)
        found = left_out_ridge(kernel(features), Y[:, None], fold, one.groups is not None)
        by_neuroid = {word: values[0] for word, values in correlations(found, Y[:, None], fold).items()}
        r[site] = by_neuroid
        scores[site] = {
            "site": str(site),
            "features": features.shape[1],
            "pls": rounded(score.raw),
            "pls_error": rounded(score.error),
            "pls_value": rounded(score.value),
            **{f"ridge {word}": rounded(np.median(values)) for word, values in by_neuroid.items()},
            "penalties": sorted({rounded(value) for value in found["penalties"].ravel()}),
        }
    best = {word: max(sites, key=lambda site: scores[site][word]) for word in ("pls", "ridge chosen")}
    row = {
        "same": scores[own],
        "best_pls": scores[best["pls"]],
        "best_ridge": scores[best["ridge chosen"]],
        "sites_tried": len(sites),
        "all": list(scores.values()),
    }
    return row, {"same": r[own], "best": r[best["ridge chosen"]]}


def shuffled(one: NeuralBenchmark, text: str, fold: NDArray[np.intp], number: int) -> dict[str, Any]:
    """Scores of responses whose rows are permuted, `number` times: mean, standard error over permutations, and z."""
    subject = brain.open_subject(text)
    site = one.sites(subject)[0]
    features = rows_of(subject.record(one.stimuli, [site]), site, one.stimuli, one.responses.stimulus_ids)
    Y = one.responses.mean
    orders = [np.random.default_rng(seed).permutation(len(Y)) for seed in range(number)]
    mixed = np.stack([Y[order] for order in orders], axis=1)
    found = left_out_ridge(kernel(features), mixed, fold, one.groups is not None)
    values = {word: np.median(r, axis=1) for word, r in correlations(found, mixed, fold).items()}
    pls = [
        brain.neural_predictivity(features, mixed[:, k], "pls", splits=one.splits).raw for k in range(number)
    ]
    return {
        "site": str(site),
        "pls": summary(np.array(pls)),
        **{f"ridge {word}": summary(each) for word, each in values.items()},
    }


def experiments(one: NeuralBenchmark, text: str, fold: NDArray[np.intp]) -> dict[str, Any]:
    """What the numbers of a bundle depend on: median r over neuroids under other choices."""
    subject = brain.open_subject(text)
    site = one.sites(subject)[0]
    features = rows_of(subject.record(one.stimuli, [site]), site, one.stimuli, one.responses.stimulus_ids)
    Y, K = one.responses.mean[:, None], kernel(features)

    def outcome(found: dict[str, Any], part: NDArray[np.intp] = fold) -> dict[str, Any]:
        result = {word: rounded(np.median(r)) for word, r in correlations(found, Y, part).items()}
        return result | {"penalties": sorted({rounded(value) for value in found["penalties"].ravel()})}

    by_penalty = {}
    for penalty in PENALTIES:
        found = fixed_ridge(K, Y, fold, penalty)
        by_penalty[f"{penalty:.0f}"] = {
            "plain": rounded(np.median(pearson(found["fixed"] + found["mean"], Y))),
            "centred": rounded(np.median(pearson(found["fixed"], Y - found["mean"]))),
        }
    result: dict[str, Any] = {"by penalty": by_penalty}
    Z = (features[:, :] - features[:, :].mean(0)) / np.maximum(features[:, :].std(0), 1e-9)
    for word, X in (("as they are", features), ("standardised", Z)):
        result[f"pls by components, features {word}"] = {
            str(k): rounded(brain.neural_predictivity(X, Y[:, 0], "pls", splits=one.splits, components=k).raw)
            for k in (1, 2, 3, 5, 10, 25)
        }
    grouped = one.groups is not None
    result |= {
        "one penalty for the population": outcome(left_out_ridge(K, Y, fold, grouped)),
        "a penalty for each neuroid": outcome(left_out_ridge(K, Y, fold, grouped, each=True)),
        "standardised by each training set": outcome(
            left_out_ridge(K, Y, fold, grouped, standardised=features)
        ),
        "the training mean alone": rounded(np.median(pearson(fixed_ridge(K, Y, fold, FIXED)["mean"], Y))),
    }
    if not grouped:
        others = [fixed_ridge(K, Y, folds_of(len(fold), None, seed=seed), FIXED) for seed in range(1, 6)]
        result["fixed penalty, five other draws of the folds"] = [
            rounded(np.median(pearson(found["fixed"] + found["mean"], Y))) for found in others
        ]
        return result
    every = folds_of(len(fold), None)
    return result | {
        "penalty chosen on random frames": outcome(left_out_ridge(K, Y, fold, False)),
        "frames split at random (leaks): pls": rounded(
            brain.neural_predictivity(features, Y[:, 0], "pls").raw
        ),
        "frames split at random (leaks): ridge": outcome(left_out_ridge(K, Y, every, False), every)["chosen"],
    }


# ---------------------------------------------------------------- IT spikes, human IT, human choices


def spikes(folder: Path) -> dict[str, Any]:
    """Which of seven objects, from the spikes of IT: accuracy over time and the time at which each is solved."""
    assembly = brain.load_assembly(folder / "zhang2011-IT-spikes" / "assembly.nc")
    coordinates = assembly.coords
    data = (
        assembly.values,
        coordinates["object_name"].values.astype(str),
        coordinates["time_bin_start"].values,
    )
    coarse = brain.decode_over_time(*data, window=100, step=100)
    fine = brain.decode_over_time(*data, window=50, step=10)
    report = {
        "presentations": len(coarse.kept),
        "neuroids": assembly.values.shape[1],
        "chance": rounded(1 / len(coarse.objects)),
        "accuracy": {
            f"{start:.0f}-{end:.0f} ms": rounded([value, *interval])
            for start, end, value, interval in zip(
                coarse.start, coarse.end, coarse.accuracy, coarse.accuracy_interval, strict=True
            )
        },
        "solution_time_rule": "end of the first 50 ms window (10 ms steps) with mean d' of 1, interpolated",
        "solution_time_ms": {
            str(word): rounded([when, *interval], 1)
            for word, when, interval in zip(
                fine.objects, fine.solution_time, fine.solution_interval, strict=True
            )
        },
        "notes": list(coarse.notes),
    }
    table = Table("window", "accuracy", "95 %", title="objects from IT spikes")
    for word, (value, low, high) in report["accuracy"].items():
        table.add_row(word, f"{value:.3f}", f"{low:.3f} to {high:.3f}")
    for word, (value, low, high) in report["solution_time_ms"].items():
        table.add_row(word, f"{value:.0f} ms", f"{low:.0f} to {high:.0f}")
    console.print(table)
    return report


def rdms(folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """RDMs of the models' sites against those of human IT."""
    where = folder / "kriegeskorte2008-92images"
    stimuli = brain.load_stimuli(where)
    with np.load(where / "rdms.npz", allow_pickle=False) as held:
        order = stimuli.positions(list(held["stimulus_id"].astype(str)))
        group, sessions = held["human_it"], held["human_it_subject_session"]
    subjects = sessions.mean(1)
    lower, upper = brain.rdm_noise_ceiling(subjects)
    found: dict[str, dict[str, Array]] = {}
    for text in texts:
        subject = brain.open_subject(text)
        last = {site.layer: site for site in subject.sites() if not site.layer.startswith("logits")}
        recording = subject.record(stimuli, list(last.values()))
        found[label(text)] = {str(site): brain.rdm(recording[site][order]) for site in last.values()}
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(group), len(group)) for _ in range(DRAWS // 4)]
    orders = [rng.permutation(len(group)) for _ in range(DRAWS)]
    rows: dict[str, Any] = {}
    drawn: dict[str, Array] = {}
    for word, sites in found.items():
        rows[word] = {}
        for site, matrix in sites.items():
            value = brain.compare_rdms(matrix, group)
            drawn[f"{word} {site}"] = resampled_rdms(matrix, group, draws)
            rows[word][site] = {
                "group": rounded(value),
                "interval": rounded(np.nanpercentile(drawn[f"{word} {site}"], LEVELS)),
                "p": rounded(permutation_p(matrix, group, orders), 5),
                "subjects": rounded(np.mean([brain.compare_rdms(matrix, each) for each in subjects])),
            }
            trained = f"{word.removesuffix(' untrained')} {site}"
            if word.endswith(" untrained") and trained in drawn:
                first = rows[word.removesuffix(" untrained")][site]
                first["trained - untrained"] = rounded(
                    [
                        first["group"] - rows[word][site]["group"],
                        *np.nanpercentile(drawn[trained] - drawn[f"{word} {site}"], LEVELS),
                    ]
                )
    table = Table(
        "model", "site", "r, group", "95 % (stimuli)", "p", "mean r, subjects", "trained - untrained"
    )
    table.title = f"RDMs against human IT; noise ceiling of subjects {lower:.3f} to {upper:.3f}"
    for word, sites in rows.items():
        for site, row in sites.items():
            change = row.get("trained - untrained", ["", "", ""])
            table.add_row(
                *(word, site, f"{row['group']:.3f}", str(row["interval"]), f"{row['p']:.4f}"),
                *(f"{row['subjects']:.3f}", " ".join(map(str, change))),
            )
    console.print(table)
    return {"noise_ceiling_of_subjects": rounded([lower, upper]), "stimuli": len(group), "models": rows}


def resampled_rdms(a: Array, b: Array, draws: Sequence[NDArray[np.intp]]) -> Array:
    """Spearman between two RDMs of stimuli drawn with replacement; pairs of a stimulus with itself are left out."""
    upper = np.triu_indices(len(a), 1)
    result = []
    for draw in draws:
        i, j = draw[upper[0]], draw[upper[1]]
        other = i != j
        result.append(pearson(rankdata(a[i, j][other]), rankdata(b[i, j][other])))
    return np.array(result)


def permutation_p(a: Array, b: Array, orders: Sequence[NDArray[np.intp]]) -> float:
    """The share of permutations of the stimuli that bring two RDMs as close or closer, one-sided."""
    upper = np.triu_indices(len(a), 1)
    ranks = [np.zeros_like(a), np.zeros_like(a)]
    for matrix, rank in zip((a, b), ranks, strict=True):
        rank[upper] = rankdata(matrix[upper])
        rank += rank.T
    fixed = ranks[0][upper] - ranks[0][upper].mean()
    observed = fixed @ ranks[1][upper]
    higher = sum(fixed @ ranks[1][np.ix_(order, order)][upper] >= observed - 1e-9 for order in orders)
    return float((1 + higher) / (1 + len(orders)))


def choices(folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Error consistency with people who named edge drawings and silhouettes."""
    (one,) = open_benchmarks([str(folder / "geirhos2019-shape-behavior")])
    rows: dict[str, Any] = {}
    table = Table("model", "site", "kappa", "error", "of ceiling", "correct", title="human shape choices")
    human: dict[str, float] = {}
    ceiling = math.nan
    for text in texts:
        subject = brain.open_subject(text)
        score = one.run(subject)
        names = [str(word) for word in score.details["conditions"]]
        human = dict(zip(names, rounded(score.details["subject_accuracy"].mean(0)), strict=True))
        ceiling = rounded(score.ceiling)
        rows[label(text)] = {
            "site": str(subject.readout_site()),
            "kappa": rounded(score.raw),
            "signed_kappa": rounded(np.nanmean(score.values)),
            "error": rounded(score.error),
            "value": rounded(score.value),
            "correct": dict(zip(names, rounded(score.details["model_accuracy"]), strict=True)),
            "kappa_by_condition": dict(
                zip(names, rounded(np.nanmean(score.details["kappa"], 0)), strict=True)
            ),
            "notes": list(score.notes),
        }
        row = rows[label(text)]
        table.add_row(
            *(label(text), row["site"], f"{row['signed_kappa']:.3f}", f"{row['error']:.3f}"),
            *(f"{row['value']:.3f}", str(row["correct"])),
        )
    console.print(table)
    console.print(f"people: {human}, ceiling {ceiling}")
    return {"ceiling": ceiling, "people_correct": human, "chance": 1 / 16, "models": rows}


# ---------------------------------------------------------------- showing and keeping


def show_neural(name: str, report: dict[str, Any]) -> None:
    title = (
        f"{name}: {report['stimuli']} stimuli x {report['neuroids']} neuroids, ceiling {report['ceiling']}"
    )
    columns = (
        "model",
        "area",
        "PLS",
        "value",
        "ridge 3000",
        "ridge chosen",
        "within folds",
        "best by PLS",
        "best by ridge",
    )
    table = Table(*columns, "within: - gabor", "within: - untrained", title=title)
    for word, row in report["models"].items():
        same, first, second = row["same"], row["best_pls"], row["best_ridge"]
        change = report["differences_of_ridge"][word]
        table.add_row(
            *(
                word,
                same["site"],
                f"{same['pls']:.3f} +- {same['pls_error']:.3f}",
                f"{same['pls_value']:.3f}",
            ),
            *(f"{same[f'ridge {which}']:.3f}" for which in ("fixed", "chosen", "chosen within")),
            f"{first['pls']:.3f} {first['site']}",
            f"{second['ridge chosen']:.3f} {second['site']} of {row['sites_tried']}",
            *(
                " ".join(map(str, change.get(f"same - {other}, chosen within", [])))
                for other in ("gabor", "untrained")
            ),
        )
    console.print(table)
    table = Table("shuffled responses", "measure", "mean", "error", "z")
    for word, row in report["shuffled"].items():
        for measure, value in row.items():
            if measure != "site":
                table.add_row(
                    *(word, measure, f"{value['mean']:.4f}", f"{value['error']:.4f}", f"{value['z']:.2f}")
                )
    console.print(table)
    console.print_json(json.dumps(report["what_gabor_depends_on"]))


def summary(values: Array) -> dict[str, Any]:
    """Mean over permutations, its standard error, and their ratio."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    return {
        "mean": rounded(values.mean(), 5),
        "error": rounded(error, 5),
        "z": rounded(values.mean() / error, 2),
        "permutations": len(values),
    }


def label(text: str) -> str:
    """A short name for tables: that of the run, and whether it is untrained."""
    name, _, options = text.partition("?")
    parts = [part for part in Path(name).parts if part not in ("runs", "default", "seed0")]
    return " ".join([parts[0] if parts else name, *filter(None, [options.replace("&", " ")])])


def rounded(value: Any, digits: int = 4) -> Any:
    """A float, or a list of them; None where there is none."""
    array = np.asarray(value, float)
    if array.ndim:
        return [rounded(each, digits) for each in array]
    return round(float(array), digits) if np.isfinite(array) else None


def parts(arguments: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    if "neural" in arguments.parts:
        yield "neural", neural(arguments.data, arguments.models, arguments.shuffles)
    if "spikes" in arguments.parts:
        yield "spikes", spikes(arguments.data)
    if "rdms" in arguments.parts:
        yield "rdms", rdms(arguments.data, arguments.models)
    if "choices" in arguments.parts:
        yield "choices", choices(arguments.data, arguments.models)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the bundles")
    parser.add_argument("--models", nargs="+", default=MODELS, help="as cornet.brain.open_subject takes them")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--shuffles", type=int, default=20, help="permutations of the shuffled control")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if "neural" in arguments.parts and "gabor" not in arguments.models:
        parser.error("the models must have gabor among them, which the others are measured against.")
    report = {
        "what": "models against recorded brains (macaque V4, V1, IT; human IT and choices); nothing simulated",
        "date": datetime.date.today().isoformat(),
        "models": arguments.models,
        "penalties": rounded(PENALTIES),
        "made_with": versions(),
    }
    for name, found in parts(arguments):
        report[name] = found
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(arguments.out, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
