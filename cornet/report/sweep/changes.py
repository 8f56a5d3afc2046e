"""Compute changes from the base variant, factor by factor, as in figure 4 of the 2019 paper."""

import math
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import pandas as pd

from cornet.brain.metrics.difference import holm
from cornet.errors import CornetError
from cornet.report.published.numbers import read_published
from cornet.report.statistics import Difference, pair_difference, welch_difference
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
"""Maximum number of factors for naming a variant by all of them."""


class Change(NamedTuple):
    """The change of one measure from the base. family: the factor that differs. holm: p corrected for all changes."""

    family: str
    variant: Variant
    measure: str
    difference: Difference
    holm: float = math.nan


class PublishedChange(NamedTuple):
    """A change in figure 4 of the paper: ImageNet top-1 in percentage points, and Brain-Score x 100, at full size."""

    top1: float
    brain_score: float


def find_base(sweep: Sweep, wanted: str | None = None) -> Variant:
    """Return the variant to compare the others with: `wanted`, or else the one that differs least from all others.

    wanted: its number, label, or the name of its folder. Ties are resolved by the most factor values of the published
    CORnet-S, then by number. Raises CornetError if `wanted` matches no variant or several.
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
    candidates = [one for one in sweep.variants if one.seeds] or list(sweep.variants)

    def distance(one: Variant) -> tuple[int, int, int]:
        count = sum(len(differing(sweep, one, other)) for other in candidates)
        return count, -_count_published(one), one.number

    return min(candidates, key=distance)


def differing(sweep: Sweep, one: Variant, other: Variant) -> list[str]:
    """Return the families of factors in which two variants differ."""
    families = [f.family for f in sweep.factors if one.values[f.key] != other.values[f.key]]
    return list(dict.fromkeys(families))


def change_text(sweep: Sweep, base: Variant, variant: Variant) -> str:
    """What a variant has that the base has not, in short: steps 1/1/1, bottleneck 2."""
    factors = [f for f in sweep.factors if variant.values[f.key] != base.values[f.key]]
    parts = []
    for family in dict.fromkeys(factor.family for factor in factors):
        if family == "steps" and variant.steps and base.steps:
            # V1 of CORnet-S has one step in every variant, so figure 4 omits it.
            first = 1 if variant.steps[0] == base.steps[0] == 1 else 0
            parts.append("steps " + "/".join(map(str, variant.steps[first:])))
        else:
            parts += [f"{f.name} {f.text(variant.values[f.key])}" for f in factors if f.family == family]
    return ", ".join(parts)


def name_of(sweep: Sweep, base: Variant, variant: Variant) -> str:
    """Return the variant's name: all its factors if there are few, else its differences from the base."""
    if len(sweep.factors) <= FEW:
        return variant.label
    return "the base" if variant is base else change_text(sweep, base, variant) or f"variant {variant.number}"


def changes_of(sweep: Sweep, base: Variant) -> list[Change]:
    """Return the changes of accuracy and all scores for every variant that differs from the base in only one factor.

    Variants with the same seeds are compared in pairs, others by Welch's test. p is corrected by Holm's procedure over
    all comparisons.
    """
    families = list(dict.fromkeys(factor.family for factor in sweep.factors))
    pairs = [
        (changed[0], one)
        for one in sweep.variants
        if one is not base and one.seeds and len(changed := differing(sweep, one, base)) == 1
    ]
    pairs.sort(key=lambda pair: (families.index(pair[0]), pair[1].number))
    changes = [
        Change(family, one, name, _difference(one.by_seed(name), base.by_seed(name)))
        for family, one in pairs
        for name in sweep.compared
        if name in one.measures and name in base.measures
    ]
    corrected = holm([change.difference.p for change in changes])
    return [change._replace(holm=p) for change, p in zip(changes, corrected, strict=True)]


@cache
def published_variants() -> pd.DataFrame:
    """Return the rows of figure 4: key, value (text), and the changes top1 and brain_score in points (NaN: the base).

    The table is shared by all callers: copy it before changing it.
    """
    return read_published("circuit_variants_2019.csv", dtype={"value": str})


def published_change(sweep: Sweep, base: Variant, variant: Variant) -> PublishedChange | None:
    """Return the published change. None if figure 4 does not have it or the base differs from the published one."""
    if variant.network != "cornet_s" or base.network != "cornet_s":
        return None
    changed = {
        _published_key(f.key): f.key for f in sweep.factors if variant.values[f.key] != base.values[f.key]
    }
    if len(changed) != 1 or _count_published(base) < len(set(map(_published_key, base.values))):
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
    """Return the names of the parent folders of its seeds, alone and relative to the sweep's folder."""
    parents = {folder.parent for folder in one.folders}
    return {name for path in parents for name in (path.name, path.relative_to(sweep.folder).as_posix())}


def _count_published(one: Variant) -> int:
    """Count its factors that have the value of the published CORnet-S. Factors that figure 4 lacks count too."""
    table = published_variants()
    base: Mapping[str, str] = table[table["top1"].isna()].set_index("key")["value"].to_dict()
    values = {_published_key(key): _published_value(one, key) for key in one.values}
    return sum(key not in base or value in ("default", base[key]) for key, value in values.items())


def _published_key(key: str) -> str:
    return "steps" if key.split(".")[:2] == ["model", "times"] else key


def _published_value(one: Variant, key: str) -> str:
    """Format a value as in the table of figure 4."""
    if _published_key(key) == "steps":
        return "/".join(map(str, one.steps[1:]))
    return value_text(one.values[key])
