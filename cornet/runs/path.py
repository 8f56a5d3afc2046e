"""Choose the folder of a run: `runs/<name>/seed<k>`, or `runs/<name>/<variant>/seed<k>` for further configurations."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from cornet.errors import CornetError
from cornet.old_names import with_current_names
from cornet.opening import read_bytes

__all__ = [
    "DEFAULT_TASK",
    "IGNORED",
    "check_name",
    "find_run_path",
    "identity_of",
    "is_ignored",
    "parse_overrides",
    "variant_name",
    "without_defaults",
    "without_seed",
]

IGNORED = tuple(
    f"{group}{key}"
    for group, keys in {
        "": "seed name root run_folder run_id fresh plan hardware sweep logger progress hydra trainer=",
        "data.": "cache cache_gb storage_options",
        "loader.": "workers val_batch_size",
        "callbacks.": "alignment progress sample_stimuli brain_checkpoint last_checkpoint every_epoch throughput "
        "time_matrix halving",
        "trainer.": "accelerator strategy devices num_nodes enable_progress_bar log_every_n_steps",
    }.items()
    for key in keys.split()
)
"""Keys, with all keys below them, that do not change a run's identity: seed and name (which are in the path), folders,
caches, logging, sweep settings, devices and processes. `trainer=` is only the choice of that group: a run that started
on one GPU can resume on eight (other differences between two trainers are in the identity). Images and brain data enter
by their content, see `content_of`."""

DEFAULT_TASK = {"_target_": "cornet.tasks.Classification"}
"""The task of runs of versions without a choice of tasks; its label smoothing is the recipe's."""

_DEFAULT_CKPT_PATHS = (None, "auto")
"""Values of ckpt_path that do not change the identity; a path does."""

_MAX_LENGTH = 48  # characters of a variant's name
_MAX_ENTRIES = 3
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.]*=([a-z0-9_.-]*[a-z0-9_])?")
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./:@+-]*")
_NOT_STRINGS = ("null", "true", "false", "nan", "inf")


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides as Hydra does. Raises CornetError for an invalid override."""
    parser, parsed = OverridesParser.create(), []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except HydraException as error:
            if "=" not in text and not text.startswith("~"):
                raise CornetError(
                    f"{text!r} is not an override: write key=value (or ~key to remove a key)."
                ) from None
            lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
            why = next((line for line in lines if not line.startswith(("Error parsing", "See http"))), "")
            raise CornetError(
                f"The override {text} cannot be read ({why}); quote values with special characters twice, "
                "once for the shell and once for Hydra, as in 'key=\"a (b)\"'."
            ) from None
    return parsed


def variant_name(overrides: Sequence[str]) -> str:
    """Return a short name for the overrides, such as "model.width-0.5+recipe.epochs-3"; "default" if there are none.

    It has at most three entries and 48 characters. If this leaves something out, or an entry is not a safe file name
    (capitals, slashes), it ends in eight digits of a SHA-256 of all entries; it never contains a path. The spelling
    of numbers does not matter, and the last override of a key wins. Raises CornetError for an invalid override.
    """
    last: dict[str, str] = {}
    for override in parse_overrides(overrides):
        for key, entry in _entries(override).items():
            last.pop(key, None)
            if not is_ignored(key) and entry not in ("ckpt_path=null", "ckpt_path=auto"):
                last[key] = entry
    if not last:
        return "default"
    entries = sorted(last.values())
    # The first '-' ends a key and '+' ends an entry, so the name can be parsed. No character needs quotes in a shell
    # or on train.py's command line.
    name = "+".join(entry.replace("=", "-", 1) for entry in entries)
    if len(entries) <= _MAX_ENTRIES and len(name) <= _MAX_LENGTH and all(map(_PLAIN.fullmatch, entries)):
        return name
    shown = [entry.partition("=")[0] if "/" in entry else entry for entry in entries[:_MAX_ENTRIES]]
    readable = re.sub(r"[^a-z0-9_.+-]+", "-", "+".join(shown).lower())[: _MAX_LENGTH - 9].strip(".+-")
    return f"{readable}+{_digest(entries)}"


def find_run_path(
    root: Path | str, name: str, seed: int, variant: str, identity: Mapping[str, Any], sweep: bool = False
) -> Path:
    """Return the folder of a run: `root/name/seed<k>`, or `root/name/<variant>/seed<k>`.

    An existing run keeps its folder, and its other seeds get folders beside it; identity.json tells which runs belong
    together. Otherwise the first configuration of a name gets the short path. Further ones, and all runs of a sweep,
    get a folder named by their variant. variant: from `variant_name`. identity: from `identity_of`. Raises CornetError
    for an invalid name.
    """
    check_name(name)
    folder = Path(root) / name
    own = without_seed(identity, seed)
    parents = {path: known for path in _seed_parents(folder) if (known := _read_identity(path)) is not None}
    for parent, known in parents.items():
        if known == own:
            return parent / f"seed{seed}"
    if not sweep and folder not in parents:
        return folder / f"seed{seed}"
    parent = folder / variant
    if parent in parents:  # it belongs to another configuration
        parent = folder / f"{variant}+{_digest(own)}"
    return parent / f"seed{seed}"


def check_name(name: str) -> None:
    """Raise CornetError if a run's name cannot be a folder's name."""
    if not isinstance(name, str):  # Hydra reads name=2024 and name=nan as numbers
        raise CornetError(f"name={name!r} must be text; begin it with a letter, as in name=run_2024.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name.endswith("."):
        raise CornetError(
            f"name={name}: a run's name becomes a folder; use up to 100 letters, digits, '.', '_' and '-', "
            "as in name=first_try."
        )
    if re.fullmatch(r"seed-?\d+", name):
        raise CornetError(
            f"name={name}: names like seed0 are reserved for folders of seeds; choose another name."
        )


def _seed_parents(folder: Path) -> list[Path]:
    """Return the folder of a name and those of its variants."""
    try:
        below = sorted(
            path for path in folder.iterdir() if path.is_dir() and not re.match(r"seed-?\d", path.name)
        )
    except OSError:
        below = []
    return [folder, *below]


def _read_identity(parent: Path) -> dict[str, Any] | None:
    """Read the identity of the runs seed<k> in a folder from the first readable file. Return None without runs."""
    for path in sorted(parent.glob("seed*/identity.json")):
        try:
            content = without_defaults(with_current_names(json.loads(read_bytes(path))))
            seed = int(path.parent.name.removeprefix("seed").partition(".")[0])
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return without_seed(content, seed)
    return None


def without_seed(identity: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Remove keys named seed, such as loader.seed, whose value is the run's seed."""
    return {
        key: without_seed(value, seed) if isinstance(value, dict) else value
        for key, value in identity.items()
        if not (key == "seed" and value == seed)
    }


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def is_ignored(key: str, ignored: Sequence[str] = IGNORED) -> bool:
    """Return whether a dotted key or group is in `ignored` or below an entry; `group=` matches only the choice."""
    return f"{key}=" in ignored or any(
        key == prefix or key.startswith((f"{prefix}.", f"{prefix}/", f"{prefix}@")) for prefix in ignored
    )


