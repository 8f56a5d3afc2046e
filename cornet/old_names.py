"""Map class names of earlier versions, as found in run folders and users' configurations, to current names."""

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
"""{old name: current name}. Remove an entry one version after the renaming."""


def with_current_names(node: Any, warn: bool = False) -> Any:
    """Return a configuration (plain data) with the current name in every `_target_`. warn: log each old name."""
    if isinstance(node, Mapping):
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
