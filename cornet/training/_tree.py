"""Dotted paths in nested dictionaries, as overrides name them."""

from collections.abc import Sequence
from typing import Any

__all__ = ["children", "delete", "has", "leaves", "paths_of", "set_value", "value_at"]


def leaves(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {key: value}
    return {path: leaf for k, v in value.items() for path, leaf in leaves(f"{key}.{k}", v).items()}


def paths_of(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    return [p for k, v in node.items() for p in (f"{prefix}{k}", *paths_of(v, f"{prefix}{k}."))]


def has(node: Any, parts: Sequence[str]) -> bool:
    """Whether the path is there. What lies behind an interpolation cannot be seen, and is left to Hydra."""
    for part in parts:
        if isinstance(node, str) and node.startswith("${"):
            return True
        node = dict(enumerate(node)) if isinstance(node, list) else node
        named = {str(k): v for k, v in node.items()} if isinstance(node, dict) else {}
        if part not in named:
            return False
        node = named[part]
    return True


def value_at(node: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def children(config: dict, parts: Sequence[str]) -> list[str]:
    node = value_at(config, parts)
    return [str(k) for k in node if not str(k).startswith("_")] if isinstance(node, dict) else []


def set_value(config: Any, parts: Sequence[str], value: Any) -> None:
    for i, part in enumerate(parts):
        index: Any = int(part) if isinstance(config, list) and part.isdigit() else part
        if isinstance(config, list) and not (isinstance(index, int) and index < len(config)):
            return  # Hydra's to judge
        if i == len(parts) - 1:
            config[index] = value
            return
        if isinstance(config, dict) and not isinstance(config.get(part), dict | list):
            config[part] = {}
        elif isinstance(config, list) and not isinstance(config[index], dict | list):
            config[index] = {}
        config = config[index]


def delete(config: Any, parts: Sequence[str]) -> None:
    parent = value_at(config, parts[:-1])
    if isinstance(parent, dict):
        parent.pop(parts[-1], None)
