"""Hashes of what a result depends on: values, arrays, and code; for keys of the cache (`cornet.brain.cache`)."""

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["code_version", "content_hash", "digest"]


def digest(*values: Any) -> str:
    """SHA-256 of plain data, and of arrays by type, shape and bytes. Raises TypeError for other objects."""
    return hashlib.sha256(json.dumps([_content(value) for value in values]).encode()).hexdigest()


def content_hash(data: bytes) -> str:
    """Sixteen hexadecimal digits of the BLAKE2b hash of a file's bytes, as descriptions and journals keep it."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def code_version(*modules: str) -> str:
    """SHA-256 of the source of these modules and all that they import here, and the versions of other packages.

    If a file changed after this process started, the hash is one that no other process has.
    """
    return digest(_sources(modules))


def _sources(modules: Sequence[str]) -> dict[str, str]:
    """What `code_version` hashes: sources of modules, and versions of installed packages, by their names."""
    seen: dict[str, str] = {}
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or name in seen:
            continue
        if top != "cornet" and _installed(top):
            seen[top] = _release(top)
            continue
        if (found := _spec(name)) is None:
            continue
        source = _source(found)
        seen[name] = source
        waiting += _imports(source, name if found.submodule_search_locations else name.rpartition(".")[0])
    return seen


def _content(value: Any) -> Any:
    """A value as JSON, in which different contents are different texts."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return _content(["objects", value.shape, [str(item) for item in value.ravel()]])
        data = hashlib.sha256(np.ascontiguousarray(value).data if value.size else b"").hexdigest()
        return ["array", value.dtype.str, list(value.shape), data]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"mapping": sorted([str(key), _content(item)] for key, item in value.items())}
    if isinstance(value, list | tuple | range):
        return [_content(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no content that could be hashed")


_STARTED = time.time_ns()
_PROCESS = secrets.token_hex(8)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, without importing it; None for the name of something else."""
    parent = name.rpartition(".")[0]
    if parent:
        above = _spec(parent)
        places = above.submodule_search_locations if above else None
        return importlib.machinery.PathFinder.find_spec(name, places) if places else None
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # a script, or made at run time: it has no spec
        path = getattr(sys.modules[name], "__file__", None)
        return importlib.util.spec_from_file_location(name, path) if path else None


def _source(spec: ModuleSpec) -> str:
    get = getattr(spec.loader, "get_source", None)
    text = (get(spec.name) if get else None) or ""
    try:
        changed = os.stat(spec.origin or "").st_mtime_ns > _STARTED
    except OSError:  # in an archive
        changed = False
    return f"{text}# {_PROCESS}" if changed else text


@functools.lru_cache(maxsize=1024)
def _imports(source: str, package: str) -> tuple[str, ...]:
    """Names of modules that a source imports; those of functions and classes are among them."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # no Python: a notebook
        return ()
    return tuple(_named(nodes, package))


def _named(nodes: list[ast.AST], package: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@functools.cache
def _installed(package: str) -> bool:
    """Whether a package is installed, other than by a link to its sources."""
    spec = _spec(package)
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return not {"site-packages", "dist-packages"}.isdisjoint(
        Path(places[0] or places[-1]).parts if places else ()
    )


@functools.cache
def _release(package: str) -> str:
    """The version of an installed package, which may be called otherwise than its module (scikit-learn)."""
    names = {"sklearn": "scikit-learn", "PIL": "pillow"}
    try:
        return importlib.metadata.version(names.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        found = importlib.metadata.packages_distributions().get(package, [])
        return " ".join(importlib.metadata.version(name) for name in sorted(set(found)))
