"""What the variants of a sweep differ in: keys of the configuration, by short names, each thing once."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cornet.report.seeds.seed_runs import SeedRun
from cornet.runs.config import flat
from cornet.runs.path import IGNORED, identity_of

__all__ = ["Factor", "find_factors", "identity_key", "own_identity", "value_text"]

OTHER_KEYS = (*IGNORED, "sweep", "callbacks.halving")
"""What makes no other run, and how a sweep was led."""

NAMES = ("draw",)
"""Keys that name a variant and do nothing themselves: which of the random networks it is."""

ECHOES = ("callbacks.", "loader.", "trainer.")
"""Places that repeat what is set elsewhere in the configuration."""

STEPS = "model.times"


@dataclass(frozen=True)
class Factor:
    """A key whose value is not the same in all variants.

    name: short, for people. family: keys that are varied together, as the steps of all areas are; else the name.
    numeric: all values are numbers. same: other factors that always vary as it does, and are not told apart from it.
    """

    key: str
    name: str
    family: str
    numeric: bool
    same: tuple[str, ...] = ()

    def text(self, value: Any) -> str:
        """A value as it is shown."""
        return value_text(value)

    def order(self, value: Any) -> tuple[int, float, str]:
        """By which variants are sorted: defaults, then numbers, then words."""
        if value is None:
            return 0, 0.0, ""
        if _is_number(value):
            return 1, float(value), ""
        return 2, 0.0, self.text(value)


def value_text(value: Any) -> str:
    """A value of the configuration as it is shown; what is not set is the default."""
    if value is None:
        return "default"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def own_identity(run: SeedRun) -> dict[str, Any]:
    """What makes a run this run, without its seed and without how the sweep was led."""
    return _without_seed(identity_of(dict(run.identity), OTHER_KEYS), run.seed)


def identity_key(run: SeedRun) -> str:
    """The same text for runs of one variant."""
    entries = {key: value for key, value in flat(run.identity) if value is not None}
    return _json(entries)


def find_factors(runs: Sequence[SeedRun]) -> tuple[Factor, ...]:
    """The factors among runs of different variants.

    Left out is what only repeats another key, and of areas that have the same steps in every run all but the first.
    Other keys that go together stay apart: nobody knows which of them mattered.
    """
    tables = [dict(flat(run.identity)) for run in runs]
    keys = [
        key for key in dict.fromkeys(key for table in tables for key in table) if not _parent(key, tables)
    ]
    columns = {key: [table.get(key) for table in tables] for key in keys}
    texts = {key: [_json(value) for value in values] for key, values in columns.items()}
    varying = {key: one for key, one in texts.items() if key not in NAMES and len(set(one)) > 1}
    kept: dict[str, list[str]] = {}
    for key in sorted(varying, key=lambda key: (key.startswith(ECHOES), keys.index(key))):
        alike = (one for one in kept if key.startswith(ECHOES) or (_is_steps(one) and _is_steps(key)))
        equal = next((one for one in alike if varying[one] == varying[key]), None)
        if equal is None:
            kept[key] = []
        elif not key.startswith(ECHOES):
            kept[equal].append(key)
    names = _names([key for one, others in kept.items() for key in (one, *others)])
    return tuple(
        Factor(
            key,
            names[key],
            "steps" if _is_steps(key) else names[key],
            all(map(_is_number, columns[key])),
            tuple(names[other] for other in others),
        )
        for key, others in kept.items()
    )


def _is_steps(key: str) -> bool:
    return key == STEPS or key.startswith(f"{STEPS}.")


def _parent(key: str, tables: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the key is an empty table in some runs, whose entries other runs have."""
    values = [table[key] for table in tables if key in table]
    return all(value in ({}, None) for value in values) and any(
        other.startswith(f"{key}.") for table in tables for other in table
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _names(keys: Sequence[str]) -> dict[str, str]:
    """Without the first part, where what is left is nobody else's."""
    short = {key: key.partition(".")[2] or key for key in keys}
    return {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}


def _without_seed(node: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A key named seed that holds the run's seed is no difference."""
    return {
        key: _without_seed(value, seed) if isinstance(value, dict) else value
        for key, value in node.items()
        if not (key == "seed" and value == seed)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
