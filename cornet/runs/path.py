"""Where a run lives: `runs/<name>/seed<k>`, or for other configurations of a name `runs/<name>/<variant>/seed<k>`."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from cornet.errors import CornetError
from cornet.old_names import with_current_names
from cornet.opening import read_bytes

__all__ = [
    "IGNORED",
    "check_name",
    "find_run_path",
    "identity_of",
    "is_ignored",
    "parse_overrides",
    "variant_name",
]

IGNORED = tuple(
    f"{group}{key}"
    for group, keys in {
        "": "seed name root run_folder run_id fresh plan hardware sweep logger progress hydra trainer=",
        "data.": "cache cache_gb storage_options",
        "loader.": "workers val_batch_size",
        "callbacks.": "progress sample_stimuli brain_checkpoint last_checkpoint throughput halving",
        "trainer.": "accelerator strategy devices num_nodes enable_progress_bar log_every_n_steps",
    }.items()
    for key in keys.split()
)
"""Keys, with all below them, that do not make another run: its seed and name (which are in the path already), where
it is kept, where fetched images are kept, how it is watched, how its sweep goes on, and the devices and processes that
it uses. `trainer=` is the choice of that group alone: a run that began on one GPU goes on with eight (what else differs
between two trainers is in the identity). Of images and brain data their content counts, see `content_of`."""

_OWN_START = (None, "auto")
"""Values of ckpt_path that make no other run; a path does."""

_LONGEST = 48  # characters of a variant's name
_MOST_ENTRIES = 3
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.]*=([a-z0-9_.-]*[a-z0-9_])?")
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./:@+-]*")
_NOT_STRINGS = ("null", "true", "false", "nan", "inf")


def parse_overrides(overrides: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Hydra's reading of each override, without flags. loader: for `glob(*)`. Raises CornetError."""
    parser, found = OverridesParser.create(loader), []
    for text in overrides:
        try:
            found += parser.parse_overrides([text])
        except HydraException as error:
            if "=" not in text and not text.startswith("~"):
                raise CornetError(
                    f"{text!r} is no override: write key=value (or ~key to remove a key)."
                ) from None
            lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
            why = next((line for line in lines if not line.startswith(("Error parsing", "See http"))), "")
            raise CornetError(
                f"The override {text} cannot be read ({why}); quote values with special characters twice, "
                "once for the shell and once for Hydra, as in 'key=\"a (b)\"'."
            ) from None
    return found


def variant_name(overrides: Sequence[str], ignored: Sequence[str] = IGNORED) -> str:
    """A short name for what the overrides change, such as "model.width-0.5+recipe.epochs-3"; "default" for nothing.

    It has at most three entries and 48 characters. Where that leaves something out it ends in eight digits of a
    SHA-256 of all entries, and so it does where an entry is not a safe file name (capitals, slashes): a path is never
    part of it. The spelling of numbers does not count, and the last override of a key wins. Raises CornetError for an
    override that cannot be read.
    """
    last: dict[str, str] = {}
    for override in parse_overrides(overrides):
        for key, entry in _entries(override).items():
            last.pop(key, None)
            if not is_ignored(key, ignored) and entry not in ("ckpt_path=null", "ckpt_path=auto"):
                last[key] = entry
    if not last:
        return "default"
    entries = sorted(last.values())
    # The first '-' ends a key, '+' an entry, so that what is joined can be taken apart again; and no character needs
    # quotes in a shell or on train.py's command line.
    name = "+".join(entry.replace("=", "-", 1) for entry in entries)
    if len(entries) <= _MOST_ENTRIES and len(name) <= _LONGEST and all(map(_PLAIN.fullmatch, entries)):
        return name
    shown = [entry.partition("=")[0] if "/" in entry else entry for entry in entries[:_MOST_ENTRIES]]
    readable = re.sub(r"[^a-z0-9_.+-]+", "-", "+".join(shown).lower())[: _LONGEST - 9].strip(".+-")
    return f"{readable}+{_digest(entries)}"


def find_run_path(
    root: Path | str, name: str, seed: int, variant: str, identity: Mapping[str, Any], sweep: bool = False
) -> Path:
    """The folder of a run: `root/name/seed<k>`, or `root/name/<variant>/seed<k>`.

    A run that is there already keeps its folder, and other seeds of it lie beside it: they are known by `identity`
    (see `identity_of`). Else the first configuration of a name gets the short path, and others, and all runs of a
    sweep, a folder named by their variant. variant: as `variant_name` gives it. Raises CornetError for a bad name.
    """
    check_name(name)
    folder, own = Path(root) / name, with_current_names(json.loads(json.dumps(identity, default=str)))
    held = {place: found for place in _places(folder) if (found := _identity_below(place)) is not None}
    for place, found in held.items():
        if found == own:
            return place / f"seed{seed}"
    if not sweep and folder not in held:
        return folder / f"seed{seed}"
    place = folder / variant
    if place in held:  # by another configuration
        place = folder / f"{variant}+{_digest(own)}"
    return place / f"seed{seed}"


def check_name(name: str) -> None:
    """Raise CornetError where a run's name cannot be the name of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name.endswith("."):
        raise CornetError(
            f"name={name}: a run's name becomes a folder; use up to 100 letters, digits, '.', '_' and '-', "
            "as in name=first_try."
        )
    if re.fullmatch(r"seed-?\d+", name):
        raise CornetError(f"name={name}: this is how the folders of seeds are called; choose another name.")


def _places(folder: Path) -> list[Path]:
    """A name's folder and those of its variants."""
    try:
        below = sorted(
            path for path in folder.iterdir() if path.is_dir() and not re.match(r"seed-?\d", path.name)
        )
    except OSError:
        below = []
    return [folder, *below]


def _identity_below(place: Path) -> dict[str, Any] | None:
    """The identity of the runs seed<k> in a folder, as the first readable one has it; None without runs."""
    for path in sorted(place.glob("seed*/identity.json")):
        try:
            content = with_current_names(json.loads(read_bytes(path)))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return content
    return None


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def is_ignored(key: str, ignored: Sequence[str] = IGNORED) -> bool:
    """Whether a dotted key or a group is one of `ignored` or lies below one; of `group=` only the choice itself is."""
    return f"{key}=" in ignored or any(
        key == prefix or key.startswith((f"{prefix}.", f"{prefix}/", f"{prefix}@")) for prefix in ignored
    )


def identity_of(config: dict[str, Any], ignored: Sequence[str] = IGNORED) -> dict[str, Any]:
    """A resolved configuration without the keys that do not make another run."""
    ignored = [key for key in ignored if not key.endswith("=")]  # it holds no choices, only what came of them

    def kept(node: dict[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: kept(value, f"{prefix}{key}.") if isinstance(value, dict) else value
            for key, value in node.items()
            if not is_ignored(f"{prefix}{key}", ignored)
        }

    found = kept(with_current_names(config), "")
    if found.get("ckpt_path") in _OWN_START:
        found.pop("ckpt_path", None)
    return found


def _entries(override: Override) -> dict[str, str]:
    """{key: "key=value"}; `+` and `++` lead to the same configuration and are left out, `{a: 1}` is taken apart."""
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
    """Another text for another value: words are bare, all other strings quoted."""
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
