"""Read and check the configuration that a run recorded, which may come from an untrusted source.

It is read as plain data of limited size and never resolved. A `_target_` may only name what EXACT and PROVIDED allow
for its key. References (${...}) and addresses are refused, and every output goes to the new run's folder.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.old_names import with_current_names
from cornet.opening import read_bytes
from cornet.runs.path import DEFAULT_TASK
from cornet.sizes import is_seed

__all__ = [
    "check_recorded",
    "config_text",
    "differences",
    "entries",
    "flat",
    "is_provided",
    "moved_to_new_folder",
    "read_config",
]

MAX_BYTES = 2**20
"""Maximum size of a configuration in bytes; those of train.py have a few thousand."""

MAX_DEPTH = 50
"""Maximum nesting of lists and mappings."""

EXACT = {
    "recipe": "cornet.training.recipe.Recipe",
    "trainer": "pytorch_lightning.Trainer",
    "trainer.strategy": "cornet.training.ranks.strategy.RankStrategy",
}
"""{key of the configuration: the only class that its `_target_` may name}."""

PROVIDED = {
    "data": (("cornet.stimuli",), "val"),
    "task": (("cornet.tasks",), "monitor"),
    "losses.*": (("cornet.losses",), "needs_readouts"),
    "diet": (("cornet.stimuli.diet",), "age"),
    "callbacks.*": (
        ("cornet.training.callbacks", "cornet.training.loggers", "cornet.training.sweeps"),
        "state_key",
    ),
}
"""{key: packages whose classes it may name, and an attribute that only classes of that kind have}."""

PARTS = ("model", "data", "recipe", "trainer", "loader", "brain", "callbacks")
DROPPED = ("hardware", "hydra", "logger", "sweep")
"""Parts that a rerun ignores: it logs to metrics.csv only and is not part of a sweep."""
TRAINER_TEXT_KEYS = ("_target_", "accelerator", "devices", "deterministic")
"""Keys of the trainer that may be text; for other keys, text can name a profiler, a logger, or a path to write to."""


def read_config(path: Path) -> dict[str, Any]:
    """Read a config.yaml as plain Python data, with references as written.

    Raises FileNotFoundError, and CornetError if the file is unreadable, not a mapping, too large, too deep, or has
    aliases.
    """
    try:
        data = read_bytes(path)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has {len(data):,} bytes, and the limit is {MAX_BYTES:,}")
        text = data.decode()
        check_events(text)
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if not isinstance(content, dict):
            raise ValueError("it is not a mapping of keys to values")
    except FileNotFoundError:
        raise
    except Exception as error:  # YAML parsers raise many exceptions on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CornetError(f"{path} cannot be read ({reason}); restore it.") from None
    return with_current_names({str(key): value for key, value in content.items()})


def config_text(folder: Path) -> str | None:
    """Read the text of a run's config.yaml for display. Return None if it is missing, not text, too large or a link."""
    path = folder / "config.yaml"
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            return None
        return read_bytes(path).decode()
    except (OSError, UnicodeDecodeError):
        return None


