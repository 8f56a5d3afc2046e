"""Near names for mistyped overrides, which Hydra itself does not give: "modle=x: did you mean model?"."""

import contextlib
import copy
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from cornet.errors import CornetError
from cornet.training._composition import Composition
from cornet.training._tree import children, delete, has, leaves, paths_of, set_value, value_at

__all__ = ["check_missing", "check_overrides", "near", "parse_overrides"]

_FLAGS_WITH_VALUE = ("--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--experimental-rerun")
_FLAGS_OF_PLACE = ("--config-path", "-cp", "--config-dir", "-cd")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def near(word: str, candidates: Iterable[str], n: int = 3, cutoff: float = 0.6) -> list[str]:
    """The at most `n` candidates that `word` may have been meant to be, nearest first.

    Case does not count, and initials do: `lr` is near `learning_rate`.
    """
    low = word.lower()

    def likeness(candidate: str) -> float:
        other = candidate.lower()
        ratio = difflib.SequenceMatcher(None, low, other).ratio()
        if len(low) > 1 and low == "".join(word[:1] for word in other.split("_")):
            return 0.9  # lr for learning_rate
        contained = len(low) >= 3 and low in other
        return max(ratio, 0.6 + 0.2 * ratio) if contained else ratio

    scored = [(likeness(candidate), candidate) for candidate in sorted(set(candidates))]
    best = max(scored, default=(0.0, ""))[0]
    scored.sort(key=lambda pair: -pair[0])
    return [name for score, name in scored if score >= max(cutoff, best - 0.1)][:n]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Hydra's own reading of each override; flags (`--multirun`, `--cfg job`) are skipped.

    Raises CornetError when one cannot be read.
    """
    return [_parse(text) for text in _without_flags(overrides)[0]]


def check_overrides(overrides: Sequence[str], config_dir: Path, config_name: str = "config") -> None:
    """Refuse overrides that name no group, choice or key, and say which names are near.

    Keys are looked up in the configuration composed with the groups that the overrides choose (in a sweep,
    with each of the choices). `hydra.*`, flags, and all names when --config-dir is given are left to Hydra.

    Raises CornetError, one sentence, for an override that cannot be read, an unknown choice, group or key,
    `+` before a key that exists, and `~` before one that does not.
    """
    lines, flags = _without_flags(overrides)
    parsed = [_parse(line) for line in lines]
    if any(flag in flags for flag in _FLAGS_OF_PLACE):
        return
    name = flags.get("--config-name") or flags.get("-cn") or config_name
    search_path = [o.input_line for o in parsed if o.key_or_group == "hydra.searchpath" and o.input_line]
    ours = [o for o in parsed if o.key_or_group.split(".")[0].split("/")[0] != "hydra"]
    with Composition(config_dir, name, search_path) as composition:
        choosers = [o for o in ours if _chooses(o, composition)]
        variants = [_variants(o, composition) for o in choosers]
        setters = [o for o in ours if o not in choosers]
        base = [options[0] for options in variants]
        _check_keys(setters, composition, base)
        for i, options in enumerate(variants):
            for option in options[1:]:
                _check_keys(setters, composition, [*base[:i], option, *base[i + 1 :]])


def check_missing(config: DictConfig) -> None:
    """Raises CornetError when a mandatory value (`???`) was not given, naming the key and how to give it."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        more = f" (and so have {', '.join(missing[1:])})" if missing[1:] else ""
        raise CornetError(
            f"{missing[0]} has no value yet{more}; give it on the command line: {missing[0]}=<value>."
        )


