"""What a run recorded about an exported checkpoint: accuracy and scores at its step, data, recipe, hardware."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cornet.models.weight_files import read_weight_file
from cornet.report.curves import label
from cornet.report.run.data import is_simulated, read_json, read_metrics, read_scores
from cornet.runs.folder import RunFolder

__all__ = ["Dataset", "RunFacts", "ScoreLine", "facts_of_run"]

DATASETS = {
    "objects": ("Rendered objects of eight categories, made by cornet", ""),
    "cifar10": ("CIFAR-10", "uoft-cs/cifar10"),
    "cifar100": ("CIFAR-100", "uoft-cs/cifar100"),
    "imagenet": ("ImageNet (ILSVRC 2012)", "ILSVRC/imagenet-1k"),
    "tiny_imagenet": ("Tiny ImageNet", ""),
}
"""{name of the data: (what the card calls it, its name on the hub)}."""
HARDWARE = {
    "gpus": "GPUs",
    "cpu": "CPU",
    "cpus": "CPU cores of the machine",
    "threads": "threads",
    "ranks": "processes",
}
VERSIONS = ("cornet-ventral", "torch", "python", "cuda", "commit")


@dataclass(frozen=True)
class Dataset:
    """Training images. name: as the card calls it. kind: short name. hub: its name on the hub, or ""."""

    name: str
    kind: str
    hub: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreLine:
    """One score. value, error: on `scale`; NaN if undefined. ceiling: on the raw scale. n: number of stimuli."""

    benchmark: str
    region: str
    metric: str
    scale: str
    value: float
    error: float
    ceiling: float
    n: int
    simulated: bool
    notes: str

    @property
    def defined(self) -> bool:
        return math.isfinite(self.value)


@dataclass(frozen=True)
class RunFacts:
    """What is known of a trained network.

    checkpoint: best, last, best_brain, or another file's name. step: optimiser steps that it was trained for; None:
    unknown. epochs: epochs that were complete then; None: unknown. accuracies: {label: value} of the validation at
    this step. images: where they were measured. scores: at this step. started_from: text, if the training did not start
    from new weights.
    """

    checkpoint: str
    step: int | None
    epochs: float | None
    accuracies: Mapping[str, float]
    chance: float | None
    scores: list[ScoreLine]
    images: Dataset
    recipe: Mapping[str, Any]
    task: str
    losses: list[str]
    seed: Any
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    images_per_second: float | None
    started_from: str


def facts_of_run(run: RunFolder, path: Path) -> RunFacts:
    """Read the facts of a run's checkpoint. path: the file.

    Accuracy and scores are those measured at the checkpoint's own step, and of the weights that it holds. Raises
    CornetError if the checkpoint or a table cannot be read.
    """
    step = read_weight_file(path).get("global_step")
    step = step if type(step) is int and step >= 0 else None
    config, finished = run.config, read_json(run.path / "finished.json")
    recipe, model = _mapping(config.get("recipe")), _mapping(config.get("model"))
    averaged = recipe.get("average") is not None
    accuracies, epochs = _accuracies(run, step)
    versions = read_json(run.path / "versions.json")
    return RunFacts(
        checkpoint=path.stem,
        step=step,
        epochs=epochs,
        accuracies=accuracies,
        chance=_number(finished.get("chance")),
        scores=_scores(run, step, averaged),
        images=_dataset(_mapping(config.get("data")), finished),
        recipe={
            key: value for key, value in recipe.items() if key != "_target_" and value not in (None, [], {})
        },
        task=_class_name(_mapping(config.get("task"))) or "Classification",
        losses=sorted(str(key) for key in _mapping(config.get("losses"))),
        seed=config.get("seed"),
        hardware={text: versions[key] for key, text in HARDWARE.items() if versions.get(key)},
        versions={key: versions[key] for key in VERSIONS if versions.get(key)},
        images_per_second=_number(finished.get("images_per_second")),
        started_from=_started_from(config, model),
    )


def _accuracies(run: RunFolder, step: int | None) -> tuple[dict[str, float], float | None]:
    """The metrics of the validation at a step, by label, and the epochs that were complete then."""
    table = read_metrics(run.path) if step else None
    if table is None:
        return {}, None
    names = [name for name in table if str(name).startswith("val/") and name != "val/loss"]
    # Lightning logs a validation with the number of the last step, from 0.
    rows = (
        table[(table["step"] == step - 1) & table[names].notna().any(axis=1)] if names and step else table[:0]
    )
    if not len(rows):
        return {}, None
    row = rows.iloc[-1]
    epoch = float(row["epoch"])
    values = {label(str(name)): float(row[name]) for name in names if math.isfinite(row[name])}
    return values, epoch + 1 if math.isfinite(epoch) else None


def _scores(run: RunFolder, step: int | None, averaged: bool) -> list[ScoreLine]:
    """The scores at a step, of the averaged weights if the checkpoint holds these."""
    table = read_scores(run.path)
    if table is None or step is None:
        return []
    rows = table[(table["step"] == step) & (table["failure"] == "")]
    rows = rows[rows["weights"] == "averaged"] if averaged else rows[rows["weights"] != "averaged"]
    return [_score_line(row, table) for _, row in rows.iterrows()]


def _score_line(row: "pd.Series[Any]", table: pd.DataFrame) -> ScoreLine:
    count = float(row["n"])
    return ScoreLine(
        benchmark=str(row["benchmark"]),
        region=str(row["region"]),
        metric=str(row["metric"]),
        scale=str(row["scale"]),
        value=float(row["value"]),
        error=float(row["value_error"]),
        ceiling=float(row["ceiling"]),
        n=int(count) if 0 < count < 2**53 else 0,
        simulated=is_simulated(str(row["benchmark"]), table),
        notes=str(row["notes"]),
    )


def _dataset(data: Mapping[str, Any], finished: Mapping[str, Any]) -> Dataset:
    kind = str(finished.get("data") or data.get("name") or _class_name(data) or "unknown")
    name, hub = DATASETS.get(kind, (f"Images called {kind}", ""))
    wanted = {"train_images": "training images", "val_images": "validation images", "classes": "classes"}
    numbers = {text: finished[key] for key, text in wanted.items() if type(finished.get(key)) is int}
    return Dataset(name, kind, hub, numbers)


def _started_from(config: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Where a training started, without paths of the machine; "" for new weights."""
    pretrained, checkpoint = model.get("pretrained"), config.get("ckpt_path")
    if pretrained is True:
        return "the weights that the authors of the network published"
    for value in (pretrained, checkpoint):
        if isinstance(value, str) and value not in ("", "auto"):
            return f"the weights of {value.rstrip('/').rpartition('/')[2]}"
    return ""


def _class_name(node: Mapping[str, Any]) -> str:
    return str(node.get("_target_", "")).rpartition(".")[2]


def _mapping(node: Any) -> Mapping[str, Any]:
    return node if isinstance(node, Mapping) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
