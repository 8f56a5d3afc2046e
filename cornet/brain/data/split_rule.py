"""Decide how the stimuli of a bundle are split into training and test sets.

A bundle can define its rule in a file bundle.json next to assembly.nc, one of

    {"grouped_by": "movie"}            stimuli with the same value of this column stay on the same side
    {"stratified_by": "object_name"}   both sides get equal shares of each value
    {"fixed_by": "split"}              one split; the column's values are train, test and perhaps ood
    {"train": ["im1", ...], "test": ["im2", ...]}    one split, by stimulus_id
    {"random": true}                   neither grouped nor stratified

and may add

    "ignore": ["trial"]                    presentation coordinates besides repetition that differ within a stimulus
    "subject_by": "subject"                neuroid coordinate: each subject is fitted and scored alone, then averaged
    "keep_above": {"reliability": 0.3}     neuroid coordinates: only neuroids above these values are compared
    "ceiling_by": "reliability"            neuroid coordinate: ceilings, for responses without repetitions
    "train_limit": 5000                    number of training stimuli of a fixed split that are used, drawn once

or state that the responses are maps of activity (see `cornet.brain.data.map_bundle`), with ignore and keep_above alone

    "map_by": ["grid_y", "grid_x"]     presentation coordinates: where in the image the field was
    "map_published": true              repeat the differences of the published comparison

With fixed_by, stimuli with the value ood, or ood- and a name, are further test sets, such as images of another kind:
the same mapping is tested on each, and a score has its value on them in columns of its own. A column is
one of stimulus_set.csv or a presentation coordinate of the assembly. User options (--groups, --stratify and --ignore,
or brain.groups, ... in a configuration) override bundle.json. By default, stimuli are grouped by the column movie if
it exists, else stratified by object_name if each object has enough stimuli, else split at random; every score then
has a note that names the default.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.bundle import Bundle
from cornet.brain.data.columns import categories, check_column, similar_names
from cornet.brain.data.responses import stimulus_table
from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["RULE_FILE", "SplitOptions", "SplitRule", "read_rule_file", "split_rule"]

RULE_FILE = "bundle.json"
NONE = "none"
MIN_PER_OBJECT = 5
"""Minimum stimuli per object for stratifying by object_name by default."""

RULES = ("grouped_by", "stratified_by", "fixed_by", "train", "random")
MAPS = ("map_by", "map_published", "ignore", "keep_above")
KEYS = (*RULES, "test", "ignore", "subject_by", "keep_above", "ceiling_by", "train_limit", *MAPS[:2])
OOD = "ood"
"""Value of a split column, or its start, for test sets of another distribution."""
REMEDY = (
    f'set the rule in {RULE_FILE}, such as {{"grouped_by": "COLUMN"}}, or with --groups or --stratify (brain.groups '
    "or brain.stratify in training)"
)
MAX_BYTES = 2**24
"""Maximum bytes of bundle.json."""


@dataclass(frozen=True)
class SplitOptions:
    """The user's options. groups, stratify: a column, "none" to disable, None for the bundle's rule. ignore:
    presentation coordinates; None: the bundle's."""

    groups: str | None = None
    stratify: str | None = None
    ignore: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("groups", "stratify"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise CornetError(
                    f"{name}={value!r} is not a column name; use a column, such as {name}=movie, or {name}={NONE}."
                )
        if any(not isinstance(name, str) or not name.strip() for name in self.ignore or ()):
            raise CornetError(
                f"ignore={list(self.ignore or ())} must list coordinates, such as ignore=[trial]."
            )
        if column(self.groups) and column(self.stratify):
            raise CornetError(
                f"groups={self.groups} and stratify={self.stratify} are mutually exclusive, since a group cannot be "
                "divided between strata; set one of them."
            )


@dataclass(frozen=True)
class SplitRule:
    """The rule that is applied. groups, stratify: a column or None. fixed: training and test ids, or None. ignore:
    presentation coordinates. notes: sentences for the score. ood: names and ids of further test sets. subject_by,
    keep_above, ceiling_by: neuroid coordinates, see above. left_out: ids of training stimuli that are not used."""

    groups: str | None = None
    stratify: str | None = None
    fixed: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    ignore: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ood: tuple[tuple[str, tuple[str, ...]], ...] = ()
    subject_by: str | None = None
    keep_above: tuple[tuple[str, float], ...] = ()
    ceiling_by: str | None = None
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.fixed:
            sizes = f"{len(self.fixed[0])} for training, {len(self.fixed[1])} for testing"
            return ", ".join([f"one fixed split, {sizes}", *(f"{len(ids)} {name}" for name, ids in self.ood)])
        rule = f"grouped by {self.groups}" if self.groups else f"stratified by {self.stratify}"
        return f"10 splits, 90 % for training, {rule if self.groups or self.stratify else 'at random'}"


def column(name: str | None) -> str | None:
    """Return the column name; None for None or "none"."""
    return None if name is None or name.strip().lower() == NONE else name


def read_rule_file(folder: Path) -> dict[str, Any]:
    """Read and check the folder's bundle.json; {} if the file does not exist.

    Raises CornetError for invalid JSON, unknown keys, values of the wrong type, and several rules.
    """
    path = folder / RULE_FILE
    try:
        with open_regular(path) as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        file_rule = json.loads(text.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CornetError(
            f"{path} cannot be read as JSON ({error}); see cornet.brain.data.split_rule."
        ) from None
    if not isinstance(file_rule, dict):
        raise CornetError(f'{path} must contain an object such as {{"grouped_by": "movie"}}; write it again.')
    for key in file_rule:
        if key not in KEYS:
            similar = similar_names(key, KEYS)
            hint = f"did you mean {similar[0]!r}?" if similar else f"choose one of {', '.join(KEYS)}."
            raise CornetError(f"{path} has the unknown key {key!r}; {hint}")
    for key, value in file_rule.items():
        if key in ("train", "test", "ignore"):
            valid, kind = _is_text_list(value), "a list of strings"
        elif key in ("random", "map_published"):
            valid, kind = value is True, "true"
        elif key == "map_by":
            valid, kind = (
                _is_text_list(value) and len({*value}) == 2 == len(value),
                "two coordinates, of y and of x",
            )
        elif key == "train_limit":
            valid, kind = type(value) is int and value >= 2, "a number of at least 2"
        elif key == "keep_above":
            valid, kind = _is_limits(value), 'numbers by coordinate, such as {"reliability": 0.3}'
        else:
            valid, kind = isinstance(value, str) and bool(value.strip()), "a column name"
        if not valid:
            raise CornetError(f"{path} has {key} = {str(value)!r:.60}, but it must be {kind}; correct it.")
    if ("train" in file_rule) != ("test" in file_rule):
        raise CornetError(f"{path} has only one of train and test, but needs both; add the other.")
    if "map_by" in file_rule and (others := [key for key in file_rule if key not in MAPS]):
        raise CornetError(
            f"{path} has {others[0]} beside map_by, but maps are compared by leaving out one image at a time; remove "
            "it."
        )
    if "map_published" in file_rule and "map_by" not in file_rule:
        raise CornetError(f"{path} has map_published without map_by; add the coordinates of the positions.")
    rules = [key for key in RULES if key in file_rule]
    if len(rules) > 1:
        raise CornetError(f"{path} has several rules, {' and '.join(rules)}; keep one of them.")
    return file_rule


def split_rule(bundle: Bundle, file_rule: Mapping[str, Any], options: SplitOptions) -> SplitRule:
    """Choose the rule for a local bundle: the user's options, else bundle.json, else the default.

    Raises CornetError for an unknown column, missing values, and an invalid fixed split.
    """
    limits = tuple(sorted((name, float(limit)) for name, limit in file_rule.get("keep_above", {}).items()))
    rule = _rule_of_stimuli(bundle, file_rule, options)
    subject_by, ceiling_by = file_rule.get("subject_by"), file_rule.get("ceiling_by")
    rule = replace(rule, keep_above=limits, subject_by=subject_by, ceiling_by=ceiling_by)
    limit = file_rule.get("train_limit")
    stated = "fixed_by" in file_rule or "train" in file_rule
    return rule if limit is None else _limited(rule, limit, bundle, stated)


def _limited(rule: SplitRule, limit: int, bundle: Bundle, stated: bool) -> SplitRule:
    """The rule with some of the training stimuli, drawn with a fixed seed from their sorted ids.

    stated: whether the file has a fixed split.
    """
    if rule.fixed is None and stated:
        return rule  # an option has replaced the fixed split
    if rule.fixed is None:
        raise CornetError(
            f"{RULE_FILE} of {bundle.name} has train_limit, but no fixed split; add fixed_by, or train and test."
        )
    train, test = rule.fixed
    if len(train) <= limit:
        return rule
    drawn = np.random.default_rng(0).choice(np.sort(train), limit, replace=False).tolist()
    chosen = set(drawn)
    kept = tuple(one for one in train if one in chosen)
    note = f"fitted on {limit:,} of {len(train):,} training stimuli, drawn once (train_limit in {RULE_FILE})"
    left_out = tuple(sorted({*train} - {*kept}))
    return replace(rule, fixed=(kept, test), left_out=left_out, notes=(*rule.notes, note))


def _rule_of_stimuli(bundle: Bundle, file_rule: Mapping[str, Any], options: SplitOptions) -> SplitRule:
    ignore = tuple(file_rule.get("ignore", ()) if options.ignore is None else options.ignore)
    table = presented_stimuli(bundle, ignore)
    own = next((key for key in RULES if key in file_rule), "")
    groups, stratify = column(options.groups), column(options.stratify)
    if groups or stratify:
        _column_values(groups or stratify or "", table, bundle)
        note = f"the rule in {RULE_FILE} ({own}) was overridden by an option" if own else ""
        return SplitRule(groups, stratify, None, ignore, (note,) if note else ())
    overrides = {"grouped_by": options.groups, "stratified_by": options.stratify}
    if own and overrides.get(own) is None:
        return _rule_from_file(bundle, file_rule, own, table, ignore)
    if own:
        note = f"the rule in {RULE_FILE} ({own} = {file_rule[own]}) was disabled by an option: the split is random"
        return SplitRule(ignore=ignore, notes=(note,))
    return _default_rule(bundle, table, options, ignore)


def presented_stimuli(bundle: Bundle, ignore: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row per presented stimulus: the columns of the table and the presentation coordinates."""
    coordinates = bundle.assembly.coords
    _, first = np.unique(coordinates["stimulus_id"].values.astype(str), return_index=True)
    return stimulus_table(bundle.assembly, first, bundle.stimuli, ignore)


def _default_rule(
    bundle: Bundle, table: pd.DataFrame, options: SplitOptions, ignore: tuple[str, ...]
) -> SplitRule:
    """Choose the default rule: group by movie, else stratify by object_name, else split at random."""
    why = ""
    if options.groups is None:
        _check_similar(
            "movie", similar_names("movie", table) or _names_with_word("movie", table), table, bundle
        )
        if "movie" in table:
            _column_values("movie", table, bundle)
            return SplitRule("movie", None, None, ignore, (_note("grouped by movie", "this column exists"),))
        why = "there is no column movie"
    if options.stratify is None:
        _check_similar(
            "object_name",
            similar_names("object_name", table) or similar_names("object", table),
            table,
            bundle,
        )
        if "object_name" in table:
            counts = pd.Series(_column_values("object_name", table, bundle)).value_counts()
            if len(counts) > 1 and counts.min() >= MIN_PER_OBJECT and len(counts) <= 0.1 * counts.sum():
                note = _note("stratified by object_name", "this column exists" + (why and f" and {why}"))
                return SplitRule(None, "object_name", None, ignore, (note,))
            why += f"{why and ' and '}there are too few stimuli of each object_name"
        else:
            why += " or object_name" if why else "there is no column object_name"
    return SplitRule(ignore=ignore, notes=(_note("random", why),) if why else ())


def _check_similar(wanted: str, near: list[str], table: pd.DataFrame, bundle: Bundle) -> None:
    """Raise CornetError if the wanted column is missing and a similar one exists."""
    if near and wanted not in table:
        raise CornetError(
            f"the stimuli of {bundle.name} have no column {wanted!r} but {near[0]!r}; did you mean {wanted!r}? Rename "
            f"it, or {REMEDY}."
        )


def _note(rule: str, why: str) -> str:
    return f"splits are {rule}, since {RULE_FILE} sets no rule and {why}; to change it, {REMEDY}"


def _rule_from_file(
    bundle: Bundle, file_rule: Mapping[str, Any], own: str, table: pd.DataFrame, ignore: tuple[str, ...]
) -> SplitRule:
    """Check and return the rule of bundle.json. own: its key."""
    if own == "random":
        return SplitRule(ignore=ignore)
    if own == "train":
        return SplitRule(
            fixed=_fixed_split(bundle, file_rule["train"], file_rule["test"], table), ignore=ignore
        )
    values = _column_values(file_rule[own], table, bundle)
    if own == "grouped_by":
        return SplitRule(groups=file_rule[own], ignore=ignore)
    if own == "stratified_by":
        return SplitRule(stratify=file_rule[own], ignore=ignore)
    ids = table["stimulus_id"].to_numpy(str)
    further = np.array([value == OOD or value.startswith(f"{OOD}-") for value in values], bool)
    if len(invalid := values[~np.isin(values, ["train", "test"]) & ~further]):
        raise CornetError(
            f"the column {file_rule[own]!r} of {bundle.name} has values such as {str(invalid[0])!r} in {len(invalid)} "
            f"of {len(values)} stimuli, but must contain only train, test, {OOD} and {OOD}-NAME, as fixed_by in "
            f"{RULE_FILE}; correct it."
        )
    fixed = _fixed_split(bundle, ids[values == "train"], ids[values == "test"], table[~further])
    names = sorted(set(values[further].tolist()))
    for name in names:
        if (values == name).sum() < 2:
            raise CornetError(
                f"the column {file_rule[own]!r} of {bundle.name} has one stimulus with {name!r}, but a test set needs "
                "at least 2; correct it."
            )
    ood = tuple((name, tuple(ids[values == name].tolist())) for name in names)
    return SplitRule(fixed=fixed, ignore=ignore, ood=ood)


def _fixed_split(
    bundle: Bundle, train: Sequence[str], test: Sequence[str], table: pd.DataFrame
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the presented training and test ids. Raises CornetError unless each stimulus is on exactly one side."""
    where, shown = f"{RULE_FILE} of {bundle.name}", table["stimulus_id"].astype(str)
    sides = tuple(tuple(shown[shown.isin([*side])]) for side in (train, test))
    unknown = sorted({*train, *test} - {*bundle.stimuli.ids})
    twice = sorted({*train} & {*test})
    neither = shown[~shown.isin([*train, *test])].tolist()
    for ids, what in (
        (unknown, "in its split that are missing from stimulus_set.csv"),
        (twice, "both in train and in test"),
        (neither, "neither in train nor in test"),
    ):
        if ids:
            raise CornetError(f"{where} has {len(ids)} stimuli {what} (first: {ids[0]!r}); correct it.")
    if min(map(len, sides)) < 2:
        raise CornetError(
            f"{where} leaves {len(sides[0])} presented stimuli for training and {len(sides[1])} for testing, but needs "
            "at least 2 of each; correct it."
        )
    return sides[0], sides[1]


def _column_values(name: str, table: pd.DataFrame, bundle: Bundle) -> NDArray[np.str_]:
    """Return the values of a column. Raises CornetError if it is unknown, has missing values, or differs between
    assembly and stimulus table."""
    if name not in table:
        similar = similar_names(name, table) or _names_with_word(name, table)
        hint = f"did you mean {similar[0]!r}?" if similar else f"choose one of {', '.join(map(str, table))}."
        raise CornetError(f"the stimuli of {bundle.name} have no column {name!r} to split by; {hint}")
    if name in bundle.stimuli.table:
        own, ids = bundle.stimuli.table[name], bundle.stimuli.ids
        check_column(
            table["stimulus_id"], table[name], own, ids, f"{bundle.name} (assembly and stimulus set)"
        )
    return categories(table[name], name, f"the stimulus table of {bundle.name}", table["stimulus_id"])


def _names_with_word(word: str, names: Any) -> list[str]:
    """Return the names that contain the word, such as movie_id or sourceMovie for movie."""
    return [str(name) for name in names if word in _words(str(name)) or f"{word}s" in _words(str(name))]


def _words(name: str) -> list[str]:
    """Split a snake_case or camelCase name into lower-case words."""
    split = "".join(f" {c}" if c.isupper() and name[i - 1 : i].islower() else c for i, c in enumerate(name))
    return "".join(c if c.isalnum() else " " for c in split).lower().split()


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_limits(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(limit, int | float) and not isinstance(limit, bool) for limit in value.values())
    )
