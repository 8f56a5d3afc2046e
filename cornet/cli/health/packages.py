"""Python, cornet and its dependencies: versions against the bounds of the package, and extras."""

import importlib.metadata
import platform
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cornet
from cornet.cli.health.check import NOTE, OK, PROBLEM, Check
from cornet.cli.program import conf_folder
from cornet.errors import CornetError

__all__ = ["ENABLES", "Needed", "configuration", "dependencies", "needed", "python_and_cornet"]

NAME = "cornet-ventral"

ENABLES = {
    "tensorboard": "logger=tensorboard",
    "timm": "models named timm:NAME",
    "matching": "the metric soft",
    "safetensors": "weights in .safetensors files",
    "litdata": "data=imagenet_litdata, cornet prepare --shards",
    "slurm": "trainer=slurm",
    "onnx": "cornet export --to onnx",
    "hub": "the Hugging Face hub",
}
"""What an extra of the package makes possible."""

_REQUIREMENT = re.compile(r"^\s*([\w.-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


class Needed(NamedTuple):
    """A dependency. bounds: such as ">=2.11,<3". extra: the extra that needs it; "" for all installations."""

    name: str
    bounds: str
    extra: str


def python_and_cornet() -> list[Check]:
    """Check the version of Python, and where cornet is."""
    version, low = platform.python_version(), _python_bound()
    inside = within(version, low)
    state, remedy = (OK, "") if inside else (PROBLEM, f"install Python {low}")
    return [
        Check("Python", state, f"{version} at {sys.executable}", remedy, {"version": version, "bounds": low}),
        Check(
            "cornet",
            OK,
            f"{cornet.__version__} at {Path(cornet.__file__).parent}",
            "",
            {"version": cornet.__version__},
        ),
    ]


def configuration() -> list[Check]:
    """Check that the configuration of the training is there."""
    try:
        return [Check("configuration", OK, str(conf_folder()))]
    except CornetError as error:
        return [
            Check(
                "configuration",
                PROBLEM,
                str(error).partition(";")[0],
                f"pip install --force-reinstall {NAME}",
            )
        ]


def dependencies() -> list[Check]:
    """Check the installed versions of all dependencies: a line for those that fit, and one for each other."""
    core = [one for one in needed() if not one.extra]
    fits, others = [], []
    for one in core:
        version = installed(one.name)
        values = {"version": version, "bounds": one.bounds}
        command = f"pip install '{one.name}{one.bounds}'"
        if version is None:
            others.append(Check(one.name, PROBLEM, "missing", command, values))
        elif not within(version, one.bounds):
            others.append(
                Check(one.name, NOTE, f"{version} is outside {one.bounds}, which was tested", command, values)
            )
        else:
            fits.append((one.name, version))
    if not core:
        return [
            Check(
                "dependencies", NOTE, f"unknown: {NAME} is not installed, and has no pyproject.toml beside it"
            )
        ]
    text = ", ".join(f"{name} {version}" for name, version in fits)
    return [Check("dependencies", OK, text, "", {"versions": dict(fits)}), *others, _extras()]


def _extras() -> Check:
    by_extra: dict[str, list[str]] = {}
    for one in needed():
        if one.extra and one.extra != "all":
            by_extra.setdefault(one.extra, []).append(one.name)
    missing = [extra for extra, names in by_extra.items() if any(installed(name) is None for name in names)]
    there = [extra for extra in by_extra if extra not in missing]
    shown = ", ".join(f"{extra} ({ENABLES.get(extra, ', '.join(by_extra[extra]))})" for extra in missing)
    text = f"installed: {', '.join(there) or 'none'}" + (f"; missing: {shown}" if missing else "")
    remedy = f"if you need one: pip install '{NAME}[{missing[0]}]'" if missing else ""
    return Check("extras", NOTE if missing else OK, text, remedy, {"installed": there, "missing": missing})


def needed() -> list[Needed]:
    """Return the dependencies from the metadata of the installed package, else from pyproject.toml of a checkout."""
    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        lines = list(_of_checkout())
    found = []
    for line in lines:
        if match := _REQUIREMENT.match(line):
            extra = _EXTRA.search(match[3] or "")
            bounds = ",".join(
                sorted(match[2].replace(" ", "").split(","), reverse=True)
            )  # the lower one first
            found.append(Needed(match[1], bounds, extra[1] if extra else ""))
    return found


def installed(name: str) -> str | None:
    """Return the version of an installed package, None if it is missing."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def within(version: str, bounds: str) -> bool:
    """Return whether a version is within bounds such as ">=2.11,<3"; True if that cannot be told."""
    try:
        from packaging.specifiers import SpecifierSet  # a dependency of Lightning
    except ImportError:
        return True
    return SpecifierSet(bounds).contains(version, prereleases=True)


def _python_bound() -> str:
    try:
        return importlib.metadata.metadata(NAME)["Requires-Python"] or ">=3.11"
    except (importlib.metadata.PackageNotFoundError, KeyError):
        return str(_project().get("requires-python", ">=3.11"))


def _of_checkout() -> Iterator[str]:
    project = _project()
    yield from project.get("dependencies", [])
    for extra, lines in project.get("optional-dependencies", {}).items():
        yield from (f"{line}; extra == '{extra}'" for line in lines)


def _project() -> dict[str, Any]:
    path = Path(cornet.__file__).parents[1] / "pyproject.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    project = content.get("project", {})
    return project if project.get("name") == NAME else {}