def _without_flags(overrides: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    kept, flags, i = [], {}, 0
    while i < len(overrides):
        flag, _, value = overrides[i].partition("=")
        i += 1
        if not flag.startswith("-"):
            kept.append(overrides[i - 1])
            continue
        following = overrides[i] if i < len(overrides) else ""
        takes = flag in _FLAGS_WITH_VALUE + _FLAGS_OF_PLACE or (
            flag in ("--info", "-i") and following in _INFO
        )
        if takes and not value:
            value, i = following, i + 1
        flags[flag] = value
    return kept, flags


def _parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
        why = next((line for line in reason if not line.startswith(("Error parsing", "See http"))), "")
        if "=" not in text and not text.startswith("~"):
            raise CornetError(
                f"{text!r} is no override: write key=value (or ~key to remove a key)."
            ) from None
        raise CornetError(
            f"The override {text} cannot be read ({why}); quote values with special characters twice, "
            "once for the shell and once for Hydra, as in 'key=\"a (b)\"'."
        ) from None


def _chooses(override: Override, composition: Composition) -> bool:
    """Whether this chooses from a group (`model=cornet_z`); `model.width=2` and `model={width: 2}` do not."""
    return composition.is_group(override.key_or_group) and not isinstance(override.value(), dict)


def _variants(override: Override, composition: Composition) -> list[str]:
    """The override once for each choice that it sweeps over; raises CornetError for an unknown choice."""
    group, key = override.key_or_group, override.get_key_element()
    choices = composition.choices(group)
    value: Any = override.value()
    if override.is_delete():
        return [override.input_line or key]
    if isinstance(value, Glob):
        found = value.filter(choices)
        if not found:
            raise CornetError(f"{override.input_line}: no {group} matches; choices: {_listed(choices)}.")
        return [f"{key}={choice}" for choice in found]
    if override.is_interval_sweep():
        raise CornetError(f"{override.input_line}: {group} takes a name; choices: {_listed(choices)}.")
    swept = list(override.sweep_iterator()) if override.is_sweep_override() else [value]
    for option in swept:
        for choice in option if isinstance(option, list) else [option]:
            if choice is None:
                off = f"{group}=none" if "none" in choices else f"~{group}"
                raise CornetError(f"{override.input_line}: a group is not switched off by null; write {off}.")
            if str(choice).removesuffix(".yaml") not in choices and "${" not in str(choice):
                raise CornetError(
                    f"{key}={choice}: there is no such {group}{_did_you_mean(near(str(choice), choices))} "
                    f"Choices: {_listed(choices)}."
                )
    if not override.is_sweep_override():
        return [override.input_line or key]
    return [f"{key}={option}" for option in override.sweep_string_iterator()]


def _check_keys(setters: list[Override], composition: Composition, chosen: list[str]) -> None:
    config = copy.deepcopy(composition.compose(chosen))
    for override in setters:
        key, value = override.key_or_group, override.value()
        if override.is_sweep_override():
            discrete = override.is_discrete_sweep() and not isinstance(value, Glob)
            value = next(iter(override.sweep_iterator()), None) if discrete else None
        exists = has(config, key.split(".")) and "/" not in key and override.package is None
        if override.is_add() and exists and not isinstance(value, dict):
            raise CornetError(f"{override.input_line}: {key} exists already; leave out the + to change it.")
        if override.is_delete() and not exists:
            raise _unknown(override, key, config, composition, chosen)
        if override.is_delete():
            delete(config, key.split("."))
            continue
        if not override.is_add() and not override.is_force_add():
            merged = isinstance(value_at(config, key.split(".")), dict)
            for path in leaves(key, value) if merged else [key]:
                if not has(config, path.split(".")) or override.package is not None or "/" in path:
                    raise _unknown(override, path, config, composition, chosen)
        for path, leaf in leaves(key, value).items():
            set_value(config, path.split("."), leaf)


def _unknown(
    override: Override, key: str, config: dict, composition: Composition, chosen: list[str]
) -> CornetError:
    line, groups = override.input_line or key, composition.groups()
    if override.package is not None:
        key = f"{key}@{override.package}"
    owners = [group for group in groups if str(override.value()) in composition.choices(group)]
    if owners and not override.is_delete() and near(key, owners) == []:
        suggestions = [f"{group}={override.value()}" for group in owners]
        return CornetError(f"{line}: there is no {key}{_did_you_mean(suggestions)}")
    others = _choices_with(key, composition, chosen)
    if others:
        group = key.split(".")[0]
        return CornetError(f"{line}: there is no {key} with this {group}; {_listed(others)} would have it.")
    suggestions = _near_keys(key, config, groups)
    if suggestions:
        return CornetError(f"{line}: there is no {key}{_did_you_mean(suggestions)}")
    parent = key.rpartition(".")[0]
    while parent and not isinstance(value_at(config, parent.split(".")), dict):
        parent = parent.rpartition(".")[0]
    siblings = children(config, parent.split(".") if parent else [])
    there = f"; {parent or 'the configuration'} has: {_listed(siblings)}." if siblings else "."
    add = "" if override.is_delete() else f" (+{line.lstrip('+')} would add it)"
    return CornetError(f"{line}: there is no {key}{add}{there}")


def _choices_with(key: str, composition: Composition, chosen: list[str]) -> list[str]:
    """The choices of the key's group with which it would be there: `data=imagenet` for `data.folder`."""
    group, _, rest = key.partition(".")
    found = []
    for choice in composition.choices(group)[:20] if rest and composition.is_group(group) else []:
        with contextlib.suppress(CornetError):
            if has(composition.compose([*chosen, f"{group}={choice}"]), key.split(".")):
                found.append(f"{group}={choice}")
    return found


def _near_keys(key: str, config: dict, groups: Sequence[str]) -> list[str]:
    """Dotted paths near `key`: siblings in the folder it names, those that end alike elsewhere, like ones."""
    paths = sorted({*paths_of(config), *groups})
    parent, _, leaf = key.rpartition(".")
    siblings = [f"{parent}.{name}" for name in near(leaf, children(config, parent.split(".")))]
    same = [p for p in paths if p.rpartition(".")[2].lower() == leaf.lower()]
    same.sort(key=lambda p: -difflib.SequenceMatcher(None, key.lower(), p.lower()).ratio())
    if siblings or same:
        return [*siblings, *(p for p in same if p not in siblings)][:3]
    if parent and has(config, parent.split(".")):
        return []
    similar = near(leaf, {p.rpartition(".")[2] for p in paths}, 2)
    # What two long paths share from their start on makes them look alike: ask for more.
    alike = near(key, [p for p in paths if p.count(".") == key.count(".")], cutoff=0.75 if parent else 0.6)
    return alike or [p for name in similar for p in paths if p.rpartition(".")[2] == name][:3]


def _listed(names: Sequence[str], most: int = 24) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _did_you_mean(suggestions: Sequence[str]) -> str:
    if not suggestions:
        return "."
    *some, last = suggestions
    return f"; did you mean {', '.join(some)} or {last}?" if some else f"; did you mean {last}?"
