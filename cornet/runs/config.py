"""Reading the configuration that a run recorded, which may be a stranger's, and what may be built from it.

It is read as plain data, bounded and never resolved. `_target_` may name only what is listed here for its place;
references (${...}) and addresses are refused, and every output goes to the new run's folder.
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

LARGEST = 2**20
"""Bytes of a configuration; ours have some thousands."""

DEEPEST = 50
"""Levels of lists and keys in one another."""

EXACT = {
    "recipe": "cornet.training.recipe.Recipe",
    "trainer": "pytorch_lightning.Trainer",
    "trainer.strategy": "cornet.training.ranks.strategy.RankStrategy",
}
"""What a part of a recorded configuration may name."""

PROVIDED = {
    "data": (("cornet.stimuli.datasets", "cornet.stimuli.objects"), "val"),
    "callbacks.*": (
        ("cornet.training.callbacks", "cornet.training.loggers", "cornet.training.sweeps"),
        "state_key",
    ),
}
"""The packages whose classes it may name instead, and an attribute that tells sources and callbacks from others."""

PARTS = ("model", "data", "recipe", "trainer", "loader", "brain", "callbacks")
DROPPED = ("hardware", "hydra", "logger", "sweep")
"""Parts that are not used again: a repeated run is logged to metrics.csv only, and belongs to no sweep."""
TRAINER_WORDS = ("_target_", "accelerator", "devices", "deterministic")
"""Keys of the trainer that may be text; as others text can name a profiler, a logger, or a place to write."""


def read_config(path: Path) -> dict[str, Any]:
    """The content of a config.yaml as plain Python, references as written.

    Raises FileNotFoundError, and CornetError for one that is unreadable, no table of keys, too large or deep, or has
    aliases.
    """
    try:
        data = read_bytes(path)
        if len(data) > LARGEST:
            raise ValueError(f"it has {len(data):,} bytes, and {LARGEST:,} are the most that is read")
        text = data.decode()
        check_events(text)
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if not isinstance(content, dict):
            raise ValueError("it is no table of keys")
    except FileNotFoundError:
        raise
    except Exception as error:  # damage makes the YAML readers fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CornetError(f"{path} cannot be read ({reason}); restore it.") from None
    return with_current_names({str(key): value for key, value in content.items()})


def config_text(folder: Path) -> str | None:
    """The text of a run's config.yaml, to be shown; None where it is absent, is no text, is large or is a link."""
    path = folder / "config.yaml"
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            return None
        return read_bytes(path).decode()
    except (OSError, UnicodeDecodeError):
        return None


def check_events(text: str) -> None:
    """Raise ValueError for aliases and for depth, before anything is built of the text."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"it has the alias *{event.anchor}, and train.py writes none")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is deeper than {DEEPEST} levels")


def check_recorded(config: Mapping[str, Any], where: str, trust: bool = False) -> None:
    """Raise CornetError where a recorded configuration asks for more than cornet provides.

    config: plain data, as of `read_config`. where: its file, for messages. trust: of all this only
    that it is whole and without references is checked.
    """
    if lacking := [part for part in PARTS if not isinstance(config.get(part), Mapping)]:
        raise CornetError(f"{where} has no part {lacking[0]!r}, so it is not a run's; restore it.")
    if not is_seed(config.get("seed")):
        raise CornetError(
            f"{where} has seed={config.get('seed')!r}, which must be a whole number from 0 to 2**32 - 1; restore it."
        )
    used = {key: value for key, value in config.items() if key not in DROPPED}
    for key, value in entries(used):
        if "${" in f"{key}{value}":
            raise CornetError(
                f"{where} has {key}={value!r}, a reference, and a run records values only; write the value out."
            )
    if trust:
        return
    for key, value in entries(used):
        if reason := refused(key, value):
            raise CornetError(
                f"{where} has {key}={value!r}, {reason}; if you trust whoever made this run, give --trust."
            )


def refused(key: str, value: Any) -> str:
    """Why an entry of a configuration that is not trusted is not used; "" where it is."""
    part, _, last = key.rpartition(".")
    if "_target_" in key.split("."):
        place = re.sub(r"^callbacks\.[^.]+$", "callbacks.*", part)
        return "" if is_provided(place, value) else "which cornet does not provide in that place"
    if {"_args_", "_partial_", "_recursive_", "_convert_"} & set(key.split(".")):
        return "which changes what is called"
    if isinstance(value, str) and "://" in value:
        return "an address that would be contacted"
    if key.startswith("model.") and (
        last in ("weights_url", "accept_hash") or (last == "pretrained" and value is True)
    ):
        return "for which weights would be downloaded"
    if key.startswith("trainer.") and isinstance(value, str) and last not in TRAINER_WORDS:
        return "and text there can name another program or place"
    if key.startswith("callbacks.") and last == "filename" and re.search(r"[^\w=-]", str(value)):
        return "which is not a plain name of a file"
    return ""


def is_provided(place: str, target: Any) -> bool:
    """Whether `target`, a dotted name, is what cornet itself provides for a part of the configuration."""
    if place in EXACT:
        return bool(target == EXACT[place])
    packages, attribute = PROVIDED.get(place, ((), ""))
    if not isinstance(target, str) or not re.fullmatch(r"(\w+\.)+\w+", target):
        return False
    module, _, name = target.rpartition(".")
    if not any(f"{module}.".startswith(f"{package}.") for package in packages):
        return False
    try:
        found = getattr(import_module(module), name, None)  # only modules of cornet come this far
    except ImportError:
        return False
    own = isinstance(found, type) and f"{found.__module__}.".startswith(f"{module}.")
    return own and hasattr(found, attribute)


def entries(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the value of every entry that is no table, however deep; and of empty tables."""
    if isinstance(node, Mapping | list) and node:
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from entries(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def moved_to_new_folder(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration for a new folder, `${run_folder}`, where all outputs go and old ones are looked for."""
    old = str(config.get("run_folder"))

    def moved(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: moved(value) for key, value in node.items()}
        if isinstance(node, list):
            return [moved(value) for value in node]
        if isinstance(node, str) and (node == old or node.startswith(f"{old}/")):
            return "${run_folder}" + node.removeprefix(old)
        return node

    again = {key: moved(value) for key, value in config.items() if key not in DROPPED}
    outputs = {"folder": "${run_folder}", "dirpath": "${run_folder}/checkpoints", "halving": False}
    for callback in again["callbacks"].values():
        if isinstance(callback, dict) and is_provided("callbacks.*", callback.get("_target_")):
            callback.update({key: value for key, value in outputs.items() if key in callback})
    again["data"].pop("cache", None)  # the user's own cache is used
    logger = {"csv": {"_target_": "cornet.training.loggers.csv.CsvLogger", "folder": "${run_folder}"}}
    own = {"run_folder": None, "run_id": None, "fresh": False, "plan": False, "root": "."}
    return {**again, **own, "logger": logger}


def differences(held: Any, wanted: Any, there: str = "there", here: str = "here", most: int = 3) -> str:
    """width is 2 there and 3 here, ..."""
    one, two = ({key: json.dumps(value) for key, value in flat(node)} for node in (held, wanted))
    keys = [k for k in sorted({*one, *two}) if one.get(k, "absent") != two.get(k, "absent")]
    shown = [f"{k} is {one.get(k, 'absent')} {there} and {two.get(k, 'absent')} {here}" for k in keys[:most]]
    return ", ".join(shown + ([f"{len(keys) - most} more"] if len(keys) > most else []))


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the value of every entry; lists are values, and so are empty tables."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
