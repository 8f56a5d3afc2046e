"""Imports point downwards only: from what is built on something to what it is built on. Tests import no other tests."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PACKAGE = ROOT / "cornet"

LEVELS = [
    {"stimuli", "models"},
    {"runs"},
    {"brain"},
    {"tasks"},
    {"losses", "synthesis", "lesions"},
    {"training", "report"},  # of which neither imports the other
    {"export"},
    {"cli", "__main__"},
]
"""Packages and modules from the lowest up; all others are below these, and may be imported everywhere."""

LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
APART = [{"training", "report"}]


def part(path: Path) -> str:
    """The package below cornet, or the module beside it."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """All modules of cornet that a file imports, inside functions and for types too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in found if name.startswith("cornet.")]


def upward(path: Path) -> list[str]:
    own = part(path)
    wrong = []
    for name in imports(path):
        other = name.split(".")[1]
        if other not in LEVEL or own == "__init__" or other == own:
            continue
        if LEVEL[other] > LEVEL.get(own, -1) or {own, other} in APART:
            wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    return wrong


def test_no_modules_import_each_other_in_a_circle():
    names = {
        ".".join(("cornet", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in PACKAGE.rglob("*.py")
    }
    graph = {
        name: {one for one in imports(path) if one in names and one != name} for name, path in names.items()
    }
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_imports_point_downwards():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    assert [one for path in files for one in upward(path)] == []


@pytest.mark.parametrize(
    ("own", "imported"),
    [
        ("models", "brain"),
        ("report", "training"),
        ("training", "report"),
        ("errors", "models"),
        ("brain", "cli"),
    ],
)
def test_an_upward_import_is_found(own, imported, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_imports.PACKAGE", tmp_path)
    path = tmp_path / own / "some.py" if own in LEVEL else tmp_path / f"{own}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"def inside():\n    from cornet.{imported} import thing\n")
    assert upward(path)


TESTS = ROOT / "tests"
TEST_FILES = sorted(TESTS.rglob("*.py"))


def imported_tests(path: Path) -> list[str]:
    """The test modules and conftests that a file imports, whatever it calls them."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module or ''}.{alias.name}" for alias in node.names]
            assert not node.level, f"{path.relative_to(ROOT)}: imports are absolute"
    return [name for name in found if any(re.match("test_|conftest$", part) for part in name.split("."))]


def test_no_test_module_imports_another():
    assert len(TEST_FILES) > 200
    assert {
        str(path.relative_to(ROOT)): found for path in TEST_FILES if (found := imported_tests(path))
    } == {}


def test_helpers_are_no_tests_and_no_two_have_one_name():
    names = [path.name for path in (TESTS / "helpers").rglob("*.py") if path.name != "__init__.py"]
    assert len(names) == len(set(names)) > 30
    assert not [name for name in names if name.startswith("test_")]
    outside = [path for path in TEST_FILES if TESTS / "helpers" not in path.parents]
    assert {path.name for path in outside if not path.name.startswith("test_")} == {
        "__init__.py",
        "conftest.py",
    }


def test_every_folder_of_tests_is_a_package():
    assert [str(path) for path in TEST_FILES if not (path.parent / "__init__.py").is_file()] == []


@pytest.mark.parametrize(
    "line",
    [
        "from tests.test_files import x",
        "from tests.train import test_train",
        "import tests.conftest",
        "import test_page",
    ],
)
def test_an_import_of_another_test_is_found(line, tmp_path):
    (tmp_path / "test_mine.py").write_text(f"def inside():\n    {line}\n")
    assert imported_tests(tmp_path / "test_mine.py")
