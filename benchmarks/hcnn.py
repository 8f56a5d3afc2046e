"""HCNN (Yamins et al. 2014): does performance predict the fit to the brain, and do layers go with areas?

    python benchmarks/hcnn.py --members 20 --v4 cowley2023-V4-210325

1. A random search, `train.py experiment=sweeps/hcnn_search`: members of the space with random filters.
2. Performance of each member: a logistic regression on what the decoder reads, its penalty chosen on held-out images,
   and the decoder itself. Fit: the layer of the same name against the simulated areas, and the best of the four layers
   against recorded V4. Pearson's r over members, with a bootstrap interval over members.
3. The default network and the best member, trained by gradient on the rendered objects, and the default one with random
   filters: scores of all layers on the simulated areas and on recorded V4.

A stopped program goes on where it was. Writes results/hcnn.json, hcnn_search.png, and hcnn_layers.png.
"""

import argparse
import datetime
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from cornet.brain.choosing import choose
from cornet.brain.metrics.transfer import transfer
from cornet.brain.simulated.stimuli import GreyPictures
from cornet.brain.subjects import open_subject
from cornet.files import atomic_write
from cornet.hashing import digest
from cornet.report.layer_scores import draw_layer_scores
from cornet.report.ranking.report import accuracy_of
from cornet.report.style import png, region_colours, style
from cornet.runs.provenance import versions
from cornet.runs.scores import read_scores
from cornet.stimuli.objects import draw_latents, render
from cornet.stimuli.stimulus_set import StimulusSet

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SIMULATED = ("V1", "V2", "V4", "IT")
LAYERS = ["V1", "V2", "V4", "IT"]
SIZE = 64


def run(*overrides: str) -> None:
    """Train, or go on."""
    subprocess.run([sys.executable, str(ROOT / "train.py"), *overrides], check=True)


def objects(train: int, test: int) -> tuple[StimulusSet, np.ndarray, np.ndarray, np.ndarray]:
    """Rendered objects from streams that neither the trainings nor the simulated brain show; labels; rows."""
    tables = [
        draw_latents(count, seed=0, variation=0.5, stream=f"hcnn-{part}")
        for part, count in (("train", train), ("test", test))
    ]
    images = np.concatenate([render(table, SIZE) for table in tables])
    labels = np.concatenate([table["category_name"].to_numpy(str) for table in tables])
    table = pd.DataFrame({"stimulus_id": [f"object{k}" for k in range(len(images))]})
    shown = StimulusSet("hcnn-objects", table, GreyPictures(images, digest(images)))
    return shown, labels, np.arange(train), np.arange(train, train + test)


def best_layer(model: str, bundle: str) -> tuple[str, float]:
    """The layer that predicts a bundle best, and its raw score."""
    subject = open_subject(model, size=SIZE)
    sites = [site for site in subject.sites() if site.layer in LAYERS]
    choice = choose(subject, bundle, {"metric": "ridge"}, "cpu", sites=sites)
    best = choice.table[choice.table["chosen"]].iloc[0]
    return str(best["layer"]), float(best["score"])


