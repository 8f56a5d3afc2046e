"""Find the prefix of a network's names in a state dict: DDP, torch.compile and Lightning put one before each name."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError

__all__ = ["find_prefix", "prefix_of_starts"]

WRAPPERS = re.compile(r"(?:(?:module|_orig_mod|model|net)\.)*")
"""What DDP, torch.compile and common Lightning modules add, in any order."""
MAX_PARTS = 12
"""Longest prefix that is tried, in words."""


def find_prefix(
    state: Mapping[str, Any],
    layouts: Sequence[Mapping[str, Tensor]],
    optional: Collection[str],
    label: str,
) -> str:
    """Return the prefix after which the names of a network stand in `state`; "" if they have none.

    layouts: the network's own weights, by each set of names that it can have in a file. optional: names that may be
    missing or have another shape. Of several prefixes, that with most names and then with fewest others fits best. If
    no prefix gives all weights, it is one that wrappers add and that fits most names. Raises CornetError if two
    prefixes fit equally and their weights differ.
    """
    fits: Counter[tuple[int, str]] = Counter()  # names of the right shape, by layout and prefix
    needed: Counter[tuple[int, str]] = Counter()  # those that are not optional
    named: Counter[str] = Counter()  # names of any shape, after prefixes that wrappers add
    for name, value in state.items():
        added = wrapper_of(name)
        for prefix in prefixes_of(name):
            rest = name[len(prefix) :]
            for index, own in enumerate(layouts):
                if rest not in own:
                    continue
                named[prefix] += added.startswith(prefix)
                if getattr(value, "shape", None) == own[rest].shape:
                    fits[index, prefix] += 1
                    needed[index, prefix] += not is_optional(rest, optional)
    wanted = [sum(not is_optional(name, optional) for name in own) for own in layouts]
    complete = [found for found in fits if needed[found] == wanted[found[0]]]
    if complete:
        most = max(fits[found] for found in complete)
        best = [found for found in complete if fits[found] == most]
        own = layouts[best[0][0]]
        prefixes = list(dict.fromkeys(prefix for _, prefix in best))
        others = {prefix: count_others(state, prefix, prefixes, own) for prefix in prefixes}
        prefixes = [prefix for prefix in prefixes if others[prefix] == min(others.values())]
        return first_of_equal(state, prefixes, own, label)
    top = max(named.values(), default=0)
    if top:
        return max((prefix for prefix in named if named[prefix] == top), key=len)
    return common_wrapper(state)


def prefix_of_starts(state: Mapping[str, Any], starts: Sequence[str], label: str) -> str:
    """Return the prefix before names that begin with one of `starts`, for a network that is not known yet."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        for prefix in prefixes_of(name):
            if name.startswith(tuple(starts), len(prefix)):
                found.setdefault(prefix, {})[name[len(prefix) :]] = value
                break
    if not found:
        return common_wrapper(state)
    most = max(map(len, found.values()))
    best = [prefix for prefix, weights in found.items() if len(weights) == most]
    return first_of_equal(state, best, found[best[0]], label)


def prefixes_of(name: str) -> list[str]:
    """Return the prefixes that a name can have, shortest first."""
    parts = name.split(".", MAX_PARTS)[:-1]
    prefixes = [""]
    for part in parts:
        prefixes.append(f"{prefixes[-1]}{part}.")
    return prefixes


def wrapper_of(name: str) -> str:
    """Return the longest prefix of a name that wrappers add."""
    found = WRAPPERS.match(name)
    return found[0] if found else ""


def common_wrapper(names: Iterable[str]) -> str:
    """Return the longest prefix that wrappers add and that all names have."""
    shortest = min(map(wrapper_of, names), key=len, default="")
    return shortest if all(name.startswith(shortest) for name in names) else ""


def count_others(state: Mapping[str, Any], prefix: str, prefixes: Sequence[str], own: Collection[str]) -> int:
    """Return how many names with a prefix, but with no longer one of `prefixes`, are not the network's."""
    longer = tuple(other for other in prefixes if other != prefix and other.startswith(prefix))
    return sum(
        name.startswith(prefix)
        and name[len(prefix) :] not in own
        and not (longer and name.startswith(longer))
        for name in state
    )


def is_optional(name: str, optional: Collection[str]) -> bool:
    return name in optional or name.endswith("num_batches_tracked")


def first_of_equal(state: Mapping[str, Any], prefixes: list[str], names: Iterable[str], label: str) -> str:
    """Return the shortest of several prefixes. Raises CornetError unless their weights are the same."""
    prefixes = sorted(prefixes, key=len)
    first = prefixes[0]
    for other in prefixes[1:]:
        if not all(same(state.get(first + name), state.get(other + name)) for name in names):
            shown = " and ".join(repr(prefix) if prefix else "no prefix" for prefix in (first, other))
            raise CornetError(
                f"{label} holds more than one set of weights that fit the network equally, under {shown}; save one of "
                f"them, with torch.save({{k.removeprefix({other!r}): v for k, v in weights.items() if "
                f"k.startswith({other!r})}}, new)."
            )
    return first


def same(one: Any, other: Any) -> bool:
    """Return whether two entries of a state dict are equal tensors, or both are missing.

    Tensors that PyTorch cannot compare (sparse, quantised) count as different, so that the caller refuses to choose.
    """
    if one is other:
        return True
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    try:
        return torch.equal(one, other)
    except (RuntimeError, NotImplementedError):
        return False
