"""Names that earlier versions gave to classes: run folders and users' configurations still have them."""

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["with_current_names"]

log = logging.getLogger("cornet")

_TRAINING, _STIMULI = "cornet.training.", "cornet.stimuli."

CURRENT = {
    **{
        f"{_TRAINING}{module}.{name}": f"{_TRAINING}callbacks.{module}.{name}"
        for module, names in {
            "batch_fit": "BatchFit",
            "brain_checkpoint": "BestCheckpoint",
            "brain_score": "BrainScore",
            "guards": "FiniteLoss UnreadableFiles",
            "last_checkpoint": "LastCheckpoint",
            "progress": "Progress",
            "sample_stimuli": "SampleStimuli",
            "solution_times": "ObjectSolutionTimes",
            "step_matrix": "StepMatrix",
            "throughput": "Throughput",
        }.items()
        for name in names.split()
    },
    f"{_TRAINING}csv_logger.ContinueMetrics": f"{_TRAINING}loggers.csv.ContinueMetrics",
    f"{_TRAINING}csv_logger.CsvLogger": f"{_TRAINING}loggers.csv.CsvLogger",
    f"{_TRAINING}halving.Halving": f"{_TRAINING}sweeps.halving.Halving",
    f"{_TRAINING}loggers.tensorboard": f"{_TRAINING}loggers.uploads.tensorboard",
    f"{_TRAINING}loggers.wandb": f"{_TRAINING}loggers.uploads.wandb",
    f"{_TRAINING}rank_strategy.RankStrategy": f"{_TRAINING}ranks.strategy.RankStrategy",
    f"{_STIMULI}cifar.Cifar": f"{_STIMULI}datasets.cifar.Cifar",
    f"{_STIMULI}photographs.ImageFolder": f"{_STIMULI}datasets.photographs.ImageFolder",
    f"{_STIMULI}shards.ImageShards": f"{_STIMULI}datasets.shards.ImageShards",
}
"""The name of today for each old one. Remove an entry one version after it was renamed."""


def with_current_names(node: Any, warn: bool = False) -> Any:
    """A configuration (plain data) with current names for every `_target_` and key. warn: log each old name."""
    if isinstance(node, Mapping):
        node = _with_current_brain_keys(node, warn)
        return {key: with_current_names(_current(key, value, warn), warn) for key, value in node.items()}
    if isinstance(node, list):
        return [with_current_names(value, warn) for value in node]
    return node


def _current(key: Any, value: Any, warn: bool) -> Any:
    if key != "_target_" or not isinstance(value, str) or value not in CURRENT:
        return value
    if warn:
        log.warning("%s is now called %s; change it in your configuration.", value, CURRENT[value])
    return CURRENT[value]


def _with_current_brain_keys(node: Mapping[Any, Any], warn: bool) -> Mapping[Any, Any]:
    """Rename `ends` to `start_and_end_only` in the arguments of BrainScore, and in `brain` of a whole configuration."""
    target = node.get("_target_")
    if (
        isinstance(target, str)
        and CURRENT.get(target, target) == f"{_TRAINING}callbacks.brain_score.BrainScore"
    ):
        return _with_current_ends(node, warn)
    if "callbacks" in node and isinstance(node.get("brain"), Mapping):
        return {**node, "brain": _with_current_ends(node["brain"], warn)}
    return node


def _with_current_ends(node: Mapping[Any, Any], warn: bool) -> dict[Any, Any]:
    """Rename one `ends`; null is its default and is dropped. Remove this one version after the rename."""
    current = dict(node)
    if (ends := current.pop("ends", None)) is not None:
        current["start_and_end_only"] = ends
        if warn:
            log.warning("brain.ends was renamed to brain.start_and_end_only; use the new name.")
    return current
