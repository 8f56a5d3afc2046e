"""Hydra's errors of composition as one sentence each, with the names that are near: "did you mean model?"."""

import contextlib
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.object_type import ObjectType
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from cornet.errors import CornetError
from cornet.runs.path import parse_overrides

__all__ = ["explain", "near", "one_sentence"]

_NOT_IN_CONFIG = r"Could not override '([^']+)'"
_NO_SUCH = r"(?:delete from config\. |config group )'([^']+)'"


def near(word: str, candidates: Iterable[str], n: int = 3) -> list[str]:
    """The at most `n` dotted names (or paths) nearest to `word`, by their last part; initials match."""
    *above, low = re.split(r"[./]", word.lower())

    def likeness(candidate: str) -> float:
        *over, other = re.split(r"[./]", candidate.lower())
        ratio = difflib.SequenceMatcher(None, low, other).ratio()
        if len(low) > 1 and low == "".join(part[:1] for part in other.split("_")):
            ratio = 0.9
        elif len(low) > 2 and low in other:
            ratio = max(ratio, 0.6 + 0.2 * ratio)
        return ratio if ratio < 0.6 else ratio + 0.3 * difflib.SequenceMatcher(None, above, over).ratio()

    scored = sorted(((likeness(one), one) for one in set(candidates)), key=lambda pair: (-pair[0], pair[1]))
    return [name for score, name in scored if score >= max(0.6, scored[0][0] - 0.1)][:n]


def one_sentence(error: Exception) -> CornetError:
    """Hydra's many lines as one sentence."""
    text = str(error if str(error).strip() else error.__cause__ or error)
    text = " ".join(re.split("Available options|(?:Config s|S)earch path", text)[0].split()).rstrip(".")
    missing = isinstance(error, MissingConfigException) and error.options
    hint = _did_you_mean(near(str(getattr(error, "missing_cfg_file", "")), missing or []))
    return CornetError(f"The configuration cannot be composed: {text}{hint}")


def explain(error: Exception, loader: ConfigLoaderImpl, name: str, overrides: Sequence[str]) -> CornetError:
    """Why Hydra could not compose the configuration `name` with these overrides."""
    with contextlib.suppress(Exception):  # what names there are cannot be found out either
        parsed = parse_overrides(overrides)
        search = [str(o.input_line) for o in parsed if o.key_or_group == "hydra.searchpath"]
        repository = loader._parse_overrides_and_create_caching_repo(name, search)[1]

        def options(group: str, kind: ObjectType = ObjectType.CONFIG, above: str = "") -> list[str]:
            """Of a group, and of those in it as `folder/name`."""
            found = [f"{above}{one}" for one in repository.get_group_options(group, kind)]
            for inner in repository.get_group_options(group, ObjectType.GROUP):
                found += options(f"{group}/{inner}".strip("/"), kind, f"{above}{inner}/")
            return sorted(found)

        groups = options("", ObjectType.GROUP)
        choosing = [o for o in parsed if o.key_or_group in groups and not isinstance(o.value(), dict)]
        for o in choosing:
            group, value, names = o.key_or_group, o.value(), options(o.key_or_group)
            if o.is_add() and str(error).startswith("Multiple values for "):
                return CornetError(f"{o.input_line}: {group} is chosen already; leave out the +.")
            for choice in value if isinstance(value, list) else [value]:
                if not (str(choice) in names or o.is_delete() or o.is_sweep_override()):
                    close = near(str(choice), names) or [f"~{group}"] * (choice is None)
                    return CornetError(
                        f"{o.input_line}: there is no such {group}{_did_you_mean(close)} Choices: {_listed(names)}."
                    )

        cause = error.__cause__
        unknown = isinstance(cause, ConfigAttributeError | ConfigKeyError)
        found = re.search(_NOT_IN_CONFIG if unknown else _NO_SUCH, str(error))
        if not found:
            return one_sentence(error)
        key = max(found[1], getattr(cause, "full_key", None) or "", key=len)  # model={tims: 3}: model.tims
        line = next((str(o.input_line) for o in parsed if o.key_or_group == found[1]), key)
        chosen = search + [str(o.input_line) for o in choosing]

        def compose(*more: str) -> Any:
            mode, lines = RunMode.MULTIRUN, [*chosen, *more]
            config = loader.load_configuration(name, lines, mode, validate_sweep_overrides=False)
            return OmegaConf.to_container(config, resolve=False)

        config, others = compose(), []
        if key in _paths(config):  # removed by another override
            return one_sentence(error)
        group, _, rest = key.partition(".")
        for choice in options(group)[:20] if rest and group in groups else []:
            with contextlib.suppress(Exception):  # a choice that does not go with the others
                if key in _paths(compose(f"{group}={choice}")):
                    others.append(f"{group}={choice}")
        if others:
            now = f"{group}={config['hydra']['runtime']['choices'].get(group)}"
            return CornetError(f"{line}: there is no {key} with {now}; {_listed(others)} would have it.")
        keys = [p for p in _paths(config) if p.startswith("hydra.") == key.startswith("hydra.")]
        close = near(key, [*keys, *groups])
        if not rest:  # a group by another name
            value = line.partition("=")[2]
            close += [f"{g}={value}" for g in groups if g not in close and value in options(g)]
        if close:
            return CornetError(f"{line}: there is no {key}{_did_you_mean(close[:3])}")
        parent, siblings = key, list[str]()
        while parent and not siblings:
            parent = parent.rpartition(".")[0]
            siblings = [p for p in keys if p.rpartition(".")[0] == parent and not p.startswith(f"{parent}._")]
        has = f"{parent or 'the configuration'} has: {_listed([p.rpartition('.')[2] for p in siblings])}"
        return CornetError(f"{line}: there is no {key} (+{line.lstrip('+~')} would add it); {has}.")
    return one_sentence(error)


def _paths(node: Any, above: str = "") -> list[str]:
    """The dotted names of all keys."""
    if not isinstance(node, dict):
        return []
    return [p for key, value in node.items() for p in (f"{above}{key}", *_paths(value, f"{above}{key}."))]


def _listed(names: Sequence[str], most: int = 24) -> str:
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")


def _did_you_mean(names: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else "."
