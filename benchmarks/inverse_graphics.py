"""Structure of similarities of heads in networks that learn the latents of heads, and in twins that learn identities.

    python benchmarks/inverse_graphics.py runs/inverse_graphics/seed* runs/inverse_graphics_identities/seed*

Takes finished runs of `train.py experiment=inverse_graphics` and `experiment=inverse_graphics_identities`. Intervals
are over seeds (Student's t). Writes results/inverse_graphics.json. shuffled: the last step of IT with the labels of
other images, 200 permutations.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from record import write_record

from cornet import load_run
from cornet.brain import open_subject
from cornet.brain.metrics.rsa.views import decompose, similarity_matrix
from cornet.brain.view_structure import ViewStructure
from cornet.report.statistics import mean_interval
from cornet.stimuli.objects.heads import PARAMETERS

RESULTS = Path(__file__).parent / "results" / "inverse_graphics.json"

GROUPS = {
    "geometry": [name for name in PARAMETERS if name not in ("skin", "hair_tone")],
    "skin and hair tone": ["skin", "hair_tone"],
    "position and size": ["x", "y", "size"],
    "pose": ["yaw", "pitch"],
    "light": ["light_azimuth", "light_elevation"],
}
"""Latents whose R2 are averaged."""

PERMUTATIONS = 200


def interval(values: list[float]) -> dict[str, Any]:
    """Mean over seeds with its 95 % interval (null: of one seed), and the values."""
    found = mean_interval(values)
    shown = {"mean": found.mean, "low": found.low, "high": found.high}
    return {**{key: rounded(value) for key, value in shown.items()}, "seeds": [*map(rounded, values)]}


def rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def learned(folder: Path) -> dict[str, float]:
    """What the network of a run learned: the last validation."""
    metrics = load_run(folder).metrics
    last = {name: float(metrics[name].dropna().iloc[-1]) for name in metrics if name.startswith("val/")}
    found = {name: value for name, value in last.items() if name in ("val/top1", "val/r2", "val/loss")}
    if "val/r2" in last:
        for group, names in GROUPS.items():
            found[f"R2 of {group}"] = float(np.mean([last[f"val/r2_{name}"] for name in names]))
    return found


def shuffled(folder: Path) -> dict[str, float]:
    """97.5 % points of the coefficients of IT's last step, with the labels of other images."""
    subject, analysis = open_subject(str(folder)), ViewStructure(draws=1)
    site = [one for one in subject.sites() if one.layer == "IT"][-1]
    similarity = similarity_matrix(subject.record(analysis.stimuli, [site])[site])
    rng, found = np.random.default_rng(0), []
    for _ in range(PERMUTATIONS):
        order = rng.permutation(len(similarity))
        found.append(list(decompose(similarity[np.ix_(order, order)], analysis.structures).values())[:3])
    points = np.percentile(found, 97.5, axis=0)
    return dict(zip(("view", "mirror", "identity"), points.round(4).tolist(), strict=True))


def structure(tables: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """A row for each site, measure and structure, with the untrained network beside the trained one."""
    values: dict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(
        lambda: {"untrained": [], "trained": []}
    )
    for table in tables:
        network = table[table["kind"] == "network"]
        for when, epoch in (("untrained", 0), ("trained", network["epoch"].max())):
            for row in network[network["epoch"] == epoch].itertuples():
                values[row.area, row.step, row.measure, row.structure][when].append(float(row.value))
    return [
        {
            **dict(zip(("area", "step", "measure", "structure"), key, strict=True)),
            **{when: interval(each) for when, each in found.items()},
        }
        for key, found in values.items()
        if key[3] != "background"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--beside", default="unknown", help="What else ran on the machine.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    kinds: dict[str, list[Path]] = defaultdict(list)
    for folder in given.runs:
        kinds["identities" if load_run(folder).config["data"]["identities"] else "latents"].append(folder)
    networks = {}
    for kind, folders in kinds.items():
        facts = [learned(folder) for folder in folders]
        tables = [pd.read_csv(folder / "view_structure.csv") for folder in folders]
        networks[kind] = {
            "runs": len(folders),
            "learned": {name: interval([each[name] for each in facts]) for name in facts[0]},
            "shuffled": shuffled(folders[0]),
            "structure": structure(tables),
        }
        print(kind, networks[kind]["learned"])
    baselines = tables[0][tables[0]["kind"] != "network"]
    rows = baselines[["kind", "area", "measure", "structure", "value", "low", "high"]].round(4)
    write_record(
        given.out, torch.device("cpu"), given.beside, networks=networks, baselines=rows.to_dict("records")
    )


if __name__ == "__main__":
    main()