def identity_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return a resolved configuration without the ignored keys: two runs are the same if theirs are equal.

    It is plain JSON with current names, so tuples equal lists, and the key 1 equals "1".
    """
    ignored = [
        key for key in IGNORED if not key.endswith("=")
    ]  # a resolved configuration has no group choices

    def without_ignored(node: dict[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: without_ignored(value, f"{prefix}{key}.") if isinstance(value, dict) else value
            for key, value in node.items()
            if not is_ignored(f"{prefix}{key}", ignored)
        }

    identity = json.loads(json.dumps(without_ignored(with_current_names(config), ""), default=str))
    if identity.get("ckpt_path") in _DEFAULT_CKPT_PATHS:
        identity.pop("ckpt_path", None)
    return without_defaults(identity)


def without_defaults(config: Any) -> Any:
    """Remove what an earlier version did not have, if it changes nothing, so that earlier runs keep their identity.

    These are keys with null, empty groups and lists, and the task that all runs had before there were others.
    """
    if not isinstance(config, dict):
        return config
    smoothing = (config.get("recipe") or {}).get("label_smoothing", 0.0)
    default = ("task", {**DEFAULT_TASK, "label_smoothing": smoothing})
    return _without_nulls({key: value for key, value in config.items() if (key, value) != default})


def _without_nulls(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    kept = {key: _without_nulls(value) for key, value in node.items() if value is not None}
    return {key: value for key, value in kept.items() if value not in ({}, [])}


def _entries(override: Override) -> dict[str, str]:
    """Return {key: "key=value"}, without the prefixes + and ++, and with `{a: 1}` as one entry per key."""
    key = override.key_or_group + (f"@{override.package}" if override.package else "")
    if override.is_delete():
        return {key: f"~{key}" + ("" if override.value() is None else f"={_text(override.value())}")}
    if override.is_sweep_override():
        return {key: f"{key}=sweep:{json.dumps((override.input_line or key).partition('=')[2])}"}
    return {path: f"{path}={text}" for path, text in _leaves(key, override.value()).items()}


def _leaves(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        return {key: _text(value)}
    return {path: text for k, v in value.items() for path, text in _leaves(f"{key}.{_key(k)}", v).items()}


def _key(key: Any) -> str:
    return json.dumps(key) if isinstance(key, str) and "." in key else _text(key)


def _text(value: Any) -> str:
    """Convert a value to text, one to one: plain words are bare, all other strings quoted."""
    if isinstance(value, str):
        bare = _BARE_WORD.fullmatch(value) and value.lower() not in _NOT_STRINGS
        return value if bare else json.dumps(value)
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_text(k)}:{_text(v)}" for k, v in value.items())) + "}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)