def correlation(x: np.ndarray, y: np.ndarray, draws: int = 10_000) -> dict[str, float]:
    """Pearson's r over members with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(x), size=(draws, len(x)))
    with np.errstate(invalid="ignore"):
        drawn = [np.corrcoef(x[row], y[row])[0, 1] for row in rows]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {"r": float(np.corrcoef(x, y)[0, 1]), "low": float(low), "high": float(high), "n": len(x)}


def search(work: Path, members: int, v4: str, images: int) -> pd.DataFrame:
    """One row for each member: accuracy of both read-outs, and fit to each area."""
    few = [f"data.train_images={images}", f"data.val_images={images // 2}"]
    root = [f"root={work / 'runs'}", "name=hcnn_search"]
    run("-m", "experiment=sweeps/hcnn_search", f"model.member=range(0,{members})", *few, *root)
    folders = {}
    for path in (work / "runs" / "hcnn_search").glob("**/config.yaml"):
        folders[int(OmegaConf.load(path).model.member)] = path.parent
    shown, labels, fit, test = objects(1024, 1024)
    rows = []
    for member in range(members):
        folder = folders[member]
        subject = open_subject(str(folder), size=SIZE)
        site = subject.readout_site()
        score = transfer(subject.record(shown, [site])[site], labels, fit, test)
        row = {"member": member, "read_out": score.raw, "decoder": accuracy_of(str(folder))}
        scores = read_scores(folder)
        last = scores[scores["epoch"] == scores["epoch"].max()].set_index("benchmark")["raw"]
        row |= {f"simulated {region}": float(last[f"simulated.{region}"]) for region in SIMULATED}
        row["V4 layer"], row["recorded V4"] = best_layer(str(folder), v4)
        rows.append(row)
        print(
            {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()},
            flush=True,
        )
    return pd.DataFrame(rows)


def draw_search(table: pd.DataFrame, found: dict[str, dict[str, float]], path: Path) -> None:
    """Accuracy of the read-out against the fit to each area, one point for each member."""
    from cornet.report.style import grid, gridlines, headline, panel_title

    fits = list(found)
    colours = region_colours(["V1", "V2", "V4", "IT"])
    with style():
        figure, axes = grid(len(fits), 3)
        headline(
            figure, f"Accuracy and fit of {len(table)} random HCNNs", [f.startswith("sim") for f in fits]
        )
        for one, fit in zip(axes, fits, strict=True):
            colour = colours[fit.split()[-1]]
            one.scatter(table["read_out"], table[fit], s=18, color=colour)
            r = found[fit]
            panel_title(one, fit, [f"r = {r['r']:.2f} [{r['low']:.2f}, {r['high']:.2f}]"], colour)
            one.set_xlabel("accuracy of a linear read-out (chance .125)", fontsize=8)
            one.set_ylabel("raw score", fontsize=8)
            gridlines(one)
        atomic_write(path, png(figure))


def layers(work: Path, v4: str, best: int) -> dict[str, object]:
    """Train the default network and the best member by gradient; scores of all layers, and with random filters."""
    models = {"random": "hcnn?untrained&num_classes=8"}
    for name, own in (("trained", []), ("best", [f"model.member={best}"])):
        folder = work / "runs" / f"hcnn_{name}" / "seed0"
        if not (folder / "finished.json").is_file():  # a later version does not train it again
            words = ["model=hcnn", "model.filters=trained", f"name=hcnn_{name}", f"root={work / 'runs'}"]
            run(*words, *own, "brain=none")
        models[name] = str(folder)
    content: dict[str, object] = {}
    for name, model in models.items():
        subject = open_subject(model, size=SIZE)
        sites = [site for site in subject.sites() if site.layer in LAYERS]
        choices = [
            choose(subject, on, {"metric": "ridge"}, "cpu", sites=sites, seeds=5) for on in ("simulated", v4)
        ]
        draw_layer_scores(choices, RESULTS / f"hcnn_layers_{name}.png", f"HCNN ({name})")
        columns = ["region", "layer", "score", "error", "best_in", "chosen"]
        content[name] = {choice.bundle: choice.table[columns].to_dict("records") for choice in choices}
        content[f"{name} top1"] = accuracy_of(model)
    return content


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--images", type=int, default=1024, help="training images of the search's decoders")
    parser.add_argument("--v4", required=True, help="a bundle with recorded V4")
    parser.add_argument("--work", type=Path, default=Path("hcnn"))
    given = parser.parse_args()
    start, work = time.perf_counter(), given.work.absolute()
    table = search(work, given.members, given.v4, given.images)
    by_layer = layers(work, given.v4, int(table["member"][table["read_out"].idxmax()]))
    fits = [f"simulated {region}" for region in SIMULATED] + ["recorded V4"]
    found = {fit: correlation(table["read_out"].to_numpy(), table[fit].to_numpy()) for fit in fits}
    draw_search(table, found, RESULTS / "hcnn_search.png")
    content = {
        "date": datetime.date.today().isoformat(),
        "settings": {"members": given.members, "images": given.images, "v4": Path(given.v4).name},
        "versions": versions(),
        "seconds": time.perf_counter() - start,
        "layers": by_layer,
        "members": table.to_dict("records"),
        "correlations": found,
    }
    atomic_write(RESULTS / "hcnn.json", json.dumps(content, indent=1, default=float) + "\n")
    for fit, one in found.items():
        print(f"{fit}: r {one['r']:.2f} [{one['low']:.2f}, {one['high']:.2f}]")


if __name__ == "__main__":
    main()
