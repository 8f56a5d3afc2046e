"""Hash values, arrays and code for cache keys (`cornet.brain.cache`)."""

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["code_version", "content_hash", "digest", "imported_names"]


def digest(*values: Any) -> str:
    """Return the SHA-256 of plain data and arrays (by dtype, shape and bytes). Raises TypeError for other objects."""
    return hashlib.sha256(json.dumps([_as_json(value) for value in values]).encode()).hexdigest()


def content_hash(data: bytes) -> str:
    """Return 16 hexadecimal digits of the BLAKE2b hash of a file's bytes, as stored in descriptions and journals."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def code_version(*modules: str) -> str:
    """Return a SHA-256 of the source of these modules and all their imports, and of installed packages' versions.

    If a file changed after this process started, the hash is unique to this process.
    """
    return digest(_sources(modules))


def _sources(modules: Sequence[str]) -> dict[str, str]:
    """Return {name: source of a module, or version of an installed package}, which `code_version` hashes."""
    seen: dict[str, str] = {}
    specs: dict[str, ModuleSpec | None] = {}
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or name in seen:
            continue
        if top != "cornet" and _installed(top):
            seen[top] = _package_version(top)
            continue
        if (spec := _spec(name, specs)) is None:
            continue
        source = _source(spec)
        seen[name] = source
        waiting += _imports(source, name if spec.submodule_search_locations else name.rpartition(".")[0])
    return seen


def _as_json(value: Any) -> Any:
    """Convert a value to JSON data such that different contents give different texts."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return _as_json(["objects", value.shape, [str(item) for item in value.ravel()]])
        data = hashlib.sha256(np.ascontiguousarray(value).data if value.size else b"").hexdigest()
        return ["array", value.dtype.str, list(value.shape), data]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"mapping": sorted([str(key), _as_json(item)] for key, item in value.items())}
    if isinstance(value, list | tuple | range):
        return [_as_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be hashed; pass plain data or arrays")


_STARTED = time.time_ns()
_PROCESS = secrets.token_hex(8)


def _spec(name: str, known: dict[str, ModuleSpec | None]) -> ModuleSpec | None:
    """Find the spec of a module without importing it. Return None if the name is not a module.

    known: what has been found already, by name, to which this is added.
    """
    if name not in known:
        known[name] = _find_spec(name, known)
    return known[name]


def _find_spec(name: str, known: dict[str, ModuleSpec | None]) -> ModuleSpec | None:
    parent = name.rpartition(".")[0]
    if parent:
        above = _spec(parent, known)
        locations = above.submodule_search_locations if above else None
        return importlib.machinery.PathFinder.find_spec(name, locations) if locations else None
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # a script or a module made at run time has no spec
        path = getattr(sys.modules[name], "__file__", None)
        return importlib.util.spec_from_file_location(name, path) if path else None


def _source(spec: ModuleSpec) -> str:
    get = getattr(spec.loader, "get_source", None)
    text = (get(spec.name) if get else None) or ""
    try:
        changed = os.stat(spec.origin or "").st_mtime_ns > _STARTED
    except OSError:  # the module is in an archive
        changed = False
    return f"{text}# {_PROCESS}" if changed else text


@functools.lru_cache(maxsize=1024)
def _imports(source: str, package: str) -> tuple[str, ...]:
    """Return the dotted names that a source imports: modules, and also functions and classes."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # not Python code, such as a notebook
        return ()
    return tuple(imported_names(nodes, package))


def imported_names(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Yield the dotted names that syntax nodes of a file in `package` import: modules, and what is in them."""
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
    """Return whether a package is installed in site-packages, that is, not in editable mode."""
    spec = _spec(package, {})
    locations = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return not {"site-packages", "dist-packages"}.isdisjoint(
        Path(locations[0] or locations[-1]).parts if locations else ()
    )


@functools.cache
def _package_version(package: str) -> str:
    """Return the version of an installed package. Its name may differ from its module's (scikit-learn)."""
    names = {"sklearn": "scikit-learn", "PIL": "pillow"}
    try:
        return importlib.metadata.version(names.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        distributions = importlib.metadata.packages_distributions().get(package, [])
        return " ".join(importlib.metadata.version(name) for name in sorted(set(distributions)))
