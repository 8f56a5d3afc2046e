"""Accept old names of classes and arguments in configurations, checkpoints and calls, for one version."""

import functools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

__all__ = [
    "accepts_old_arguments",
    "with_current_arguments",
    "with_current_facts",
    "with_current_names",
    "with_current_overrides",
    "with_current_targets",
]

P = ParamSpec("P")

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
"""Old `_target_` -> current one. Remove an entry one version after the rename."""

MODEL_ARGUMENTS = {"front": "v1", "front_options": "v1_options", "beyond": "later_steps"}
"""Old argument of `CORnet`, and key of `model`, -> current one. Remove an entry one version after the rename."""

_OLD_OVERRIDE = re.compile(rf"^(\+{{0,2}}|~)model\.({'|'.join(MODEL_ARGUMENTS)})(?=[.=]|$)")


def with_current_names(config: Any) -> Any:
    """Return a configuration (plain data) with current names of every `_target_` and of the keys of `model`.

    A model with a `_target_` keeps its keys, because they are arguments of the user's own class.
    """
    config = with_current_targets(config)
    model = config.get("model") if isinstance(config, Mapping) else None
    if not isinstance(model, Mapping) or "_target_" in model:
        return config
    return {**config, "model": with_current_arguments(model)}


def with_current_targets(node: Any, warn: bool = False) -> Any:
    """Return a part of a configuration (plain data) with current names of every `_target_` and of keys of `brain`.

    warn: log each old name once.
    """
    if isinstance(node, Mapping):
        node = _with_current_brain_keys(node, warn)
        return {key: with_current_targets(_current(key, value, warn), warn) for key, value in node.items()}
    if isinstance(node, list):
        return [with_current_targets(value, warn) for value in node]
    return node


def with_current_arguments(
    arguments: Mapping[Any, Any], warn: bool = False, where: str = ""
) -> dict[Any, Any]:
    """Return a network's arguments with current names. If both names are given, the current one counts unless None.

    warn: log each old name once, prefixed by `where`.
    """
    current = dict(arguments)
    for old, new in MODEL_ARGUMENTS.items():
        if old not in current:
            continue
        value = current.pop(old)
        if current.get(new) is None:
            current[new] = value
        if warn:
            _warn_once(where + old, where + new)
    return current


def with_current_facts(facts: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a checkpoint's record of its network ("model.v1": value, ...) with current names."""
    if "model._target_" in facts:  # arguments of the user's own class
        return dict(facts)
    renamed = {f"model.{old}": f"model.{new}" for old, new in MODEL_ARGUMENTS.items()}
    return {renamed.get(key, key): value for key, value in facts.items()}


def with_current_overrides(overrides: Sequence[str]) -> list[str]:
    """Return overrides (`key=value`, `+key=value`, `~key`) with current keys of `model`; log each old key once.

    They are unchanged if they choose the user's own network (`model=own`, `model._target_=...`).
    """
    if any(re.match(r"\+{0,2}model(=own$|\._target_=)", override) for override in overrides):
        return list(overrides)
    return [_OLD_OVERRIDE.sub(_current_key, override, count=1) for override in overrides]


def accepts_old_arguments(function: Callable[P, None]) -> Callable[P, None]:
    """Decorate a function so that it also accepts old names of its arguments, and logs each once."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        function(*args, **with_current_arguments(kwargs, warn=True))

    return call


def _current(key: Any, value: Any, warn: bool) -> Any:
    if key != "_target_" or not isinstance(value, str) or value not in CURRENT:
        return value
    if warn:
        _warn_once(value, CURRENT[value])
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
            _warn_once("brain.ends", "brain.start_and_end_only")
    return current


def _current_key(match: re.Match[str]) -> str:
    old, new = f"model.{match[2]}", f"model.{MODEL_ARGUMENTS[match[2]]}"
    _warn_once(old, new)
    return match[1] + new


@functools.cache
def _warn_once(old: str, new: str) -> None:
    log.warning(
        "%s was renamed to %s; use the new name, because only this version accepts the old one.", old, new
    )
