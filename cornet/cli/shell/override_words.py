"""Overrides of `cornet train` that a shell offers, read from the files of the configuration. Imports no Hydra.

Hydra's own completion composes the configuration for every key press, which takes seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["override_words"]

NO_VALUE = ("???", "[]", "{}")


def override_words(conf: Sequence[Path], words: Sequence[str], incomplete: str) -> list[str]:
    """Return the overrides that begin with the incomplete word: groups with their choices, and keys with values.

    conf: folders of the configuration, cornet's and the user's. words: those before the incomplete one; bash splits an
    override at its "=", and then gets only the value back. A key that is the only one is returned with its values.
    """
    key = ""
    if words and words[-1] == "=":
        key = words[-2] if len(words) > 1 else ""
    elif words and "=" not in words[-1] and not incomplete and is_known(conf, words[-1]):
        key = words[-1]  # the cursor is behind "="
    if key:
        return [value for value in values(conf, key.lstrip("+~"), incomplete) if value.startswith(incomplete)]
    plain = incomplete.lstrip("+~")
    sign = incomplete[: len(incomplete) - len(plain)]
    key, equals, start = plain.partition("=")
    if equals:
        return [f"{sign}{key}={one}" for one in values(conf, key, start) if one.startswith(start)]
    found = sorted({name for name in (*groups(conf), *keys(conf, plain)) if name.startswith(plain)})
    if len(found) == 1 and not found[0].endswith("."):
        only = [f"{sign}{found[0]}={value}" for value in values(conf, found[0], "")]
        return only or [f"{sign}{found[0]}="]
    return [f"{sign}{name}" + ("" if name.endswith(".") else "=") for name in found]


def groups(conf: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the groups of the configuration, with their folders."""
    found: dict[str, list[Path]] = {}
    for one in conf:
        for path in sorted(one.iterdir()) if one.is_dir() else ():
            if path.is_dir() and path.name != "hydra":
                found.setdefault(path.name, []).append(path)
    return found


def values(conf: Sequence[Path], key: str, start: str) -> list[str]:
    """Return the choices of a group, also within a list [one,two; or the values that files give to a key."""
    if folders := groups(conf).get(key):
        paths = [(folder, path) for folder in folders for path in sorted(folder.rglob("*.yaml"))]
        names = [path.relative_to(folder).with_suffix("").as_posix() for folder, path in paths]
        cut = max(start.rfind("["), start.rfind(",")) + 1
        return [start[:cut] + name for name in names] if start.startswith("[") else names
    found: dict[str, None] = {}
    for content in contents(conf, key):
        value: Any = content
        for part in key.split(".")[1:] if "." in key else [key]:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            found |= {"true": None, "false": None}
        elif isinstance(value, str | int | float) and "${" not in str(value) and str(value) not in NO_VALUE:
            found[str(value)] = None
    return list(found)


def keys(conf: Sequence[Path], start: str) -> Iterator[str]:
    """Yield the keys at the level of the incomplete one; those with keys below them end in a dot."""
    above = start.split(".")[:-1]
    if not above:
        for content in contents(conf, ""):
            for name, value in content.items():
                if name not in ("defaults", "hydra"):
                    yield f"{name}." if isinstance(value, Mapping) and value else str(name)
        yield from (f"{name}." for name in groups(conf))
        return
    for content in contents(conf, start):
        inner: Any = content
        for part in above[1:] if above[0] in groups(conf) else above:
            inner = inner.get(part) if isinstance(inner, Mapping) else None
        for name, one in inner.items() if isinstance(inner, Mapping) else ():
            if name not in ("defaults", "_target_"):
                yield ".".join([*above, f"{name}." if isinstance(one, Mapping) and one else str(name)])


def contents(conf: Sequence[Path], key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the files that can set a key: those of its group, or config.yaml. Damaged files are left out."""
    import yaml

    folders = groups(conf).get(key.partition(".")[0], []) if "." in key else []
    paths = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    for path in paths or [one / "config.yaml" for one in conf]:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(content, Mapping):
            yield content


def is_known(conf: Sequence[Path], key: str) -> bool:
    return key in groups(conf) or key in (name.rstrip(".") for name in keys(conf, key))
