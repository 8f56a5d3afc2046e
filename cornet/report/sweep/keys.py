"""Find the configuration keys in which the variants of a sweep differ, and give them short names."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cornet.report.seeds.seed_runs import SeedRun
from cornet.runs.config import flat
from cornet.runs.path import identity_of, without_seed

__all__ = ["Factor", "find_factors", "identity_key", "own_identity", "value_text"]

NAMES = ("draw",)
"""Keys that only name a variant, such as the number of a random network."""

ECHOES = ("callbacks.", "loader.", "trainer.")
"""Parts of the configuration that repeat values set elsewhere."""

STEPS = "model.times"


@dataclass(frozen=True)
class Factor:
    """A key whose value differs between variants.

    name: short name for display. family: name shared by keys that belong together, such as the steps of all areas;
    else the name. numeric: all values are numbers. same: names of keys that always have the same value.
    """

    key: str
    name: str
    family: str
    numeric: bool
    same: tuple[str, ...] = ()

    def text(self, value: Any) -> str:
        """Format a value for display."""
        return value_text(value)

    def order(self, value: Any) -> tuple[int, float, str]:
        """Return the sort key of a value: defaults, then numbers, then text."""
        if value is None:
            return 0, 0.0, ""
        if _is_number(value):
            return 1, float(value), ""
        return 2, 0.0, self.text(value)


def value_text(value: Any) -> str:
    """Format a value of the configuration for display; None is "default"."""
    if value is None:
        return "default"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def own_identity(run: SeedRun) -> dict[str, Any]:
    """Return a run's identity without its seed and the settings of the sweep."""
    return without_seed(identity_of(dict(run.identity)), run.seed)


def identity_key(run: SeedRun) -> str:
    """Return a text that is equal for runs of one variant."""
    entries = {key: value for key, value in flat(run.identity) if value is not None}
    return _json(entries)


def find_factors(runs: Sequence[SeedRun]) -> tuple[Factor, ...]:
    """Return the factors in which runs of different variants differ.

    Keys that repeat another key are left out. Areas that have the same steps in every run become one factor. Other
    keys that always vary together stay separate, because it is unknown which of them matters.
    """
    tables = [dict(flat(run.identity)) for run in runs]
    keys = [
        key for key in dict.fromkeys(key for table in tables for key in table) if not _parent(key, tables)
    ]
    columns = {key: [table.get(key) for table in tables] for key in keys}
    texts = {key: [_json(value) for value in values] for key, values in columns.items()}
    varying = {key: one for key, one in texts.items() if key not in NAMES and len(set(one)) > 1}
    factors: dict[str, list[str]] = {}
    for key in sorted(varying, key=lambda key: (key.startswith(ECHOES), keys.index(key))):
        similar = (one for one in factors if key.startswith(ECHOES) or (_is_steps(one) and _is_steps(key)))
        equal = next((one for one in similar if varying[one] == varying[key]), None)
        if equal is None:
            factors[key] = []
        elif not key.startswith(ECHOES):
            factors[equal].append(key)
    names = _names([key for one, others in factors.items() for key in (one, *others)])
    return tuple(
        Factor(
            key,
            names[key],
            "steps" if _is_steps(key) else names[key],
            all(map(_is_number, columns[key])),
            tuple(names[other] for other in others),
        )
        for key, others in factors.items()
    )


def _is_steps(key: str) -> bool:
    return key == STEPS or key.startswith(f"{STEPS}.")


def _parent(key: str, tables: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the key is an empty mapping in some runs and has entries in others."""
    values = [table[key] for table in tables if key in table]
    return all(value in ({}, None) for value in values) and any(
        other.startswith(f"{key}.") for table in tables for other in table
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _names(keys: Sequence[str]) -> dict[str, str]:
    """Return {key: name}, the key without its first part if this is unique."""
    short = {key: key.partition(".")[2] or key for key in keys}
    return {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
