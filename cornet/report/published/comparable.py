"""A run beside the published networks: which of its numbers are of the same kind as theirs, and what the others are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cornet.brain.scales import to_scale
from cornet.errors import CornetError
from cornet.report.published.numbers import CURVE
from cornet.report.run.data import by_epoch, is_int, latest, read_json, read_metrics, read_scores, series
from cornet.report.run.network import describe_run
from cornet.runs.config import read_config

__all__ = ["PARTS", "VERSIONS", "ComparedRun", "curves", "one_kind", "open_run", "other_data", "parts"]

IMAGENET = ("imagenet", 1000)
"""Name and classes of the images whose accuracy is that of the published networks."""


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run, and of it what may stand beside published numbers.

    number: by which the page calls it, from 1. values: by the names of `published_models` (imagenet, v4, it, behaviour,
    ost, brain_score, depth), after the last evaluation, NaN where there is none of that kind. own_images: imagenet is
    the accuracy on the run's own images, which are not ImageNet's. curves: by the names of `CURVE`, value by epoch, on
    the published scale. epoch: of the last evaluation. notes: what is not shown, and why.
    tested: by benchmark, its `VERSIONS`.
    """

    number: int
    path: Path
    title: str
    values: Mapping[str, float]
    curves: Mapping[str, pd.Series]
    own_images: bool = True
    finished: bool = True
    parameters: float = math.nan
    epoch: float = math.nan
    notes: tuple[str, ...] = ()
    tested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """By which it stands in the plots."""
        return f"run {self.number}"

    @property
    def scored(self) -> bool:
        """Whether any of its brain scores is of a kind with the published ones."""
        return any(math.isfinite(self.values[part]) for part in PARTS) or any(
            CURVE[name].benchmark for name in self.curves
        )

    @property
    def placed(self) -> bool:
        """Whether it stands in any plot of scores."""
        return self.scored or math.isfinite(self.values["brain_score"])


def open_run(path: Path, number: int) -> ComparedRun:
    """Read a run's folder. Raises CornetError where a table cannot be read, or there are no numbers yet."""
    metrics, scores = read_metrics(path), read_scores(path)
    if metrics is None and scores is None:
        raise CornetError(
            f"{path} has no metrics.csv and no scores.csv with numbers; let the run finish an epoch."
        )
    summary, notes = read_json(path / "finished.json"), []
    if not summary:
        notes.append("not finished: values are those so far")
    config = _config(path, notes)
    own = _own_images(config, summary)
    rows, kept = one_kind(scores, notes)
    values = dict.fromkeys(("imagenet", *PARTS, "brain_score", "depth"), math.nan)
    found = curves(rows, metrics, own, notes)
    epoch = math.nan
    if rows is not None:
        epoch = float(rows["epoch"].max())
        values |= parts(rows[rows["epoch"] == epoch], notes)
        values["imagenet"] = latest(rows.loc[rows["epoch"] == epoch, "top1"])
    placed = any(math.isfinite(values[part]) for part in PARTS)
    if not math.isfinite(values["imagenet"]):
        values["imagenet"] = _accuracy(metrics, epoch if placed else math.nan)
        if placed and not math.isfinite(values["imagenet"]):
            notes.append(f"no accuracy was measured at epoch {epoch:g}, of which the brain scores are")
    if found.keys() - {"top1"} and not placed:
        notes.append("no part of the Brain-Score was scored at the last evaluation: only curves are shown")
    values["depth"], parameters = _network(path, config, summary, notes)
    return ComparedRun(
        number=number,
        path=path,
        title=_title(path, config, summary),
        values=values,
        curves=found,
        own_images=own,
        finished=bool(summary),
        parameters=parameters,
        epoch=epoch,
        notes=tuple(notes),
        tested=kept,
    )


def other_data(runs: Sequence[ComparedRun]) -> list[str]:
    """The benchmarks that were not the same in all runs that have them: other data, version, metric or splits."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for run in runs:
        for name, versions in run.tested.items():
            found.setdefault(name, set()).add(versions)
    return [name for name, versions in found.items() if len(versions) > 1]


def _network(
    path: Path, config: Mapping[str, Any], summary: Mapping[str, Any], notes: list[str]
) -> tuple[float, float]:
    """Depth and parameters of the network that the configuration names."""
    counted, classes = summary.get("parameters"), summary.get("classes")
    parameters = float(counted) if isinstance(counted, int) else math.nan
    try:
        known = describe_run(path / "config.yaml", config.get("model"), classes)
    except CornetError as error:
        notes.append(f"depth is not known: {str(error).rstrip('.')}")
        return math.nan, parameters
    if not math.isfinite(parameters) and is_int(classes):
        parameters = float(known.parameters)
    return float(known.depth.layers), parameters


def _own_images(config: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Whether accuracies are not those of ImageNet's 1,000 classes, or that is not known."""
    data, model = config.get("data"), config.get("model")
    name = data.get("name") if isinstance(data, dict) else None
    classes = summary.get("classes") or (model.get("num_classes") if isinstance(model, dict) else None)
    return (name, classes) != IMAGENET