def check_events(text: str) -> None:
    """Raise ValueError for aliases and too deep nesting, before anything is built from the text."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"it has the alias *{event.anchor}, which cornet never writes")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def check_recorded(config: Mapping[str, Any], where: str, trust: bool = False) -> None:
    """Raise CornetError if a recorded configuration requests anything that cornet does not provide.

    config: plain data, from `read_config`. where: its file, for messages. trust: only check that the configuration
    is complete and has no references.
    """
    if missing := [part for part in PARTS if not isinstance(config.get(part), Mapping)]:
        raise CornetError(f"{where} has no part {missing[0]!r}, so it is not a run's; restore it.")
    if not is_seed(config.get("seed")):
        raise CornetError(
            f"{where} has seed={config.get('seed')!r}, which must be a whole number from 0 to 2**32 - 1; restore it."
        )
    used = {key: value for key, value in config.items() if key not in DROPPED}
    for key, value in entries(used):
        if "${" in f"{key}{value}":
            raise CornetError(
                f"{where} has {key}={value!r}, a reference, and a run records values only; write the value instead."
            )
    if trust:
        return
    for key, value in entries(used):
        if reason := refusal_reason(key, value):
            raise CornetError(
                f"{where} has {key}={value!r}, {reason}; give --trust if you trust the author of this run."
            )


def refusal_reason(key: str, value: Any) -> str:
    """Return why an entry of an untrusted configuration is refused; "" if it is allowed."""
    part, _, last = key.rpartition(".")
    if "_target_" in key.split("."):
        owner = re.sub(r"^(callbacks|losses)\.[^.]+$", r"\1.*", part)
        return "" if is_provided(owner, value) else "which cornet does not allow for this key"
    if {"_args_", "_partial_", "_recursive_", "_convert_"} & set(key.split(".")):
        return "which changes what is called"
    if isinstance(value, str) and "://" in value:
        return "an address that would be contacted"
    if key.startswith("model.") and (
        last in ("weights_url", "accept_hash") or (last == "pretrained" and value is True)
    ):
        return "which would download weights"
    if key.startswith("trainer.") and isinstance(value, str) and last not in TRAINER_TEXT_KEYS:
        return "text that could name another program or path"
    if key.startswith("callbacks.") and last == "filename" and re.search(r"[^\w=-]", str(value)):
        return "which is not a plain file name"
    return ""


def is_provided(owner: str, target: Any) -> bool:
    """Return whether `target`, a dotted name, is a class that EXACT or PROVIDED allows for the key `owner`."""
    if owner in EXACT:
        return bool(target == EXACT[owner])
    packages, attribute = PROVIDED.get(owner, ((), ""))
    if not isinstance(target, str) or not re.fullmatch(r"(\w+\.)+\w+", target):
        return False
    module, _, name = target.rpartition(".")
    if not any(f"{module}.".startswith(f"{package}.") for package in packages):
        return False
    try:
        value = getattr(import_module(module), name, None)  # the module is one of cornet's packages
    except ImportError:
        return False
    own = isinstance(value, type) and f"{value.__module__}.".startswith(f"{module}.")
    return own and hasattr(value, attribute)


def entries(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every leaf in nested mappings and lists. An empty one counts as a leaf."""
    if isinstance(node, Mapping | list) and node:
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from entries(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def moved_to_new_folder(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded configuration with the paths of its run replaced by `${run_folder}`, for a rerun."""
    old = str(config.get("run_folder"))

    def moved(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: moved(value) for key, value in node.items()}
        if isinstance(node, list):
            return [moved(value) for value in node]
        if isinstance(node, str) and (node == old or node.startswith(f"{old}/")):
            return "${run_folder}" + node.removeprefix(old)
        return node

    rerun = {key: moved(value) for key, value in config.items() if key not in DROPPED}
    outputs = {"folder": "${run_folder}", "dirpath": "${run_folder}/checkpoints", "halving": False}
    for callback in rerun["callbacks"].values():
        if isinstance(callback, dict) and is_provided("callbacks.*", callback.get("_target_")):
            callback.update({key: value for key, value in outputs.items() if key in callback})
    rerun["data"].pop("cache", None)  # use this user's own cache
    if "task" not in rerun:  # a run of a version without a choice of tasks
        rerun["task"] = {**DEFAULT_TASK, "label_smoothing": rerun["recipe"].get("label_smoothing", 0.0)}
    rerun.setdefault("losses", {})
    logger = {"csv": {"_target_": "cornet.training.loggers.csv.CsvLogger", "folder": "${run_folder}"}}
    reset = {"run_folder": None, "run_id": None, "fresh": False, "plan": False, "root": "."}
    return {**rerun, **reset, "logger": logger}


def differences(old: Any, new: Any, there: str = "there", here: str = "here") -> str:
    """Describe up to three differences of two configurations: "width is 2 there and 3 here, ..."."""
    a, b = ({key: json.dumps(value) for key, value in flat(node)} for node in (old, new))
    keys = [k for k in sorted({*a, *b}) if a.get(k, "missing") != b.get(k, "missing")]
    shown = [f"{k} is {a.get(k, 'missing')} {there} and {b.get(k, 'missing')} {here}" for k in keys[:3]]
    return ", ".join(shown + ([f"{len(keys) - 3} more"] if len(keys) > 3 else []))


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every leaf in nested mappings. Lists and empty mappings are leaves."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
