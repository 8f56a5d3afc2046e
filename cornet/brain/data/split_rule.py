"""How the stimuli of a bundle are split into training and test sets, and who says so.

A bundle states its rule in a file bundle.json beside assembly.nc, one of

    {"grouped_by": "movie"}            all stimuli with the same value of this column are on the same side
    {"stratified_by": "object_name"}   both sides get equal shares of each value
    {"fixed_by": "split"}              one split; the column's values are train and test
    {"train": ["im1", ...], "test": ["im2", ...]}    one split, by stimulus_id
    {"random": true}                   neither grouped nor stratified

and may add "ignore": [...], presentation coordinates besides repetition that differ within a stimulus. A column is
one of stimulus_set.csv or a presentation coordinate of the assembly. What the user asks for (--groups, --stratify and
--ignore, or brain.groups, ... in a configuration) comes first, then bundle.json. If neither states a rule, stimuli
with a column movie are grouped by it, those with object_name are stratified by it where there are enough of each
object, and all others are split at random; every score then has a note that says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.bundle import Bundle
from cornet.brain.data.columns import categories, check_table, near_names
from cornet.brain.data.responses import stimulus_table
from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["STATEMENT", "Asked", "SplitRule", "read_statement", "split_rule"]

STATEMENT = "bundle.json"
NONE = "none"
FEWEST = 5
"""Stimuli of an object below which a bundle that states nothing is not stratified by it."""

KEYS = ("grouped_by", "stratified_by", "fixed_by", "train", "test", "random", "ignore")
OTHERWISE = (
    f'state the rule in {STATEMENT}, such as {{"grouped_by": "COLUMN"}}, or with --groups or --stratify (brain.groups '
    "or brain.stratify in training)"
)
LARGEST = 2**24
"""Bytes of a statement."""


@dataclass(frozen=True)
class Asked:
    """What the user asks for. groups, stratify: a column, "none" for not to, None for the bundle's own rule. ignore:
    presentation coordinates; None: the bundle's."""

    groups: str | None = None
    stratify: str | None = None
    ignore: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("groups", "stratify"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise CornetError(
                    f"{name}={value!r} must name a column, such as {name}=movie, or be {name}={NONE}."
                )
        if any(not isinstance(name, str) or not name.strip() for name in self.ignore or ()):
            raise CornetError(
                f"ignore={list(self.ignore or ())} must name coordinates, such as ignore=[trial]."
            )
        if column(self.groups) and column(self.stratify):
            raise CornetError(
                f"groups={self.groups} and stratify={self.stratify} exclude each other, since a group cannot be "
                "shared out; give one of them."
            )


@dataclass(frozen=True)
class SplitRule:
    """groups, stratify: a column, or None. fixed: the ids for training and for testing, or None. ignore: coordinates.
    notes: for the score."""

    groups: str | None = None
    stratify: str | None = None
    fixed: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    ignore: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.fixed:
            return f"one fixed split, {len(self.fixed[0])} for training, {len(self.fixed[1])} for testing"
        rule = f"grouped by {self.groups}" if self.groups else f"stratified by {self.stratify}"
        return f"10 splits, 90 % for training, {rule if self.groups or self.stratify else 'at random'}"


def column(name: str | None) -> str | None:
    """The column that was asked for; None for none."""
    return None if name is None or name.strip().lower() == NONE else name


def read_statement(folder: Path) -> dict[str, Any]:
    """What the folder's bundle.json states; {} where there is no such file.

    Raises CornetError for a file that is not JSON, or has unknown keys, values of another type or several rules.
    """
    path = folder / STATEMENT
    try:
        with open_regular(path) as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        stated = json.loads(text.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CornetError(
            f"{path} cannot be read as JSON ({error}); see cornet.brain.data.split_rule."
        ) from None
    if not isinstance(stated, dict):
        raise CornetError(f'{path} must hold an object such as {{"grouped_by": "movie"}}; write it again.')
    for key in stated:
        if key not in KEYS:
            near = near_names(key, KEYS)
            told = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(KEYS)}."
            raise CornetError(f"{path} has the unknown key {key!r}; {told}")
    for key, value in stated.items():
        listed = key in ("train", "test", "ignore")
        if not (
            _texts(value)
            if listed
            else value is True
            if key == "random"
            else _texts([value]) and value.strip()
        ):
            kind = "a list of text" if listed else "true" if key == "random" else "the name of a column"
            raise CornetError(f"{path} has {key} = {str(value)!r:.60}, but it must be {kind}; correct it.")
    if ("train" in stated) != ("test" in stated):
        raise CornetError(f"{path} has only one of train and test; give both.")
    rules = [key for key in KEYS if key in stated and key not in ("test", "ignore")]
    if len(rules) > 1:
        raise CornetError(f"{path} states several rules, {' and '.join(rules)}; keep one of them.")
    return stated


def split_rule(bundle: Bundle, stated: Mapping[str, Any], asked: Asked) -> SplitRule:
    """The rule for a local bundle: what was asked for, or what bundle.json states, or the default.

    Raises CornetError for a column that does not exist or lacks values, and for a fixed split that is not one.
    """
    ignore = tuple(stated.get("ignore", ()) if asked.ignore is None else asked.ignore)
    table = presented(bundle, ignore)
    own = next(
        (key for key in ("grouped_by", "stratified_by", "fixed_by", "train", "random") if key in stated), ""
    )
    groups, stratify = column(asked.groups), column(asked.stratify)
    if groups or stratify:
        _check_column(groups or stratify or "", table, bundle)
        note = f"{STATEMENT} states another rule ({own}), which was not used, as asked" if own else ""
        return SplitRule(groups, stratify, None, ignore, (note,) if note else ())
    switched = {"grouped_by": asked.groups, "stratified_by": asked.stratify}
    if own and switched.get(own) is None:
        return _stated(bundle, stated, own, table, ignore)
    if own:
        note = f"{STATEMENT} states {own} = {stated[own]}, which was not used, as asked: the split is random"
        return SplitRule(ignore=ignore, notes=(note,))
    return _default(bundle, table, asked, ignore)


def presented(bundle: Bundle, ignore: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each presented stimulus: the columns of the table and the presentation coordinates."""
    coordinates = bundle.assembly.coords
    _, first = np.unique(coordinates["stimulus_id"].values.astype(str), return_index=True)
    return stimulus_table(bundle.assembly, first, bundle.stimuli, ignore)


def _default(bundle: Bundle, table: pd.DataFrame, asked: Asked, ignore: tuple[str, ...]) -> SplitRule:
    """Frames of one movie stay together; objects are shared out where there are enough of each."""
    why = ""
    if asked.groups is None:
        _refuse_near("movie", near_names("movie", table) or _with_word("movie", table), table, bundle)
        if "movie" in table:
            _check_column("movie", table, bundle)
            return SplitRule(
                "movie", None, None, ignore, (_note("grouped by movie", "there is such a column"),)
            )
        why = "no column movie"
    if asked.stratify is None:
        _refuse_near(
            "object_name", near_names("object_name", table) or near_names("object", table), table, bundle
        )
        if "object_name" in table:
            counts = pd.Series(_check_column("object_name", table, bundle)).value_counts()
            if len(counts) > 1 and counts.min() >= FEWEST and len(counts) <= 0.1 * counts.sum():
                note = _note("stratified by object_name", "there is such a column" + (why and f" and {why}"))
                return SplitRule(None, "object_name", None, ignore, (note,))
            why += f"{why and ' and '}too few stimuli of each object_name"
        else:
            why += " or object_name" if why else "no column object_name"
    return SplitRule(ignore=ignore, notes=(_note("drawn at random", f"there is {why}"),) if why else ())


def _refuse_near(wanted: str, near: list[str], table: pd.DataFrame, bundle: Bundle) -> None:
    """Raise CornetError where the column is absent and another may be the one that is meant."""
    if near and wanted not in table:
        raise CornetError(
            f"the stimuli of {bundle.name} have no column {wanted!r} but {near[0]!r}; did you mean {wanted!r}? Rename "
            f"it, or {OTHERWISE}."
        )


def _note(rule: str, why: str) -> str:
    return f"splits are {rule}, since {STATEMENT} states no rule and {why}; to change it, {OTHERWISE}"


def _stated(
    bundle: Bundle, stated: Mapping[str, Any], own: str, table: pd.DataFrame, ignore: tuple[str, ...]
) -> SplitRule:
    if own == "random":
        return SplitRule(ignore=ignore)
    if own == "train":
        return SplitRule(fixed=_fixed(bundle, stated["train"], stated["test"], table), ignore=ignore)
    values = _check_column(stated[own], table, bundle)
    if own == "grouped_by":
        return SplitRule(groups=stated[own], ignore=ignore)
    if own == "stratified_by":
        return SplitRule(stratify=stated[own], ignore=ignore)
    ids = table["stimulus_id"].to_numpy(str)
    if len(other := values[~np.isin(values, ["train", "test"])]):
        raise CornetError(
            f"the column {stated[own]!r}, which {STATEMENT} of {bundle.name} names, has the value {other[0]!r} in "
            f"{len(other)} of {len(values)} stimuli, but must hold train or test; correct it."
        )
    return SplitRule(
        fixed=_fixed(bundle, ids[values == "train"], ids[values == "test"], table), ignore=ignore
    )


def _fixed(
    bundle: Bundle, train: Sequence[str], test: Sequence[str], table: pd.DataFrame
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both sides, of presented stimuli. Raises CornetError unless each of these is on one side."""
    where, shown = f"{STATEMENT} of {bundle.name}", table["stimulus_id"].astype(str)
    sides = tuple(tuple(shown[shown.isin([*side])]) for side in (train, test))
    unknown = sorted({*train, *test} - {*bundle.stimuli.ids})
    twice = sorted({*train} & {*test})
    neither = shown[~shown.isin([*train, *test])].tolist()
    for ids, what in (
        (unknown, "in its split that are not in stimulus_set.csv"),
        (twice, "both in train and in test"),
        (neither, "neither in train nor in test"),
    ):
        if ids:
            raise CornetError(f"{where} has {len(ids)} stimuli {what} (the first: {ids[0]!r}); correct it.")
    if min(map(len, sides)) < 2:
        raise CornetError(
            f"{where} leaves {len(sides[0])} presented stimuli for training and {len(sides[1])} for testing, and at "
            "least 2 of each are needed; correct it."
        )
    return sides[0], sides[1]


def _check_column(name: str, table: pd.DataFrame, bundle: Bundle) -> NDArray[np.str_]:
    """The values of a column. Raises CornetError where it does not exist, has missing values, or has other values in
    the assembly than in the table of the stimuli."""
    if name not in table:
        near = near_names(name, table) or _with_word(name, table)
        told = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(str, table))}."
        raise CornetError(
            f"the stimuli of {bundle.name} have no column {name!r}, by which they are to be split; {told}"
        )
    if name in bundle.stimuli.table:
        stated, ids = bundle.stimuli.table[name], bundle.stimuli.ids
        check_table(
            table["stimulus_id"], table[name], stated, ids, f"{bundle.name} (assembly and stimulus set)"
        )
    return categories(table[name], name, f"the table of stimuli of {bundle.name}", table["stimulus_id"])


def _with_word(word: str, names: Any) -> list[str]:
    """Columns that may be the one that is meant since they contain the word, such as movie_id or sourceMovie."""
    return [str(name) for name in names if word in _words(str(name)) or f"{word}s" in _words(str(name))]


def _words(name: str) -> list[str]:
    split = "".join(f" {c}" if c.isupper() and name[i - 1 : i].islower() else c for i, c in enumerate(name))
    return "".join(c if c.isalnum() else " " for c in split).lower().split()


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