def _title(path: Path, config: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """The network, the images and the seed, or the folder's name."""
    seed = config.get("seed")
    told = f", seed {seed}" if is_int(seed) else ""
    if isinstance(summary.get("network"), str) and isinstance(summary.get("data"), str):
        return f"{summary['network']} on {summary['data']}{told}"
    return path.absolute().name


def _config(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        return read_config(path / "config.yaml")
    except (OSError, CornetError):
        notes.append("no readable config.yaml, so that images and network are not known")
        return {}


def _accuracy(metrics: pd.DataFrame | None, epoch: float) -> float:
    """After so many epochs; the last one where epoch is NaN."""
    if metrics is None or "val/top1" not in metrics:
        return math.nan
    there = metrics if math.isnan(epoch) else metrics[metrics["epoch"] + 1 == epoch]
    return latest(there["val/top1"])


PARTS = {
    "v4": "majajhong2015.V4",
    "it": "majajhong2015.IT",
    "behaviour": "rajalingham2018-i2n",
    "ost": "kar2019-ost",
}
"""The parts of the 2019 Brain-Score, and our benchmark of the public data that measures each."""

VERSIONS = ("version", "metric", "split_rule", "brain_data")
"""Columns of scores.csv in which two runs must agree for a benchmark to be the same one."""


MAPPED = {one.benchmark: one.scale == "(r/c)^2" for one in CURVE.values() if one.benchmark}
"""Whether a benchmark maps features to neuroids, for which the published scores take partial least squares."""


def parts(rows: pd.DataFrame, notes: list[str]) -> dict[str, float]:
    """Raw scores of one evaluation on the parts of the 2019 Brain-Score, and their mean."""
    found: dict[str, float] = {}
    for part, name in PARTS.items():
        there = rows[rows["benchmark"] == name]
        if len(there) and not _refused(there, name, notes):
            failure, why = str(there["failure"].iloc[-1]), str(there["notes"].iloc[-1])
            raw = float(there["raw"].iloc[-1])
            if not math.isfinite(raw):
                told = (failure or why).rstrip(".")
                notes.append(f"{name} has no score at the last evaluation" + (f": {told}" if told else ""))
            if not failure:
                found[part] = raw
    lacking = [] if "ost" in found else [PARTS["ost"]]
    others = [part for part in PARTS if part != "ost"]
    lacking += [PARTS[part] for part in others if not math.isfinite(found.get(part, math.nan))]
    if not lacking:
        late = found["ost"]
        if not math.isfinite(late):
            notes.append(
                "undefined solution times count 0 in the Brain-Score, as for all published networks but one"
            )
            late = 0.0
        found["brain_score"] = (sum(found[part] for part in others) + late) / 4
    elif found:
        notes.append(f"no Brain-Score of 2019, which needs {' and '.join(lacking)} at the last evaluation")
    return found


def _refused(rows: pd.DataFrame, name: str, notes: list[str]) -> bool:
    """Whether a benchmark of a published name was not run as the published one."""
    why = ""
    if rows["simulated"].any():
        why = "is simulated"
    elif MAPPED[name] and set(rows["metric"]) != {"pls"}:
        told = ", ".join(sorted(set(rows["metric"]) - {""})) or "a metric that is not told"
        why = f"was mapped by {told}, and the published scores by pls"
    elif rows["notes"].str.contains("optimum decoder").any():
        why = "was decoded by the optimum decoder, and the published score by the reference one"
    if why and (told := f"{name} is not compared: it {why}") not in notes:
        notes.append(told)
    return bool(why)


def curves(
    rows: pd.DataFrame | None, metrics: pd.DataFrame | None, own: bool, notes: list[str]
) -> dict[str, pd.Series]:
    """By the columns of the published training, value by epochs completed."""
    found = {}
    view = "val/top1" if own or metrics is None or "val/top1_squash" not in metrics else "val/top1_squash"
    if metrics is not None and view in metrics:
        found["top1"] = by_epoch(metrics["epoch"] + 1, metrics[view])
        if not own and view == "val/top1":
            notes.append("top-1 is of centre crops, and that of the published training of squashed images")
    elif rows is not None:
        found["top1"] = by_epoch(rows["epoch"], rows["top1"])
    for name, one in CURVE.items():
        part = rows[rows["benchmark"] == one.benchmark] if rows is not None and one.benchmark else None
        if part is None or part.empty or _refused(part, one.benchmark, notes):
            continue
        found[name] = by_epoch(part["epoch"], _on(part, one.scale))
        if found[name].empty:
            notes.append(f"{one.benchmark} has no value as {one.scale}: it lacks a raw score or a ceiling")
    return {name: curve for name, curve in found.items() if len(curve)}


def _on(rows: pd.DataFrame, scale: str) -> list[float]:
    """Values on a scale: as they were written where they are on it, else from the raw value and the ceiling."""
    each = zip(rows["scale"], rows["value"], rows["raw"], rows["ceiling"], strict=True)
    return [value if of == scale else to_scale(raw, ceiling, scale) for of, value, raw, ceiling in each]


def one_kind(scores: pd.DataFrame | None, notes: list[str]) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """The rows of one kind of weights, and what each benchmark was."""
    if scores is None:
        notes.append("no brain scores")
        return None, {}
    kinds = list(dict.fromkeys(scores["weights"]))
    if len(kinds) > 1:
        notes.append(f"of the weights that were scored ({', '.join(kinds)}), {kinds[0]} are shown")
    rows = scores[scores["weights"] == kinds[0]]
    tested = {name: tuple(str(part[column].iloc[-1]) for column in VERSIONS) for name, part in series(rows)}
    return rows, tested
