"""The recipe of the conda package says what pyproject.toml says."""

import re
import tomllib

import yaml

from tests.helpers.paths import ROOT

RECIPE = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text())
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""Where the name on conda-forge differs. matplotlib-base is matplotlib without a window system."""


def split(requirement: str) -> tuple[str, str]:
    name, limits = re.fullmatch(r"([\w-]+)\s*([^;]*)", requirement).groups()
    return CONDA_NAMES.get(name, name), limits.strip()


def test_the_requirements_are_those_of_pyproject():
    _, *listed = RECIPE["requirements"]["run"]
    expected = dict(map(split, DECLARED["project"]["dependencies"]))
    assert len(expected) > 15
    assert dict(map(split, listed)) == expected


def test_python_the_build_and_the_command_are_those_of_pyproject():
    context, project = RECIPE["context"], DECLARED["project"]
    assert project["requires-python"] == f">={context['python_min']}"
    assert RECIPE["requirements"]["run"][0] == "python >=${{ python_min }}"
    assert set(map(split, DECLARED["build-system"]["requires"])) <= set(
        map(split, RECIPE["requirements"]["host"][1:])
    )
    (entry,) = RECIPE["build"]["python"]["entry_points"]
    assert dict([entry.split(" = ")]) == project["scripts"]


def test_name_licence_and_summary_are_those_of_pyproject():
    context, about, project = RECIPE["context"], RECIPE["about"], DECLARED["project"]
    assert (context["name"], context["version"]) == (project["name"], project["version"])
    assert (about["license"], about["license_file"]) == (project["license"], *project["license-files"])
    assert about["summary"] == project["description"]
