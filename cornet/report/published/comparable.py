"""Read a run and select its numbers that are comparable with published ones."""

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

__all__ = [
    "PARTS",
    "VERSIONS",
    "ComparedRun",
    "curves",
    "differing_benchmarks",
    "open_run",
    "part_scores",
    "select_weights",
]

IMAGENET = ("imagenet", 1000)
"""Name and number of classes of images whose accuracy is comparable with that of the published networks."""


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run and its numbers that are comparable with published ones.

    number: of the run in the page, from 1. values: {column of `published_models`: value at the last evaluation}, NaN if
    there is no comparable value; the columns are imagenet, v4, it, behaviour, ost, brain_score and depth. curves:
    {name in `CURVE`: values by epoch on the published scale}. own_images: the accuracy is on images other than
    ImageNet's. epoch: of the last evaluation. notes: what is not shown and why. tested: {benchmark: its `VERSIONS`}.
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
        """Its label in plots."""
        return f"run {self.number}"

    @property
    def scored(self) -> bool:
        """Whether any of its brain scores is comparable with the published ones."""
        return any(math.isfinite(self.values[part]) for part in PARTS) or any(
            CURVE[name].benchmark for name in self.curves
        )

    @property
    def placed(self) -> bool:
        """Whether any plot of scores contains it."""
        return self.scored or math.isfinite(self.values["brain_score"])


def open_run(path: Path, number: int) -> ComparedRun:
    """Read a run's folder. number: of the run in the page. Raises CornetError if it has no readable numbers yet."""
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
    rows, tested = select_weights(scores, notes)
    values = dict.fromkeys(("imagenet", *PARTS, "brain_score", "depth"), math.nan)
    run_curves = curves(rows, metrics, own, notes)
    epoch = math.nan
    if rows is not None:
        epoch = float(rows["epoch"].max())
        values |= part_scores(rows[rows["epoch"] == epoch], notes)
        values["imagenet"] = latest(accuracy_of(rows[rows["epoch"] == epoch]))
    placed = any(math.isfinite(values[part]) for part in PARTS)
    if not math.isfinite(values["imagenet"]):
        values["imagenet"] = _accuracy(metrics, epoch if placed else math.nan)
        if placed and not math.isfinite(values["imagenet"]):
            notes.append(f"no accuracy was measured at epoch {epoch:g}, at which the brain was scored")
    if run_curves.keys() - {"top1"} and not placed:
        notes.append("no part of the Brain-Score was scored at the last evaluation: only curves are shown")
    values["depth"], parameters = _network(path, config, summary, notes)
    return ComparedRun(
        number=number,
        path=path,
        title=_title(path, config, summary),
        values=values,
        curves=run_curves,
        own_images=own,
        finished=bool(summary),
        parameters=parameters,
        epoch=epoch,
        notes=tuple(notes),
        tested=tested,
    )


