"""The brain's regions are listed in one place. (The CORnet family has its areas in `cornet.models.cornet.layout`.)"""

import ast

import pytest

from cornet.brain.regions import REGIONS, in_order
from tests.helpers.paths import ROOT

ALLOWED = {
    "brain/regions.py": "the list",
    "brain/simulated/brain.py": "what drives the three early regions of the simulated brain",
    "training/sweeps/random_network.py": "arguments of a random CORnet-S",
    "cli/project/my_network.py": "arguments of a CORnet, in a project to edit",
    "brain/benchmarks/coverage.py": "regions of one data set of the reference",
    "brain/data/convert/nsd.py": "labels of the regions in the published volumes",
    "brain/data/convert/things_fmri.py": "columns of the published table",
    "brain/data/convert/tvsd.py": "channels of each region",
}
NAMES = {*REGIONS, "V3"}


def lists(source: str) -> list[int]:
    """Lines of tuples, lists, sets and dicts that name three regions or more."""
    if sum(f'"{name}"' in source or f"'{name}'" in source for name in NAMES) < 3:
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            parts = node.elts
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        else:
            continue
        if len(NAMES & {part.value for part in parts if isinstance(part, ast.Constant)}) >= 3:
            found.append(node.lineno)
    return found


def test_no_other_module_lists_the_regions():
    package = ROOT / "cornet"
    having = {
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        if lists(path.read_text())
    }
    assert having == set(ALLOWED)


@pytest.mark.parametrize(
    "line",
    ['X = ["V1", "V2", "IT"]', 'def f():\n    return {"V1": 1, "V2": 2, "IT": 4}', "x = ('V4', 'IT', 'V2')"],
)
def test_a_list_is_found(line):
    assert lists(line)


def test_values_and_single_names_are_no_list():
    assert not lists('x = {"a": "V1", "b": "V2", "c": "V4"}; y = ("V4", "IT")')


def test_order():
    assert sorted(["FFA", "IT", "behaviour", "V1", "A", "V4"], key=in_order) == [
        *("V1", "V4", "IT", "behaviour", "FFA", "A")
    ]
