"""Extension of Griffe for our docstrings: parameters in prose become a list, and lazy names become members.

Our docstrings describe arguments in prose, `name: what it is. other: what that is.`, one or several in a paragraph.
Where all names before the colon belong to the object, they become a list. Packages that import on first use name their
members in a dictionary, `_MODULES` or `ELSEWHERE`, which a reading of the source alone does not follow.
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

import griffe

NAMED = re.compile(r"(?:^|(?<=[.;] )|(?<=\.\) ))((?:\w+, )*\w+): (?=\S)", re.MULTILINE)
LAZY = {"_MODULES": "{package}.{module}.{name}", "ELSEWHERE": "{module}.{name}"}


class Prose(griffe.Extension):
    """Rewrites docstrings, and adds the members that are imported on first use."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for module in [pkg, *packages(pkg)]:
            for variable, path in LAZY.items():
                if variable in module.members and not module.members[variable].is_alias:
                    for name, home in lazy_names(module.members[variable]):
                        if name not in module.members:
                            target = path.format(package=module.path, module=home, name=name)
                            module.set_member(name, griffe.Alias(name, target, runtime=True, parent=module))
        for item in everything(pkg):
            if item.docstring:
                item.docstring.value = as_markdown(item.docstring.value, names_of(item))


def packages(module: griffe.Module) -> Iterator[griffe.Module]:
    """Yield all modules below one."""
    for child in module.modules.values():
        if not child.is_alias:
            yield child
            yield from packages(child)


def everything(item: Any) -> Iterator[Any]:
    """Yield an object and all that it contains; not what it imports."""
    yield item
    for child in item.members.values():
        if not child.is_alias:
            yield from everything(child)


def lazy_names(attribute: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, module) of a dictionary of strings; entries that are not strings are left out."""
    yield from ast.literal_eval(plain(str(attribute.value))).items()


def plain(text: str) -> str:
    """Return a dictionary's source without what is spread into it: `**dict.fromkeys(...)`."""
    tree = ast.parse(text, mode="eval").body
    assert isinstance(tree, ast.Dict)
    pairs = [(key, value) for key, value in zip(tree.keys, tree.values, strict=True) if key is not None]
    return ast.unparse(ast.Dict([key for key, _ in pairs], [value for _, value in pairs]))


def names_of(item: Any) -> set[str]:
    """Return the names that a docstring can describe: parameters, those of __init__, and attributes."""
    if item.is_function:
        return {parameter.name.lstrip("*") for parameter in item.parameters}
    if item.is_class:
        own = {name for name, member in item.members.items() if not member.is_alias and member.is_attribute}
        init = item.members.get("__init__")
        return own | ({one.name.lstrip("*") for one in init.parameters} if init else set())
    return set()


def as_markdown(text: str, names: set[str]) -> str:
    """Return a docstring with its descriptions of names as lists, tables of files and lines of code as code."""
    return "\n\n".join(paragraph(part, names) for part in re.split(r"\n\s*\n", text))


def paragraph(text: str, names: set[str]) -> str:
    """Return one paragraph as Markdown."""
    lines = text.splitlines()
    if is_code(text):
        return f"```python\n{text}\n```"
    if len(lines) > 1 and sum(bool(re.match(r"\S+(?: \S+)*   +\S", line)) for line in lines) > len(lines) / 2:
        return f"```text\n{text}\n```"
    text = as_written(text)
    joined = "\n".join(line.strip() for line in text.splitlines()) if names else text
    starts = [one for one in NAMED.finditer(joined) if set(one[1].split(", ")) <= names]
    if not starts:
        return text
    parts = [joined[: starts[0].start()].strip()] if starts[0].start() else []
    ends = [one.start() for one in starts[1:]] + [len(joined)]
    items = [
        f"* **{', '.join(f'`{name}`' for name in one[1].split(', '))}**: "
        + joined[one.end() : end].strip().replace("\n", "\n    ")
        for one, end in zip(starts, ends, strict=True)
    ]
    return "\n\n".join([*parts, "\n".join(items)])


def as_written(text: str) -> str:
    """Return text in which brackets, stars and angles outside of `code` mean themselves."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\[\]*])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def is_code(text: str) -> bool:
    """Return whether a paragraph is lines of Python: calls, assignments, imports, loops."""
    if not re.search(r"[=(]", text) and not text.startswith(("from ", "import ")):
        return False
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return False
    return all(
        isinstance(one, ast.Assign | ast.Import | ast.ImportFrom | ast.For | ast.With)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Call))
        for one in statements
    )