def differing_benchmarks(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the benchmarks whose data, version, metric or splits differ between runs."""
    by_name: dict[str, set[tuple[str, ...]]] = {}
    for run in runs:
        for name, versions in run.tested.items():
            by_name.setdefault(name, set()).add(versions)
    return [name for name, versions in by_name.items() if len(versions) > 1]


def _network(
    path: Path, config: Mapping[str, Any], summary: Mapping[str, Any], notes: list[str]
) -> tuple[float, float]:
    """Return depth and parameters of the network that the configuration names, NaN if unknown."""
    counted, classes = summary.get("parameters"), summary.get("classes")
    parameters = float(counted) if isinstance(counted, int) else math.nan
    try:
        known = describe_run(path / "config.yaml", config.get("model"), classes)
    except CornetError as error:
        notes.append(f"depth is unknown: {str(error).rstrip('.')}")
        return math.nan, parameters
    if not math.isfinite(parameters) and is_int(classes):
        parameters = float(known.parameters)
    return float(known.depth.layers) if known.depth else math.nan, parameters


def _own_images(config: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Return whether accuracies are on other images than ImageNet's 1,000 classes, or on unknown ones."""
    data, model = config.get("data"), config.get("model")
    name = data.get("name") if isinstance(data, dict) else None
    classes = summary.get("classes") or (model.get("num_classes") if isinstance(model, dict) else None)
    return (name, classes) != IMAGENET


def _title(path: Path, config: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return network, images and seed, or the folder's name if they are unknown."""
    seed = config.get("seed")
    text = f", seed {seed}" if is_int(seed) else ""
    if isinstance(summary.get("network"), str) and isinstance(summary.get("data"), str):
        return f"{summary['network']} on {summary['data']}{text}"
    return path.absolute().name


def _config(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        return read_config(path / "config.yaml")
    except (OSError, CornetError):
        notes.append("config.yaml is missing or cannot be read: images and network are unknown")
        return {}


def _accuracy(metrics: pd.DataFrame | None, epoch: float) -> float:
    """Return top-1 after `epoch` epochs; the last top-1 if epoch is NaN."""
    if metrics is None or "val/top1" not in metrics:
        return math.nan
    rows = metrics if math.isnan(epoch) else metrics[metrics["epoch"] + 1 == epoch]
    return latest(rows["val/top1"])


PARTS = {
    "v4": "majajhong2015.V4",
    "it": "majajhong2015.IT",
    "behaviour": "rajalingham2018-i2n",
    "ost": "kar2019-ost",
}
"""{part of the 2019 Brain-Score: benchmark on public data that measures it}."""

VERSIONS = ("version", "metric", "split_rule", "brain_data")
"""Columns of scores.csv that must be equal in two runs for their scores to be comparable."""


MAPPED = {one.benchmark: one.scale == "(r/c)^2" for one in CURVE.values() if one.benchmark}
"""{benchmark: whether it maps features to neuroids}; the published scores of these use partial least squares."""


def part_scores(rows: pd.DataFrame, notes: list[str]) -> dict[str, float]:
    """Return raw scores of one evaluation on the parts of the 2019 Brain-Score, and their mean, brain_score."""
    scores: dict[str, float] = {}
    for part, name in PARTS.items():
        part_rows = rows[rows["benchmark"] == name]
        if len(part_rows) and not _not_comparable(part_rows, name, notes):
            failure, why = str(part_rows["failure"].iloc[-1]), str(part_rows["notes"].iloc[-1])
            raw = float(part_rows["raw"].iloc[-1])
            if not math.isfinite(raw):
                reason = (failure or why).rstrip(".")
                notes.append(
                    f"{name} has no score at the last evaluation" + (f": {reason}" if reason else "")
                )
            if not failure:
                scores[part] = raw
    missing = [] if "ost" in scores else [PARTS["ost"]]
    others = [part for part in PARTS if part != "ost"]
    missing += [PARTS[part] for part in others if not math.isfinite(scores.get(part, math.nan))]
    if not missing:
        ost = scores["ost"]
        if not math.isfinite(ost):
            notes.append(
                "undefined solution times count as 0 in the Brain-Score, as for all published networks but one"
            )
            ost = 0.0
        scores["brain_score"] = (sum(scores[part] for part in others) + ost) / 4
    elif scores:
        notes.append(f"no Brain-Score of 2019, which needs {' and '.join(missing)} at the last evaluation")
    return scores


def _not_comparable(rows: pd.DataFrame, name: str, notes: list[str]) -> bool:
    """Return whether a benchmark was run in a different way than the published one, and add the reason to notes."""
    why = ""
    if rows["simulated"].any():
        why = "is simulated"
    elif MAPPED[name] and set(rows["metric"]) != {"pls"}:
        metric = ", ".join(sorted(set(rows["metric"]) - {""})) or "an unknown metric"
        why = f"was mapped by {metric}, and the published scores by pls"
    elif rows["notes"].str.contains("optimum decoder").any():
        why = "was decoded by the optimum decoder, and the published score by the reference one"
    if why and (note := f"{name} is not compared: it {why}") not in notes:
        notes.append(note)
    return bool(why)


def curves(
    rows: pd.DataFrame | None, metrics: pd.DataFrame | None, own: bool, notes: list[str]
) -> dict[str, pd.Series]:
    """Return {column of the published training: values by epochs completed}."""
    by_name = {}
    view = "val/top1" if own or metrics is None or "val/top1_squash" not in metrics else "val/top1_squash"
    if metrics is not None and view in metrics:
        by_name["top1"] = by_epoch(metrics["epoch"] + 1, metrics[view])
        if not own and view == "val/top1":
            notes.append("top-1 is of centre crops, and that of the published training of squashed images")
    elif rows is not None:
        by_name["top1"] = by_epoch(rows["epoch"], accuracy_of(rows))
    for name, one in CURVE.items():
        part = rows[rows["benchmark"] == one.benchmark] if rows is not None and one.benchmark else None
        if part is None or part.empty or _not_comparable(part, one.benchmark, notes):
            continue
        by_name[name] = by_epoch(part["epoch"], _on_scale(part, one.scale))
        if by_name[name].empty:
            notes.append(f"{one.benchmark} has no value as {one.scale}: raw score or ceiling is missing")
    return {name: curve for name, curve in by_name.items() if len(curve)}


def accuracy_of(rows: pd.DataFrame) -> pd.Series:
    """Return top-1 beside the scores; NaN where another metric is beside them."""
    return rows["task_value"].where(rows["task_metric"] == "val/top1")


def _on_scale(rows: pd.DataFrame, scale: str) -> list[float]:
    """Return values on a scale, computed from raw value and ceiling for rows with another scale."""
    each = zip(rows["scale"], rows["value"], rows["raw"], rows["ceiling"], strict=True)
    return [value if of == scale else to_scale(raw, ceiling, scale) for of, value, raw, ceiling in each]


def select_weights(
    scores: pd.DataFrame | None, notes: list[str]
) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """Return the rows of the first kind of weights, and {benchmark: its VERSIONS}."""
    if scores is None:
        notes.append("no brain scores")
        return None, {}
    kinds = list(dict.fromkeys(scores["weights"]))
    if len(kinds) > 1:
        notes.append(f"{', '.join(kinds)} weights were scored, and only {kinds[0]} are shown")
    rows = scores[scores["weights"] == kinds[0]]
    tested = {name: tuple(str(part[column].iloc[-1]) for column in VERSIONS) for name, part in series(rows)}
    return rows, tested
