"""Change against the base variant, factor by factor, in the manner of the 2019 paper's figure 4."""

import math
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import pandas as pd

from cornet.errors import CornetError
from cornet.report.published.numbers import read_published
from cornet.report.statistics import Difference, holm, pair_difference, welch_difference
from cornet.report.sweep.keys import value_text
from cornet.report.sweep.variants import Sweep, Variant

__all__ = [
    "Change",
    "PublishedChange",
    "change_text",
    "changes_of",
    "differing",
    "find_base",
    "name_of",
    "published_change",
    "published_variants",
]

FEW = 3
"""Factors up to which a variant is named by all of them."""


class Change(NamedTuple):
    """A variant against the base in one measure. family: what alone differs. holm: p for all comparisons together."""

    family: str
    variant: Variant
    measure: str
    difference: Difference
    holm: float = math.nan


class PublishedChange(NamedTuple):
    """Of the paper's figure 4: ImageNet top-1 in points of 100, and Brain-Score x 100, at full size."""

    top1: float
    brain_score: float


def find_base(sweep: Sweep, wanted: str | None = None) -> Variant:
    """The variant that others are compared with: the one named, else the one that differs least from all others.

    wanted: its number, its label, or the name of its folder. Of those that differ alike, the one that has most of
    CORnet-S as published is taken, then the first. Raises CornetError for a name that no variant has, or several have.
    """
    if wanted is not None:
        named = [one for one in sweep.variants if wanted in (one.label, str(one.number), *_names(sweep, one))]
        if len(named) != 1:
            known = "; ".join(f"{one.number}: {one.label}" for one in sweep.variants[:12])
            more = f"; and {len(sweep.variants) - 12} more" if len(sweep.variants) > 12 else ""
            raise CornetError(
                f"base={wanted} names {len(named) or 'no'} variant{'s' if named else ''} of {sweep.folder}; give the "
                f"number of one: {known}{more}."
            )
        return named[0]
    there = [one for one in sweep.variants if one.seeds] or list(sweep.variants)

    def far(one: Variant) -> tuple[int, int, int]:
        apart = sum(len(differing(sweep, one, other)) for other in there)
        return apart, -_as_published(one), one.number

    return min(there, key=far)


def differing(sweep: Sweep, one: Variant, other: Variant) -> list[str]:
    """The families of factors in which two variants differ."""
    found = [f.family for f in sweep.factors if one.values[f.key] != other.values[f.key]]
    return list(dict.fromkeys(found))


def change_text(sweep: Sweep, base: Variant, variant: Variant) -> str:
    """What a variant has that the base has not, in short: steps 1/1/1, bottleneck 2."""
    found = [f for f in sweep.factors if variant.values[f.key] != base.values[f.key]]
    parts = []
    for family in dict.fromkeys(factor.family for factor in found):
        if family == "steps" and variant.steps and base.steps:
            # V1 of CORnet-S has one step in every variant, and figure 4 leaves it out.
            first = 1 if variant.steps[0] == base.steps[0] == 1 else 0
            parts.append("steps " + "/".join(map(str, variant.steps[first:])))
        else:
            parts += [f"{f.name} {f.text(variant.values[f.key])}" for f in found if f.family == family]
    return ", ".join(parts)


def name_of(sweep: Sweep, base: Variant, variant: Variant) -> str:
    """All its factors where they are few, else what it has that the base has not."""
    if len(sweep.factors) <= FEW:
        return variant.label
    return "the base" if variant is base else change_text(sweep, base, variant) or f"variant {variant.number}"


def changes_of(sweep: Sweep, base: Variant) -> list[Change]:
    """Every variant that differs from the base in one factor alone, by factor; in accuracy and each score.

    Paired by seed where both have the same seeds, else Welch's comparison. p is corrected by Holm's procedure over all
    comparisons together that have one.
    """
    families = list(dict.fromkeys(factor.family for factor in sweep.factors))
    alone = [
        (apart[0], one)
        for one in sweep.variants
        if one is not base and one.seeds and len(apart := differing(sweep, one, base)) == 1
    ]
    alone.sort(key=lambda pair: (families.index(pair[0]), pair[1].number))
    found = [
        Change(family, one, name, _difference(one.by_seed(name), base.by_seed(name)))
        for family, one in alone
        for name in sweep.compared
        if name in one.measures and name in base.measures
    ]
    corrected = holm([one.difference.p for one in found])
    return [one._replace(holm=p) for one, p in zip(found, corrected, strict=True)]


@cache
def published_variants() -> pd.DataFrame:
    """The rows of the paper's figure 4: key, value (text), top1 and brain_score (NaN: the base), change in points.

    The table is one for all callers: copy it before changing it.
    """
    return read_published("circuit_variants_2019.csv", dtype={"value": str})


def published_change(sweep: Sweep, base: Variant, variant: Variant) -> PublishedChange | None:
    """What was published of this change; None where it is none of figure 4's, or starts from another base."""
    if variant.network != "cornet_s" or base.network != "cornet_s":
        return None
    changed = {
        _published_key(f.key): f.key for f in sweep.factors if variant.values[f.key] != base.values[f.key]
    }
    if len(changed) != 1 or _as_published(base) < len(set(map(_published_key, base.values))):
        return None
    ((name, key),) = changed.items()
    table = published_variants()
    to = table[(table["key"] == name) & (table["value"] == _published_value(variant, key))]
    if to.empty or to["top1"].isna().any():
        return None
    return PublishedChange(float(to["top1"].iloc[0]), float(to["brain_score"].iloc[0]))


def _difference(other: pd.Series, base: pd.Series) -> Difference:
    if set(other.index) == set(base.index):
        return pair_difference(other.sort_index(), base.sort_index())
    return welch_difference(other, base)


def _names(sweep: Sweep, one: Variant) -> set[str]:
    """The folders that hold its seeds, as they are called below the sweep's folder."""
    found = {folder.parent for folder in one.folders}
    return {name for path in found for name in (path.name, path.relative_to(sweep.folder).as_posix())}


def _as_published(one: Variant) -> int:
    """How many of its factors have the value of CORnet-S as published; of others than figure 4's nothing is known."""
    table = published_variants()
    base: Mapping[str, str] = table[table["top1"].isna()].set_index("key")["value"].to_dict()
    held = {_published_key(key): _published_value(one, key) for key in one.values}
    return sum(key not in base or value in ("default", base[key]) for key, value in held.items())


def _published_key(key: str) -> str:
    return "steps" if key.split(".")[:2] == ["model", "times"] else key


def _published_value(one: Variant, key: str) -> str:
    """As the table of figure 4 writes it."""
    if _published_key(key) == "steps":
        return "/".join(map(str, one.steps[1:]))
    return value_text(one.values[key])
