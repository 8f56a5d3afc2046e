"""Where a run lives, `runs/<name>/<what was overridden>/seed<k>`, and what it is called among others."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from cornet.errors import CornetError
from cornet.names import encodable

__all__ = [
    "IGNORED",
    "RunLabels",
    "identity_of",
    "is_ignored",
    "label_loggers",
    "parse_overrides",
    "run_labels",
    "run_path",
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

_LONGEST = 100
LONGEST_TAG = 64  # characters; Weights & Biases refuses a longer one
LONGEST_NAME = 128
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


def run_path(
    root: Path | str, name: str, overrides: Sequence[str], seed: int, ignored: Sequence[str] = IGNORED
) -> Path:
    """The folder of a run: `root/name/slug/seed<k>`.

    The slug is `default` or the sorted `key-value` of the overrides that are not `ignored`, joined by `+`; what is no
    safe file name (capitals, slashes, over 100 characters) ends in ten digits of its SHA-256. The spelling of numbers
    does not count, and the last override of a key wins. Raises CornetError for a bad name or override.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name.endswith("."):
        raise CornetError(
            f"name={name}: a run's name becomes a folder; use up to 100 letters, digits, '.', '_' and '-', "
            "as in name=first_try."
        )
    return Path(root) / name / _slug(overrides, ignored) / f"seed{seed}"


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

    found = kept(config, "")
    if found.get("ckpt_path") in _OWN_START:
        found.pop("ckpt_path", None)
    return found


def _slug(overrides: Sequence[str], ignored: Sequence[str]) -> str:
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
    slug = "+".join(entry.replace("=", "-", 1) for entry in entries)
    if len(slug) <= _LONGEST and all(_PLAIN.fullmatch(entry) for entry in entries):
        return slug
    digest = hashlib.sha256("\n".join(entries).encode()).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9_.+-]+", "-", slug.lower())[: _LONGEST - 11].strip(".+-")
    return f"{readable}+{digest}"


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


class RunLabels(NamedTuple):
    """name: "objects-cornet_s width=0.5 seed=1"; group: "objects-cornet_s/model.width-0.5"; tags: ["width=0.5"]."""

    name: str
    group: str
    tags: list[str]


def run_labels(path: Path, overrides: Sequence[str]) -> RunLabels:
    """The labels of a run.

    path: `<root>/<name>/<what was overridden>/seed<k>`; the group is that of all seeds. overrides: those that make no
    other run are left out. Tags omit the configuration's group (`width=0.5`) unless keys clash; long ones end in a
    digest.
    """
    last = {o.key_or_group: encodable(o.input_line or "").lstrip("+") for o in parse_overrides(overrides)}
    kept = {key: text for key, text in sorted(last.items()) if not is_ignored(key)}
    bare = {key: key.partition(".")[2] or key for key in kept}
    tags = []
    for key, text in kept.items():
        unique = list(bare.values()).count(bare[key]) == 1
        tags.append(cut(text.replace(key, bare[key], 1) if unique else text, LONGEST_TAG))
    name, seed = path.parts[-3], path.name.removeprefix("seed")
    return RunLabels(
        cut(" ".join([name, *tags]), LONGEST_NAME - len(f" seed={seed}")) + f" seed={seed}",
        cut(f"{name}/{path.parts[-2]}", LONGEST_NAME),
        tags,
    )


def label_loggers(loggers: DictConfig, path: Path, overrides: Sequence[str]) -> None:
    """Fill in the name, group and tags that a logger's configuration has as null; what was given stays."""
    labels = run_labels(path, overrides)
    for part in loggers.values():
        for key, value in labels._asdict().items():
            if key in part and part[key] is None:
                part[key] = value


def cut(text: str, longest: int) -> str:
    """The text, or as much of it as there is room for with six digits of its SHA-256."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 7]}+{hashlib.sha256(text.encode()).hexdigest()[:6]}"
